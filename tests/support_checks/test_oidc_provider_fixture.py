"""The oidc-provider fixture: a consent, its tokens, rotation, denial and the default pages."""

from collections.abc import Callable

import httpx2

from support.authorization_servers import (
    DEFAULT_REDIRECT_URI,
    OidcOptions,
    OidcProvider,
    consent,
    exchange,
    fetch,
    token_request,
)

Start = Callable[[OidcOptions], OidcProvider]

OFFLINE = {"scope": "openid offline_access", "prompt": "consent"}


async def test_automatic_consent_gives_tokens_that_rotate(oidc_provider: OidcProvider) -> None:
    server = oidc_provider
    callback, verifier = await consent(server.authorization_endpoint, server.client, **OFFLINE)
    assert callback["state"] == "some-state"
    assert callback["iss"] == server.issuer
    tokens = await exchange(server.token_endpoint, server.client, callback["code"], verifier)
    assert tokens["expires_in"] == 3600
    assert (await fetch(server.userinfo_endpoint, tokens["access_token"])).json() == {"sub": "person"}

    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    status, refreshed = await token_request(server.token_endpoint, server.client, **refresh)
    assert status == 200
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    status, reused = await token_request(server.token_endpoint, server.client, **refresh)
    assert (status, reused["error"]) == (400, "invalid_grant")


async def test_denial(start_oidc_provider: Start) -> None:
    server = start_oidc_provider(OidcOptions(approval="deny"))
    callback, _ = await consent(server.authorization_endpoint, server.client, **OFFLINE)
    assert callback["error"] == "access_denied"


async def test_lifetime_rotation_and_pkce_are_options(start_oidc_provider: Start) -> None:
    server = start_oidc_provider(OidcOptions(rotate=False, access_token_ttl=2, pkce_required=False))
    callback, verifier = await consent(server.authorization_endpoint, server.client, **OFFLINE)
    tokens = await exchange(server.token_endpoint, server.client, callback["code"], verifier)
    assert tokens["expires_in"] == 2
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    _, refreshed = await token_request(server.token_endpoint, server.client, **refresh)
    assert refreshed["refresh_token"] == tokens["refresh_token"]


async def test_forms_show_a_login_page(start_oidc_provider: Start) -> None:
    server = start_oidc_provider(OidcOptions(approval="forms", pkce_required=False))
    request = {"client_id": "client", "response_type": "code", "redirect_uri": DEFAULT_REDIRECT_URI, "scope": "openid"}
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        page = await browser.get(server.authorization_endpoint, params=request)
    assert page.status_code == 200
    assert 'name="login"' in page.text
    assert server.started_in < 20


async def test_stopping_ends_the_process(start_oidc_provider: Start) -> None:
    server = start_oidc_provider(OidcOptions())
    assert server.process.is_running()
    server.process.stop()
    assert not server.process.is_running()
