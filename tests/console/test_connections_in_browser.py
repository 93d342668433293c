"""Connecting an account in the console with a real browser: window, closed window, denial, and without scripts."""

import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from keyrack.simulator.config import DEFAULT_CLIENT, Client, SimulatorConfig
from keyrack.simulator.testing import RunningSimulator, running_simulator
from support.app import World
from support.console import PASSWORD, give_password
from support.grants import CLIENT_ID, component_for

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page


@pytest.fixture
async def asking() -> AsyncIterator[RunningSimulator]:
    """A simulator that asks people to sign in and to agree."""
    client = Client(client_id=CLIENT_ID, client_secret=DEFAULT_CLIENT.client_secret, redirect_match="any")
    async with running_simulator(SimulatorConfig(clients=(client,), access_log=False)) as running:
        yield running


async def sign_in(page: "Page", world: World) -> str:
    """Sign in as Globex' integrator; return the address of the workspace."""
    globex, base = world.tenants["Globex"], world.settings.public_url
    await give_password(world, globex, globex.integrator)
    await page.goto(f"{base}/console/sign-in?next=/console/workspaces")
    await page.get_by_label("Email").fill(globex.integrator.name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("link", name="Globex workspace").click()
    return page.url


async def begin(page: "Page", workspace: str) -> None:
    """Choose the only component, and go on to the page that leads to the provider."""
    await page.goto(workspace)
    await page.get_by_role("link", name="Connect an account").first.click()
    await page.get_by_role("link", name="Choose Connected").click()
    await page.get_by_label("Name").fill("Mailbox")
    await page.get_by_role("button", name="Go on to the provider").click()
    await page.get_by_role("heading", name="Agree at the provider").wait_for()


async def decide(page: "Page", world: RunningSimulator, answer: str) -> None:
    """Sign in at the provider if it asks, and say whether one agrees."""
    if await page.get_by_role("button", name="Sign in").count():
        await page.get_by_label("Password").fill(world.state.config.users[0].password.reveal())
        await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name=answer).click()


async def test_in_a_window_that_is_closed_then_used_then_refused(
    listening: World, asking: RunningSimulator, browser: "Browser"
) -> None:
    await component_for(listening, asking, userinfo_uri=f"{asking.base_url}/api/me")
    context = await browser.new_context()
    context.set_default_timeout(60_000)
    page = await context.new_page()
    workspace = await sign_in(page, listening)
    await begin(page, workspace)
    async with context.expect_page() as opened:
        await page.get_by_role("link", name=re.compile("Go on to")).click()
    window = await opened.value
    await window.get_by_role("button", name="Sign in").wait_for()
    await window.close()
    await page.get_by_text("Waiting for the provider").wait_for()
    async with context.expect_page() as opened:
        await page.get_by_role("link", name=re.compile("Go on to")).click()
    window = await opened.value
    await window.get_by_role("button", name="Sign in").wait_for()
    async with window.expect_event("close"):
        await decide(window, asking, "Allow")
    await page.get_by_role("heading", name="The account is connected").wait_for()  # nobody has reloaded it
    await page.get_by_role("link", name="Look at it").click()
    assert asking.state.config.users[0].email in await page.locator("main").inner_text()
    await begin(page, workspace)
    async with context.expect_page() as opened:
        await page.get_by_role("link", name=re.compile("Go on to")).click()
    window = await opened.value
    await window.get_by_role("button", name="Deny").click()
    await window.get_by_text("The account was not connected").wait_for()  # with the provider's words, to be read
    await page.get_by_role("heading", name="The account was not connected").wait_for()
    assert "access_denied" in await page.locator(".cause").inner_text()
    await context.close()


async def test_without_scripts_the_page_itself_goes_there_and_back(
    listening: World, asking: RunningSimulator, browser: "Browser"
) -> None:
    await component_for(listening, asking)
    context = await browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 640})
    context.set_default_timeout(60_000)
    page = await context.new_page()
    workspace = await sign_in(page, listening)
    await begin(page, workspace)
    await page.get_by_role("link", name=re.compile("Go on to")).click()
    await decide(page, asking, "Allow")
    await page.get_by_role("heading", name="The account is connected").wait_for()
    assert await page.evaluate("document.documentElement.scrollWidth") <= 360
    await page.get_by_role("link", name="Look at it").click()
    assert "The account is connected." in await page.get_by_role("status").inner_text()
    await context.close()
