"""Consents against oidc-provider, a certified OpenID provider (issue 2.4)."""

from collections.abc import Callable
from typing import Any

import httpx2

from support.app import BASE, World
from support.clients import RegisteredClient
from support.consent import CALLBACK, add_oauth_client, approve, come_back, connect, oauth_component, query_of, start
from support.oidc_provider import OidcOptions, OidcProvider

Start = Callable[[OidcOptions], OidcProvider]
OFFLINE: dict[str, Any] = {"scopes": ["openid", "offline_access"], "prompt": "consent"}


def registered(method: str = "client_secret_post") -> RegisteredClient:
    return RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method=method)


async def component_at(keyrack: World, provider: OidcProvider, secret: str | None = None, **oauth2: Any) -> str:
    descriptor = oauth_component(provider.authorization_endpoint, provider.token_endpoint, **oauth2)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
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
