"""Connecting an account with a device's code in a real browser: the code is copied, and the page goes on by itself."""

import asyncio
from typing import TYPE_CHECKING

from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.axe import DESK, is_for_everybody
from support.console import sign_in_context
from support.direct_grants import make_client

if TYPE_CHECKING:
    from playwright.async_api import Browser


async def test_the_code_is_copied_and_the_page_goes_on_when_it_was_entered(
    listening: World, simulator: RunningSimulator, browser: "Browser"
) -> None:
    acme, base = listening.tenants["Acme"], str(listening.settings.public_url)
    asked = f"{simulator.base_url}/device_authorization"
    simulator.state.set_defaults({"device_interval": 1})
    endpoints = {"endpoints": {"token": simulator.token_endpoint, "device_authorization": asked}}
    made = await make_client(listening, simulator.token_endpoint, "device_code", profile=endpoints)
    assert made.status_code == 201, made.text
    context = await browser.new_context(viewport=DESK, reduced_motion="reduce")  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base)
    try:
        await sign_in_context(context, listening, acme.integrator, acme.id)
        page = await context.new_page()
        client_id = made.json()["data"]["id"]
        await page.goto(f"{base}/console/workspaces/{acme.workspace_id}/connect?auth_client={client_id}")
        await page.get_by_role("button", name="Get a code").click()
        code = await page.locator("#user-code").inner_text()
        await page.get_by_role("button", name="Copy the code").click()
        await page.get_by_role("button", name="Copied").wait_for()
        assert await page.evaluate("navigator.clipboard.readText()") == code
        await page.get_by_text("Go there with a phone").click()
        await is_for_everybody(page, skips=False)
        simulator.state.devices.decide(code, "alice")
        for _ in range(600):  # as the worker does, until the provider may be asked again
            if await listening.services.device_polling.tick():
                break
            await asyncio.sleep(0.1)
        await page.get_by_role("heading", name="The account is connected").wait_for()  # nobody has reloaded it
    finally:
        await context.close()
