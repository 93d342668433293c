"""A component's `oauth2` block may have a provider profile: it says how the provider is talked to, never where."""

import json
from typing import Any

import pytest

from support.app import World, error_of, relationship
from support.consent import add_oauth_client, come_back, oauth_component, query_of, start
from support.grants import add_auth_client
from support.provider_profiles import make, profile_at
from support.raw_provider import LoopbackServers, RawConsents, RawProvider, json_answer, tokens_answer

TOKENS = {"data": {"tok": "at", "refresh_token": "rt"}, "team": {"name": "Acme"}}


@pytest.fixture
async def evil() -> Any:
    """A server of the component's developer, where nothing may arrive."""
    servers = LoopbackServers()
    port = await servers.answer(json_answer("{}"))
    yield servers, f"http://127.0.0.1:{port}"
    await servers.stop()


def elsewhere(url: str) -> dict[str, str]:
    """Return every address that a profile can name."""
    names = ("authorization", "token", "refresh", "exchange", "revocation", "introspection", "userinfo", "issuer")
    return {name: f"{url}/{name}" for name in names}


async def test_a_component_s_client_talks_as_the_profile_says_and_where_the_block_says(
    keyrack: World, raw_provider: RawProvider, evil: Any
) -> None:
    servers, url = evil
    profile = {
        "endpoints": {**elsewhere(url), "exchange": None},
        "authorization": {"parameters": {"prompt": "{mode}"}, "rename": {"client_id": "app"}},
        "token": {"body": "json", "parameters": {"secret": "{client_secret}"}, "headers": {"x-id": "{client_id}"}},
        "client_authentication": {"method": "fields"},
        "inputs": {"mode": {"default": "login"}},
        "scopes": {"separator": ",", "default": ["a", "b"]},
        "answer": {"objects": ["data"], "access_token": ["tok"], "account": ["team.name"]},
        "callback": {"learned": ["realmId"]},
        "pkce": "off",
    }
    owner, user = keyrack.tenants["Acme"], await keyrack.add_tenant("Bolt")
    descriptor = oauth_component(f"{raw_provider.url}/authorize", raw_provider.token_endpoint, provider_profile=profile)
    component = await keyrack.add_component(owner, "shared", descriptor, access="global")
    await add_oauth_client(keyrack, "Bolt", component, "bolt-app", "bolt-secret")
    begun = await start(user.integrator, user.workspace_id, component)
    assert begun.status_code == 201, begun.text
    address = begun.json()["data"]["attributes"]["authorization_url"]
    assert address.startswith(f"{raw_provider.url}/authorize?")
    asked = query_of(address)
    assert (asked["prompt"], asked["app"], asked["scope"]) == ("login", "bolt-app", "a,b")
    assert "code_challenge" not in asked
    assert "provider_profile" not in asked
    raw_provider.answers = [json_answer(json.dumps(TOKENS))]
    page = await come_back(keyrack, f"/callback/oauth2?code=c&realmId=9&state={asked['state']}")
    assert page.status_code == 200, page.text
    (request,) = raw_provider.requests
    head, _, body = request.partition(b"\r\n\r\n")
    assert b"x-id: bolt-app" in head
    sent = json.loads(body)
    assert (sent["secret"], sent["code"]) == ("bolt-secret", "c")
    assert "client_id" not in sent
    assert servers.requests == []
    consents = f"/v2/workspaces/{user.workspace_id}/oauth-consents"
    done = (await user.integrator.get(f"{consents}/{begun.json()['data']['id']}")).json()["data"]
    credential = done["relationships"]["credential"]["data"]["id"]
    found = await user.integrator.get(f"/v2/credentials/{credential}")
    assert found.json()["data"]["attributes"]["account_label"] == "Acme"


async def test_a_block_s_profile_says_nothing_of_auth_clients(
    keyrack: World, raw_provider: RawProvider, evil: Any
) -> None:
    """The developer of a shared component must not have another tenant's secret, nor change what its client sends."""
    servers, url = evil
    profile = {
        "endpoints": elsewhere(url),
        "token": {"parameters": {"stolen": "{client_secret}"}, "headers": {"x-stolen": "yes"}},
        "client_authentication": {"method": "fields"},
    }
    owner = await keyrack.add_tenant("Bolt")
    block = {"provider_profile": profile, "userinfo_uri": f"{url}/me"}
    descriptor = {"title": "Evil", "authClientTypes": ["oauth2"], "credentials": {"oauth2": block}}
    component = await keyrack.add_component(owner, "evil", descriptor, access="global")
    desk = RawConsents(keyrack, raw_provider)
    everyones = (await add_auth_client(keyrack.store, "", raw_provider.token_endpoint)).id
    assert (await make(desk, profile_at(desk))).status_code == 201
    path = f"/v2/auth-clients/{desk.client_id}"
    linked: dict[str, Any] = {"components": {"data": [{"type": "component", "id": component}]}}
    linked |= {"tenant": relationship("tenant", desk.tenant.id)}
    data = {"type": "auth-client", "id": desk.client_id, "relationships": linked}
    assert (await desk.tenant.admin.patch(path, {"data": data})).status_code == 200
    raw_provider.answers = [tokens_answer()]
    for client, of_component in ((desk.client_id, component), (everyones, None)):
        named = {"auth_client": relationship("auth-client", client)}
        if of_component is not None:
            named["component"] = relationship("component", of_component)
        consents = f"/v2/workspaces/{desk.tenant.workspace_id}/oauth-consents"
        begun = await desk.who.post(consents, {"data": {"type": "oauth-consent", "relationships": named}})
        assert begun.status_code == 201, begun.text
        done = await desk.finish(begun.json()["data"])
        assert done["attributes"]["status"] == "completed", done
        secret_id = done["relationships"]["auth_secret"]["data"]["id"]
        await desk.refresh(secret_id, tokens_answer())
        assert (await desk.who.delete(desk.path(secret_id))).status_code == 204
        await keyrack.services.revoker.tick()
    assert servers.requests == []
    assert all(b"stolen" not in request for request in raw_provider.requests)


@pytest.mark.parametrize(
    ("profile", "pointer", "detail"),
    [
        ("slak", "", "is it slack?"),
        (7, "", "must be an object"),
        ({"pkec": "off"}, "", "unknown field"),
        ({"grant": "client_credentials"}, "", "the grant client_credentials cannot be used"),
        ({"client_authentication": {"method": "private_key_jwt"}}, "", "the client authentication private_key_jwt"),
        ({"token": {"parameters": {"code": "mine"}}}, "/token/parameters/code", "cannot be replaced"),
        ("instagram", "", "an exchange of the first token"),
    ],
)
async def test_a_build_with_a_profile_that_cannot_be_used_is_refused(
    keyrack: World, profile: Any, pointer: str, detail: str
) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "plain", {"title": "Plain"})
    descriptor = oauth_component("https://as.example/a", "https://as.example/t", provider_profile=profile)
    data = {"type": "version", "attributes": {"descriptor": descriptor}}
    refused = await acme.admin.post(f"/v2/components/{component}/versions", {"data": data})
    assert error_of(refused)[:2] == (400, "validation_error")
    (error,) = refused.json()["errors"]
    at = "/data/attributes/descriptor/credentials/oauth2/provider_profile"
    assert error["source"] == {"pointer": f"{at}{pointer}"}
    assert detail in error["detail"]
