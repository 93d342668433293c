"""Consents against Django OAuth Toolkit, a second real authorization server (issue 2.1, 2.4)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from support.app import BASE, World
from support.authorization_servers import DjangoOAuth, DjangoOAuthOptions, RegisteredClient, fetch, token_request
from support.consent import (
    CALLBACK,
    add_oauth_client,
    approve,
    come_back,
    connect,
    keys_of,
    oauth_component,
    query_of,
    start,
    stored,
)
from support.profiled_clients import connected as reconnected
from support.profiled_clients import profiled_client

Start = Callable[[DjangoOAuthOptions], DjangoOAuth]
CLIENT = RegisteredClient(redirect_uris=(CALLBACK,))


async def component_at(keyrack: World, server: DjangoOAuth, secret: str = CLIENT.client_secret, **oauth2: Any) -> str:
    oauth2 = {"scopes": ["read"]} | oauth2
    descriptor = oauth_component(server.authorization_endpoint, server.token_endpoint, **oauth2)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, server.client.client_id, secret)
    return component_id


async def connected(keyrack: World, component_id: str) -> dict[str, Any]:
    globex = keyrack.tenants["Globex"]
    return await connect(keyrack, globex.integrator, globex.workspace_id, component_id)


async def test_the_stored_tokens_work_and_rotate(keyrack: World, start_django_oauth: Start) -> None:
    server = start_django_oauth(DjangoOAuthOptions(clients=(CLIENT,)))
    consent = await connected(keyrack, await component_at(keyrack, server))
    assert consent["attributes"]["status"] == "completed", consent
    oauth = (await keys_of(keyrack, "Globex", consent))["oauth"]
    assert (oauth["scope"], oauth["token_type"], oauth["expires_in"]) == ("read", "Bearer", 3600)
    assert oauth["undefined_params"] == {}
    me = await fetch(server.resource, oauth["access_token"])
    assert me.json() == {"sub": "person"}
    form = {"grant_type": "refresh_token", "refresh_token": oauth["refresh_token"]}
    status, refreshed = await token_request(server.token_endpoint, server.client, **form)
    assert status == 200
    assert refreshed["refresh_token"] != oauth["refresh_token"]


async def test_basic_client_authentication(keyrack: World, start_django_oauth: Start) -> None:
    client = replace(CLIENT, client_id="app one", client_secret="100%+a:b=c&d")
    server = start_django_oauth(DjangoOAuthOptions(clients=(client,)))
    component_id = await component_at(keyrack, server, client.client_secret, client_auth="basic")
    consent = await connected(keyrack, component_id)
    assert consent["attributes"]["status"] == "completed", consent


async def test_wrong_secret(keyrack: World, start_django_oauth: Start) -> None:
    server = start_django_oauth(DjangoOAuthOptions(clients=(CLIENT,)))
    consent = await connected(keyrack, await component_at(keyrack, server, "not-the-secret"))
    assert consent["attributes"]["status"] == "failed"
    assert "invalid_client" in consent["attributes"]["error"]
    assert "not-the-secret" not in str(consent)


async def test_a_scope_it_does_not_have(keyrack: World, start_django_oauth: Start) -> None:
    server = start_django_oauth(DjangoOAuthOptions(clients=(CLIENT,)))
    consent = await connected(keyrack, await component_at(keyrack, server, scopes=["fly"]))
    assert consent["attributes"]["status"] == "failed"
    assert "invalid_scope" in consent["attributes"]["error"]


async def test_a_replayed_code_of_another_consent_is_refused(keyrack: World, start_django_oauth: Start) -> None:
    server = start_django_oauth(DjangoOAuthOptions(clients=(CLIENT,)))
    component_id = await component_at(keyrack, server)
    globex = keyrack.tenants["Globex"]
    first = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]["attributes"]
    callback = await approve(first["authorization_url"])
    assert (await come_back(keyrack, callback)).status_code == 200
    second = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]["attributes"]
    state = query_of(second["authorization_url"])["state"]
    page = await come_back(keyrack, f"{BASE}/callback/oauth2?code={query_of(callback)['code']}&state={state}")
    assert page.status_code == 400
    assert "invalid_grant" in page.text
    assert len(await stored(keyrack, "Globex")) == 1


async def test_an_auth_client_refreshes_there_and_revokes_both_tokens(
    keyrack: World, start_django_oauth: Start
) -> None:
    server = start_django_oauth(DjangoOAuthOptions(clients=(CLIENT,)))
    profile = {
        "name": "django",
        "endpoints": {
            "authorization": server.authorization_endpoint,
            "token": server.token_endpoint,
            "revocation": f"{server.address}/o/revoke_token/",
        },
        "client_authentication": {"method": "client_secret_basic"},
        "scopes": {"default": ["read"]},
        "lifetimes": {"rotates": True},
    }
    client_id = await profiled_client(keyrack, profile, client_id=CLIENT.client_id, client_secret=CLIENT.client_secret)
    path, acme = await reconnected(keyrack, client_id), keyrack.tenants["Acme"]
    first = (await acme.integrator.get(path)).json()["data"]["attributes"]["credentials"]
    renewed = await acme.integrator.post(f"{path}/refresh")
    assert renewed.status_code == 200, renewed.text
    now = renewed.json()["data"]["attributes"]["credentials"]
    assert now["refresh_token"] != first["refresh_token"]
    assert (await fetch(server.resource, now["access_token"])).json() == {"sub": "person"}
    assert (await acme.integrator.delete(path)).status_code == 204
    await keyrack.services.revoker.tick()
    assert (await fetch(server.resource, now["access_token"])).status_code in {401, 403}
    form = {"grant_type": "refresh_token", "refresh_token": now["refresh_token"]}
    status, refused = await token_request(server.token_endpoint, server.client, **form)
    assert (status, refused["error"]) == (400, "invalid_grant")
