"""Journeys through the console that cross several of its parts, in a real browser without scripts.

Connecting accounts, clients, search and single sign-on have journeys of their own beside their pages.
"""

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

import pytest

from support.app import World
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import add_oauth_client, oauth_component, stored
from support.console import PASSWORD, give_password

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

Start = Callable[[OidcOptions], OidcProvider]


@pytest.fixture
async def page(browser: "Browser") -> "AsyncIterator[Page]":
    context = await browser.new_context(java_script_enabled=False)
    context.set_default_timeout(60_000)
    yield await context.new_page()
    await context.close()


async def sign_in(page: "Page", email: str) -> None:
    await page.locator("[name=email]").fill(email)
    await page.locator("[name=password]").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def test_a_session_that_ends_in_another_tab_then_the_back_button_and_a_second_press(
    page: "Page", listening: World
) -> None:
    acme, base = listening.tenants["Acme"], listening.settings.public_url
    await give_password(listening, acme, acme.admin)
    await page.goto(f"{base}/console/contracts/new")
    await sign_in(page, acme.admin.name)
    await page.get_by_label("Name").fill("Northwind")
    other = await page.context.new_page()
    await other.goto(f"{base}/console")
    await other.get_by_role("button", name="Sign out").click()

    await page.get_by_role("button", name="Create the contract").click()
    assert "nothing was changed" in await page.locator("main").inner_text()
    await sign_in(page, acme.admin.name)
    await page.goto(f"{base}/console/contracts/new")
    await page.get_by_label("Name").fill("Northwind")
    hidden = page.locator("form.narrow input[type=hidden]")
    form: dict[str, str | float | bool] = {"name": "Northwind"}
    for each in await hidden.all():
        form[str(await each.get_attribute("name"))] = await each.input_value()
    await page.get_by_role("button", name="Create the contract").click()
    await page.get_by_role("heading", name="Northwind").first.wait_for()
    made = page.url
    second = await page.context.request.post(f"{base}/console/contracts/new", form=form)  # what a second press sends
    assert second.url == made
    await page.reload()
    await page.go_back()
    assert await page.locator("h1").inner_text() == "New contract"
    listed = (await acme.admin.get("/v2/contracts")).json()["data"]
    assert [each["attributes"]["name"] for each in listed].count("Northwind") == 1


async def test_an_account_at_a_real_provider_from_signing_in_to_the_stored_tokens(
    page: "Page", listening: World, start_oidc_provider: Start
) -> None:
    globex, base = listening.tenants["Globex"], listening.settings.public_url
    client = RegisteredClient(redirect_uris=(f"{base}/callback/oauth2",))
    provider = start_oidc_provider(OidcOptions(clients=(client,)))
    descriptor = oauth_component(
        provider.authorization_endpoint, provider.token_endpoint, scopes=["openid", "offline_access"], prompt="consent"
    )
    component = await listening.add_component(listening.tenants["Acme"], "connected", descriptor, access="global")
    await add_oauth_client(listening, "Globex", component, client.client_id, client.client_secret)
    await give_password(listening, globex, globex.integrator)
    await page.goto(f"{base}/console/workspaces/{globex.workspace_id}")
    await sign_in(page, globex.integrator.name)
    await page.get_by_role("link", name="Connect an account").first.click()
    await page.get_by_role("link", name="Choose Connected").click()
    await page.get_by_label("Name").fill("Mailbox")
    await page.get_by_role("button", name="Go on to the provider").click()
    await page.get_by_role("link", name="Go on to").first.click()
    await page.get_by_text("The account is connected").first.wait_for()
    (credential,) = await stored(listening, "Globex")
    assert credential["attributes"]["keys"]["oauth"]["refresh_token"]
    assert credential["attributes"]["name"] == "Mailbox"
