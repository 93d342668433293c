"""The console in a real browser: whole journeys, without JavaScript, on a phone, in the dark (decision 28)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceRows
from support.app import World
from support.console import PASSWORD, give_password
from support.setup_links import link_for, newcomer

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, Page

NEW = "a wholly other phrase"
PHONE = {"width": 360, "height": 640}


@asynccontextmanager
async def visiting(browser: "Browser", **more: Any) -> "AsyncIterator[BrowserContext]":
    """Somebody's browser, without scripts."""
    context = await browser.new_context(java_script_enabled=False, **more)
    context.set_default_timeout(60_000)
    try:
        yield context
    finally:
        await context.close()


async def sign_in(page: "Page", listening: World, password: str = PASSWORD, path: str = "/console") -> None:
    await page.goto(f"{listening.settings.public_url}{path}")
    await page.get_by_label("Email").fill(listening.tenants["Acme"].integrator.name)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()


@pytest.fixture
async def acme(listening: World) -> World:
    """The installation, where Acme's integrator has a password."""
    await give_password(listening, listening.tenants["Acme"], listening.tenants["Acme"].integrator)
    return listening


async def test_a_wrong_password_then_the_right_one_leads_where_one_wanted_to_go(
    acme: World, browser: "Browser"
) -> None:
    async with visiting(browser) as context:
        page = await context.new_page()
        await sign_in(page, acme, "wrong", "/console/account")
        assert "do not go together" in await page.get_by_role("alert").inner_text()
        assert await page.get_by_label("Email").input_value() == acme.tenants["Acme"].integrator.name
        assert await page.get_by_label("Password").input_value() == ""
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        assert await page.locator("h1").inner_text() == "Your account"
        session, device = sorted(await context.cookies(), key=lambda each: each["name"])
        assert [each["name"] for each in (session, device)] == ["keyrack-console", "keyrack-known-device"]
        assert all(each["httpOnly"] and each["sameSite"] == "Lax" for each in (session, device))
        assert session["expires"] == -1  # it goes when the browser does


async def test_after_signing_out_the_back_button_shows_nothing(acme: World, browser: "Browser") -> None:
    async with visiting(browser) as context:
        page = await context.new_page()
        await sign_in(page, acme)
        await page.get_by_role("link", name="Account").click()
        await page.get_by_role("button", name="Sign out").click()
        assert "You are signed out" in await page.get_by_role("status").inner_text()
        await page.go_back()
        await page.wait_for_url("**/console/sign-in*")
        assert await page.locator("h1").inner_text() == "Sign in"


async def test_two_tabs_and_two_browsers(acme: World, browser: "Browser") -> None:
    async with visiting(browser) as context, visiting(browser, user_agent="curl/8") as elsewhere:
        first, second = await context.new_page(), await context.new_page()
        await first.goto(f"{acme.settings.public_url}/console/sign-in")
        await sign_in(second, acme)
        await first.get_by_label("Email").fill("x@y.example")
        await first.get_by_label("Password").fill("whatever it is")
        await first.get_by_role("button", name="Sign in").click()  # of a form from before the sign-in
        assert "Hello" in await first.locator("h1").inner_text()

        other = await elsewhere.new_page()
        await sign_in(other, acme, path="/console/account")
        await first.get_by_role("link", name="Account").click()
        await first.get_by_role("button", name="End the session of curl/8").click()
        assert "That session has ended" in await first.get_by_role("status").inner_text()
        await other.get_by_label("Current password").fill(PASSWORD)
        await other.get_by_label("New password").fill(NEW)
        await other.get_by_role("button", name="Change password").click()
        assert "nothing was changed" in await other.get_by_role("status").inner_text()

        await second.get_by_role("button", name="Sign out").click()
        await first.reload()
        assert await first.locator("h1").inner_text() == "Sign in"


async def test_changing_the_password(acme: World, browser: "Browser") -> None:
    async with visiting(browser) as context:
        page = await context.new_page()
        await sign_in(page, acme, path="/console/account")
        await page.get_by_label("Current password").fill(PASSWORD)
        await page.get_by_label("New password").fill(NEW)
        await page.get_by_role("button", name="Change password").click()
        assert "Your password is changed" in await page.get_by_role("status").inner_text()
        await page.get_by_role("button", name="Sign out").click()
        await sign_in(page, acme)
        assert "do not go together" in await page.get_by_role("alert").inner_text()
        await sign_in(page, acme, NEW)
        assert "Hello" in await page.locator("h1").inner_text()


async def test_a_setup_link_leads_into_the_console(listening: World, browser: "Browser") -> None:
    acme = listening.tenants["Acme"]
    url = await link_for(acme.admin, await newcomer(acme.admin, "nora@acme.example"))
    async with visiting(browser) as context:
        page = await context.new_page()
        await page.goto(url)
        await page.get_by_label("Password for the console").fill(NEW)
        await page.get_by_role("button", name="Show my API key").click()
        await page.get_by_role("link", name="sign in to the console").click()
        await page.get_by_label("Email").fill("nora@acme.example")
        await page.get_by_label("Password").fill(NEW)
        await page.get_by_role("button", name="Sign in").click()
        assert "You are in no contract yet" in await page.locator("main").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_fits_a_phone_and_is_found_by_keyboard(acme: World, browser: "Browser", scheme: str) -> None:
    tenant = acme.tenants["Acme"]
    async with acme.store.unit(tenant.id, writes=True) as unit:
        await UserRows(unit).set_columns(tenant.integrator.id, {"first_name": "\u202e<b>" + "W" * 10_000})
        await WorkspaceRows(unit).set_columns(tenant.workspace_id, {"name": "W" * 10_000})
        for n in range(30):
            contract_id = await ContractRows(unit).add(f"Contract {n} {'x' * n * 5}", [], {}, None)
            await ContractMembers(unit).add(contract_id, tenant.integrator.id, ["member"])
    async with visiting(browser, viewport=PHONE, color_scheme=scheme) as context:
        page = await context.new_page()
        await page.goto(f"{acme.settings.public_url}/console")
        await fits(page)
        await sign_in(page, acme)
        for path in ("", "?contracts=2", "/account", "/building-blocks"):
            await page.goto(f"{acme.settings.public_url}/console{path}")
            await fits(page)
            await page.keyboard.press("Tab")
            assert await page.locator(":focus").inner_text() == "Skip to the content"
        await page.goto(f"{acme.settings.public_url}/console")
        await page.get_by_role("link", name="Next").click()
        assert "Page 2 of 2" in await page.get_by_role("navigation", name="Pages of contracts").inner_text()
        assert await page.get_by_role("table", name="Contracts that you can see").get_by_role("rowheader").count() == 6
        dark = await page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        assert (dark == "rgb(20, 24, 23)") == (scheme == "dark")


async def fits(page: "Page") -> None:
    """Insist that nothing is wider than the window, and that every link, button and field has a name."""
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], page.url
    nameless = "[...document.querySelectorAll('a, button')].filter(each => !each.innerText.trim()).length"
    assert await page.evaluate(nameless) == 0
    unlabelled = (
        "[...document.querySelectorAll('input:not([type=hidden]):not([aria-hidden])')]"
        ".filter(each => !each.labels.length).length"
    )
    assert await page.evaluate(unlabelled) == 0


async def test_with_scripts_lists_follow_what_one_writes_and_parts_update_themselves(
    acme: World, browser: "Browser"
) -> None:
    context = await browser.new_context()
    try:
        page = await context.new_page()
        faults: list[str] = []
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        await sign_in(page, acme, path="/console/building-blocks")
        await page.wait_for_url("**/console/building-blocks")
        await page.locator("html.scripts").wait_for()
        await page.keyboard.press("/")
        assert await page.evaluate("document.activeElement.id") == "find", "the frame's field is the first"
        await page.locator("#q").focus()
        await page.keyboard.type("nora")
        await page.get_by_text("You look for nora.").wait_for()
        assert page.url.endswith("?q=nora&state=")
        async with page.expect_request(lambda asked: asked.headers.get("x-keyrack-live") == "1") as asked:
            pass
        answer = await (await asked.value).response()
        assert answer is not None
        assert answer.status == 200
        await context.clear_cookies()
        await page.wait_for_url("**/console/sign-in*")  # a part that updates finds the session ended
        assert faults == []
    finally:
        await context.close()
