"""Consents against oidc-provider, a certified OpenID provider (issue 2.4)."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest

from support.app import BASE, World
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import (
    CALLBACK,
    add_oauth_client,
    approve,
    come_back,
    connect,
    keys_of,
    oauth_component,
    query_of,
    seen,
    start,
    stored,
)

Start = Callable[[OidcOptions], OidcProvider]
OFFLINE: dict[str, Any] = {"scopes": ["openid", "offline_access"], "prompt": "consent"}


def registered(method: str = "client_secret_post") -> RegisteredClient:
    return RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method=method)


async def component_at(
    keyrack: World, provider: OidcProvider, secret: str | None = None, name: str = "connected", **oauth2: Any
) -> str:
    descriptor = oauth_component(provider.authorization_endpoint, provider.token_endpoint, **oauth2)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, descriptor, access="global")
    client = provider.client
    await add_oauth_client(keyrack, "Globex", component_id, client.client_id, secret or client.client_secret)
    return component_id


async def connected(keyrack: World, component_id: str) -> dict[str, Any]:
    globex = keyrack.tenants["Globex"]
    return await connect(keyrack, globex.integrator, globex.workspace_id, component_id)


async def test_offline_access_with_pkce_gives_a_refresh_token(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),), pkce_required=True))
    consent = await connected(keyrack, await component_at(keyrack, provider, **OFFLINE))
    assert consent["attributes"]["status"] == "completed", consent
    credential_id = consent["relationships"]["credential"]["data"]["id"]
    found = await keyrack.tenants["Globex"].integrator.get(f"/v2/credentials/{credential_id}")
    oauth = found.json()["data"]["attributes"]["keys"]["oauth"]
    async with httpx2.AsyncClient() as client:
        me = await client.get(provider.userinfo_endpoint, headers={"authorization": f"Bearer {oauth['access_token']}"})
    assert me.status_code == 200, "the stored access token works"
    assert oauth["refresh_token"]


async def test_without_offline_access_nothing_is_stored(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    consent = await connected(keyrack, await component_at(keyrack, provider, scopes=["openid"]))
    assert consent["attributes"]["status"] == "failed"
    assert "offline_access" in consent["attributes"]["error"]


async def test_basic_client_authentication(keyrack: World, start_oidc_provider: Start) -> None:  # 20.3
    provider = start_oidc_provider(OidcOptions(clients=(registered("client_secret_basic"),)))
    consent = await connected(keyrack, await component_at(keyrack, provider, client_auth="basic", **OFFLINE))
    assert consent["attributes"]["status"] == "completed", consent


async def test_wrong_secret(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    consent = await connected(keyrack, await component_at(keyrack, provider, secret="wrong-secret", **OFFLINE))
    assert consent["attributes"]["status"] == "failed"
    assert "invalid_client" in consent["attributes"]["error"]
    assert "wrong-secret" not in str(consent)


async def test_denial(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),), approval="deny"))
    consent = await connected(keyrack, await component_at(keyrack, provider, **OFFLINE))
    assert consent["attributes"]["status"] == "failed"
    assert "access_denied" in consent["attributes"]["error"]


async def test_a_replayed_code_of_another_consent_is_refused(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    component_id = await component_at(keyrack, provider, **OFFLINE)
    globex = keyrack.tenants["Globex"]
    first = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]["attributes"]
    callback = await approve(first["authorization_url"])
    assert query_of(callback)["iss"] == provider.issuer, "sent without being asked for (RFC 9207)"
    assert (await come_back(keyrack, callback)).status_code == 200
    second = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]["attributes"]
    state = query_of(second["authorization_url"])["state"]
    replayed = f"{BASE}/callback/oauth2?code={query_of(callback)['code']}&state={state}"
    page = await come_back(keyrack, replayed)
    assert page.status_code == 400
    assert "invalid_grant" in page.text


def with_query(address: str, **changed: str) -> str:
    """Return an address with some parameters of its query changed, as somebody in the middle could."""
    base, _, query = address.partition("?")
    return f"{base}?{urlencode(dict(parse_qsl(query)) | changed)}"


async def begun(keyrack: World, component_id: str) -> tuple[str, str]:
    """Start a consent; return its id and its authorization URL."""
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    return started["id"], started["attributes"]["authorization_url"]


async def failed(keyrack: World, consent_id: str) -> str:
    """Insist that a consent failed and nothing was stored; return why."""
    ended = await seen(keyrack, "Globex", consent_id)
    assert ended["status"] == "failed"
    assert await stored(keyrack, "Globex") == []
    reason: str = ended["error"]
    return reason


async def test_a_code_for_another_verifier_is_refused(keyrack: World, start_oidc_provider: Start) -> None:  # RFC 7636
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    consent_id, url = await begun(keyrack, await component_at(keyrack, provider, **OFFLINE))
    asked = query_of(url)
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["code_challenge"]) == 43
    page = await come_back(keyrack, await approve(with_query(url, code_challenge="A" * 43)))
    assert page.status_code == 400
    assert "invalid_grant" in await failed(keyrack, consent_id)


async def test_without_pkce_a_server_that_requires_it_says_so(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),), pkce_required=True))
    consent_id, url = await begun(keyrack, await component_at(keyrack, provider, pkce=False, **OFFLINE))
    assert "code_challenge" not in query_of(url)
    page = await come_back(keyrack, await approve(url))
    assert page.status_code == 400
    assert "PKCE" in await failed(keyrack, consent_id)


async def test_a_foreign_state_does_not_use_up_ours(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    consent_id, url = await begun(keyrack, await component_at(keyrack, provider, **OFFLINE))
    callback = await approve(url)
    for wrong in ("", "x", query_of(callback)["state"] + "x", query_of(callback)["state"][:-1]):
        page = await come_back(keyrack, with_query(callback, state=wrong))
        assert page.status_code == 400
        assert "not valid" in page.text
    assert (await seen(keyrack, "Globex", consent_id))["status"] == "pending"
    assert (await come_back(keyrack, callback)).status_code == 200


async def test_a_replayed_callback_stores_nothing_more(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    _, url = await begun(keyrack, await component_at(keyrack, provider, **OFFLINE))
    callback = await approve(url)
    assert (await come_back(keyrack, callback)).status_code == 200
    before = await stored(keyrack, "Globex")
    again = await come_back(keyrack, callback)
    assert again.status_code == 200, "it is told what the first one led to (0.21)"
    assert await stored(keyrack, "Globex") == before
    tokens = before[0]["attributes"]["keys"]["oauth"]
    async with httpx2.AsyncClient() as component:
        body = {"grant_type": "refresh_token", **_body(provider, tokens)}
        refreshed = await component.post(provider.token_endpoint, data=body)
    assert refreshed.status_code == 200, (
        "a code sent twice would have killed what it gave (RFC 6749 4.1.2); it was sent once"
    )


def _body(provider: OidcProvider, tokens: dict[str, Any]) -> dict[str, str]:
    client = provider.client
    return {
        "refresh_token": tokens["refresh_token"],
        "client_id": client.client_id,
        "client_secret": client.client_secret,
    }


@pytest.mark.parametrize("offset", [("", "completed"), ("/", "failed")])
async def test_the_issuer_is_compared_exactly(
    keyrack: World, start_oidc_provider: Start, offset: tuple[str, str]
) -> None:
    ending, ends = offset
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    component_id = await component_at(keyrack, provider, issuer=provider.issuer + ending, **OFFLINE)
    assert (await connected(keyrack, component_id))["attributes"]["status"] == ends


async def test_a_known_issuer_that_is_missing_is_refused_where_it_is_announced(
    keyrack: World, start_oidc_provider: Start
) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),)))
    # this server announces it in its metadata (RFC 9207 section 3); who knows better can say that it is not so
    for says, status in ((None, 400), (True, 400), (False, 200)):
        told = {} if says is None else {"authorization_response_iss_parameter_supported": says}
        component_id = await component_at(keyrack, provider, None, str(says), issuer=provider.issuer, **told, **OFFLINE)
        _, url = await begun(keyrack, component_id)
        given = query_of(await approve(url))
        page = await come_back(keyrack, f"{CALLBACK}?{urlencode({'code': given['code'], 'state': given['state']})}")
        assert page.status_code == status, page.text
        assert status == 200 or "does not name the authorization server" in page.text


async def test_an_expired_code_is_refused(keyrack: World, start_oidc_provider: Start) -> None:
    provider = start_oidc_provider(OidcOptions(clients=(registered(),), code_ttl=1))
    consent_id, url = await begun(keyrack, await component_at(keyrack, provider, **OFFLINE))
    callback = await approve(url)
    await asyncio.sleep(2.1)  # the server counts whole seconds
    assert (await come_back(keyrack, callback)).status_code == 400
    assert "invalid_grant" in await failed(keyrack, consent_id)


async def test_basic_encodes_id_and_secret_first(keyrack: World, start_oidc_provider: Start) -> None:  # 20.3
    client = replace(registered("client_secret_basic"), client_id="a b/c", client_secret="100% + a:b=c&d-long-enough")
    provider = start_oidc_provider(OidcOptions(clients=(client,)))
    consent = await connected(keyrack, await component_at(keyrack, provider, client_auth="basic", **OFFLINE))
    assert consent["attributes"]["status"] == "completed", consent


async def test_a_component_keeps_a_rotating_refresh_token_through_us(
    keyrack: World, start_oidc_provider: Start
) -> None:  # 16, 18.3
    provider = start_oidc_provider(OidcOptions(clients=(registered(),), rotate=True))
    consent = await connected(keyrack, await component_at(keyrack, provider, **OFFLINE))
    first = (await keys_of(keyrack, "Globex", consent))["oauth"]
    body = _body(provider, first)
    async with httpx2.AsyncClient() as component:
        answer = await component.post(provider.token_endpoint, data={"grant_type": "refresh_token", **body})
        assert answer.status_code == 200, answer.text
        refreshed = answer.json()
        assert refreshed["refresh_token"] != first["refresh_token"]
        credential_id = consent["relationships"]["credential"]["data"]["id"]
        put = await keyrack.tenants["Globex"].integrator.put(
            f"/v1/accounts/{credential_id}", {"keys": {"oauth": refreshed}}
        )
        assert put.status_code == 200, put.text
        second = (await keys_of(keyrack, "Globex", consent))["oauth"]
        assert second["refresh_token"] == refreshed["refresh_token"]
        kept = {name: value for name, value in first["undefined_params"].items() if name != "id_token"}
        assert second["undefined_params"] == kept, "the component sent none; an ID token ends with its tokens"
        assert second.get("id_token") == refreshed.get("id_token")
        reuse = await component.post(provider.token_endpoint, data={"grant_type": "refresh_token", **body})
        assert reuse.json()["error"] == "invalid_grant", "the rotated one is dead"
