"""The Django OAuth Toolkit fixture: a consent, its tokens, rotation and the consent page."""

from collections.abc import Callable

import httpx2

from support.authorization_servers import (
    DEFAULT_REDIRECT_URI,
    DjangoOAuth,
    DjangoOAuthOptions,
    consent,
    exchange,
    fetch,
    token_request,
)

Start = Callable[[DjangoOAuthOptions], DjangoOAuth]


async def test_automatic_consent_gives_tokens_that_rotate(django_oauth: DjangoOAuth) -> None:
    server = django_oauth
    callback, verifier = await consent(server.authorization_endpoint, server.client, scope="read")
    assert callback["state"] == "some-state"
    tokens = await exchange(server.token_endpoint, server.client, callback["code"], verifier)
    assert tokens["expires_in"] == 3600
    assert (await fetch(server.resource, tokens["access_token"])).json() == {"sub": "person"}

    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    status, refreshed = await token_request(server.token_endpoint, server.client, **refresh)
    assert status == 200
    assert refreshed["refresh_token"] != tokens["refresh_token"]
    status, reused = await token_request(server.token_endpoint, server.client, **refresh)
    assert (status, reused["error"]) == (400, "invalid_grant")


async def test_pkce_is_checked(django_oauth: DjangoOAuth) -> None:
    server = django_oauth
    callback, _ = await consent(server.authorization_endpoint, server.client, scope="read")
    form = {"code": callback["code"], "redirect_uri": DEFAULT_REDIRECT_URI, "code_verifier": "x" * 43}
    status, refused = await token_request(server.token_endpoint, server.client, grant_type="authorization_code", **form)
    assert (status, refused["error"]) == (400, "invalid_grant")


async def test_lifetime_and_rotation_are_options(start_django_oauth: Start) -> None:
    server = start_django_oauth(DjangoOAuthOptions(rotate=False, access_token_ttl=2, pkce_required=False))
    callback, verifier = await consent(server.authorization_endpoint, server.client, scope="read write")
    tokens = await exchange(server.token_endpoint, server.client, callback["code"], verifier)
    assert tokens["expires_in"] == 2
    refresh = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
    _, refreshed = await token_request(server.token_endpoint, server.client, **refresh)
    assert refreshed["refresh_token"] == tokens["refresh_token"]


async def test_forms_show_a_consent_page(start_django_oauth: Start) -> None:
    server = start_django_oauth(DjangoOAuthOptions(approval="forms", pkce_required=False))
    request = {"client_id": "client", "response_type": "code", "redirect_uri": DEFAULT_REDIRECT_URI, "scope": "read"}
    async with httpx2.AsyncClient() as browser:
        page = await browser.get(server.authorization_endpoint, params=request)
    assert page.status_code == 200
    assert 'name="allow"' in page.text
    assert server.started_in < 20
