"""The browser fixture: a real Chromium fills in the authorization server's own forms."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from support.authorization_servers import DjangoOAuth, OidcOptions, OidcProvider, RegisteredClient

if TYPE_CHECKING:
    from playwright.async_api import Page


async def test_signs_in_and_consents_on_the_default_forms(
    page: "Page", django_oauth: DjangoOAuth, start_oidc_provider: Callable[[OidcOptions], OidcProvider]
) -> None:
    callback = f"{django_oauth.address}/landing"  # any loopback server will do; it answers 404
    client = RegisteredClient(redirect_uris=(callback,))
    server = start_oidc_provider(OidcOptions(clients=(client,), approval="forms", pkce_required=False))
    request = f"client_id=client&response_type=code&redirect_uri={callback}&scope=openid&state=some-state"
    await page.goto(f"{server.authorization_endpoint}?{request}")
    await page.fill('input[name="login"]', "maria")
    await page.fill('input[name="password"]', "anything")
    await page.click('button[type="submit"]')
    await page.click('button[type="submit"]:has-text("Continue")')
    await page.wait_for_url(f"{callback}?*")
    assert "state=some-state" in page.url
    assert "code=" in page.url


async def test_each_page_starts_without_cookies(page: "Page", oidc_provider: OidcProvider) -> None:
    await page.goto(f"{oidc_provider.issuer}/.well-known/openid-configuration")
    assert oidc_provider.token_endpoint in await page.content()
    assert await page.context.cookies() == []
