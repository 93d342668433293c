"""Single sign-on in a real browser, at the forms of a real `oidc-provider` that is another site (decision 31)."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.app import World
from support.authorization_servers import OidcOptions, OidcProvider
from support.axe import DESK, is_for_everybody
from support.console import PASSWORD, give_password
from support.running import listening_as
from support.single_sign_on import SETTINGS, address_of, client_of

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

WIDTH = 360
"""Of a phone."""
ACCOUNTS = {
    "ada": {"sub": "ada", "email": "admin@acme.example", "email_verified": True},
    "mallory": {"sub": "mallory", "email": "admin@globex.example", "email_verified": True},
}


@pytest.fixture
async def local(tmp_path: Path) -> AsyncIterator[World]:
    """Keyrack at `localhost`: to the browser, another site than the provider at 127.0.0.1."""
    async with listening_as("localhost", tmp_path) as made:
        acme = made.tenants["Acme"]
        await give_password(made, acme, acme.admin)
        yield made


async def at_provider(page: "Page", login: str) -> None:
    """Sign in with the provider's forms, and consent if it asks."""
    await page.fill('input[name="login"]', login)
    await page.fill('input[name="password"]', "anything")
    await page.click('button[type="submit"]')
    await page.click('button[type="submit"]:has-text("Continue")')


async def set_up_and_test(page: "Page", local: World, provider: OidcProvider) -> None:
    """Do what a tenant admin does, on a phone and without scripts."""
    acme, client = local.tenants["Acme"], provider.client
    await page.goto(f"{local.settings.public_url}{SETTINGS}")
    await page.get_by_label("Email").fill(acme.admin.name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    assert await page.locator("h1").inner_text() == "Single sign-on"
    assert await page.locator("#redirect-uri").inner_text() == client.redirect_uris[0]
    await page.get_by_label("Issuer").fill(provider.issuer)
    await page.get_by_label("Client id").fill(client.client_id)
    await page.get_by_label("Client secret").fill(client.client_secret)
    await page.get_by_label("Domains of email addresses").fill("acme.example")
    await page.get_by_role("button", name="Save").click()
    assert "Test it before" in await page.get_by_role("status").inner_text()
    assert await page.evaluate("document.documentElement.scrollWidth") <= WIDTH

    await page.get_by_role("button", name="Test it").click()
    await page.wait_for_url(f"{provider.issuer}/**")  # by itself, without scripts
    await at_provider(page, "ada")
    await page.wait_for_url("**/tests/*")
    assert await page.locator("h1").inner_text() == "Single sign-on works"
    assert f"{acme.admin.name} would be signed in" in await page.locator("main").inner_text()
    assert await page.evaluate("document.documentElement.scrollWidth") <= WIDTH


async def sign_in_by_email(page: "Page", local: World, provider: OidcProvider) -> None:
    acme, base = local.tenants["Acme"], str(local.settings.public_url)
    await page.goto(f"{base}/console/account")
    await page.get_by_role("link", name="Sign in with your organisation").click()
    await page.get_by_label("Email").fill("nobody@nowhere.example")
    await page.get_by_role("button", name="Go on").click()
    assert "No organisation signs in here" in await page.get_by_role("alert").inner_text()
    await page.get_by_label("Email").fill(acme.admin.name)
    await page.get_by_role("button", name="Go on").click()
    await page.wait_for_url(f"{provider.issuer}/**")
    await at_provider(page, "ada")
    await page.wait_for_url(f"{base}/console/account")  # where they wanted to go
    assert acme.admin.name in await page.locator("main").inner_text()
    await page.set_viewport_size(DESK)  # type: ignore[arg-type]
    await page.emulate_media(reduced_motion="reduce")
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("heading", name="You are signed out").wait_for()
    assert await page.get_by_role("link", name="Sign out there, too").count() == 1
    await is_for_everybody(page, skips=False)


async def try_another_tenants(page: "Page", local: World, provider: OidcProvider) -> None:
    """Be another tenant's admin, as this tenant's provider says."""
    await page.goto(f"{local.settings.public_url}{address_of(local.tenants['Acme'])}")
    await page.get_by_role("button", name="Go on").click()
    await page.wait_for_url(f"{provider.issuer}/**")
    await at_provider(page, "mallory")
    await page.wait_for_url("**/callback*")
    assert await page.locator("h1").inner_text() == "You are not signed in"
    assert "Addresses of globex.example may not sign in here" in await page.locator("main").inner_text()


async def test_an_admin_sets_it_up_tests_it_and_people_sign_in(
    local: World, browser: "Browser", start_oidc_provider: Callable[[OidcOptions], OidcProvider]
) -> None:
    client = client_of(local.tenants["Acme"], str(local.settings.public_url))
    provider = start_oidc_provider(OidcOptions(clients=(client,), approval="forms", accounts=ACCOUNTS))
    complaints: list[str] = []
    admins = await browser.new_context(java_script_enabled=False, viewport={"width": WIDTH, "height": 640})
    people = await browser.new_context()
    try:
        await set_up_and_test(await admins.new_page(), local, provider)
        page = await people.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        await sign_in_by_email(page, local, provider)
        await people.clear_cookies(domain="127.0.0.1")
        await try_another_tenants(page, local, provider)
    finally:
        await admins.close()
        await people.close()
    assert [text for text in complaints if "Content Security Policy" in text] == []
