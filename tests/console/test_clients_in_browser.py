"""The admin of a tenant brings an OAuth client, from the overview to its deletion, in Chromium without scripts."""

from typing import TYPE_CHECKING

from support.app import World
from support.consent import oauth_component, start
from support.console import PASSWORD, give_password

if TYPE_CHECKING:
    from playwright.async_api import Browser

AUTH, TOKEN = "https://login.example.com/auth", "https://login.example.com/token"


async def test_a_client_from_the_overview_to_its_end_on_a_phone(listening: World, browser: "Browser") -> None:
    globex = listening.tenants["Globex"]
    await give_password(listening, globex, globex.admin)
    component = await listening.add_component(
        listening.tenants["Acme"], "asks", oauth_component(AUTH, TOKEN), access="global"
    )
    context = await browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 640})
    context.set_default_timeout(60_000)
    try:
        page = await context.new_page()
        await page.goto(f"{listening.settings.public_url}/console")
        await page.get_by_label("Email").fill(globex.admin.name)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("link", name="acme/asks").click()
        uri = await page.locator("#redirect-uri").inner_text()
        assert uri == f"{listening.settings.public_url}/callback/oauth2"
        await page.get_by_role("link", name="Add the client").click()
        await page.get_by_label("Client id").fill("globex-id")
        await page.get_by_role("button", name="Store the client").click()
        assert await page.locator("#client_secret-wrong").count() == 1
        assert await page.get_by_label("Client id").input_value() == "globex-id"
        await page.get_by_label("Client secret").fill("globex-secret")
        await page.get_by_label("The secret ends on").fill("2099-01-31")
        await page.get_by_role("button", name="Store the client").click()
        assert "The client is stored" in await page.get_by_role("status").inner_text()
        assert (await start(globex.integrator, globex.workspace_id, component)).status_code == 201
        await page.get_by_role("link", name="Store a new secret").click()
        await page.get_by_label("New client secret").fill("another-secret")
        await page.get_by_role("button", name="Store the new secret").click()
        await page.get_by_text("Nobody has said when the secret ends").wait_for()
        assert "another-secret" not in await page.content()
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
        await page.get_by_role("link", name="Delete…").click()
        await page.get_by_role("button", name="Delete the OAuth client for acme/asks").click()
        await page.get_by_text("There are no OAuth clients yet.").wait_for()
        assert (await start(globex.integrator, globex.workspace_id, component)).status_code == 409
    finally:
        await context.close()
