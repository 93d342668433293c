"""How clients authenticate at the token endpoint, to the byte, wherever they do (contract 20.3, 0.23, issue 8.17)."""

from base64 import b64encode
from collections.abc import Callable
from itertools import product
from typing import Any
from urllib.parse import parse_qs

import pytest

from keyrack.provider.client import ProviderClient
from keyrack.service.secrets.revocation import Revoker
from support.app import BASE, World, error_of, relationship
from support.auth_clients import change
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK, come_back, connect, oauth_component, query_of, start
from support.raw_provider import RawProvider, json_answer

CLIENT_ID, SECRET = "a%/+ \u00e9", "s:b%/+ \u00e9&="
ENCODED = "a%25%2F%2B+%C3%A9:s%3Ab%25%2F%2B+%C3%A9%26%3D"
HEADERS = {
    "basic": "Basic " + b64encode(ENCODED.encode()).decode(),
    "basic_raw": "Basic " + b64encode(f"{CLIENT_ID}:{SECRET}".encode()).decode(),
}
IN_THE_BODY = {"post": {"client_id": CLIENT_ID, "client_secret": SECRET}, "none": {"client_id": CLIENT_ID}}
METHODS = ["post", "basic", "basic_raw", "none"]
TOKENS = '{"access_token": "at-%d", "refresh_token": "rt-%d", "expires_in": 3600, "token_type": "Bearer"}'


@pytest.fixture
def provider(raw_provider: RawProvider) -> RawProvider:
    raw_provider.answers = [json_answer(TOKENS % (number, number)) for number in range(1, 9)]
    return raw_provider


def how(request: bytes) -> tuple[str | None, dict[str, str]]:
    """Return the Authorization header of a request, and what of the client is in its body."""
    head, _, body = request.partition(b"\r\n\r\n")
    lines = [line.partition(b": ") for line in head.split(b"\r\n")[1:]]
    sent = [value.decode("ascii") for name, _, value in lines if name.lower() == b"authorization"]
    assert len(sent) <= 1
    form = {name: values for name, values in parse_qs(body.decode("ascii")).items() if name.startswith("client_")}
    assert all(len(values) == 1 for values in form.values())
    return next(iter(sent), None), {name: values[0] for name, values in form.items()}


def wanted(method: str) -> tuple[str | None, dict[str, str]]:
    return HEADERS.get(method), IN_THE_BODY.get(method, {})


async def oauth_client(keyrack: World, component_id: str, **attributes: Any) -> Any:
    globex = keyrack.tenants["Globex"]
    given = {"client_id": CLIENT_ID, "client_secret": SECRET, **attributes}
    body = {"type": "oauth-client", "attributes": given}
    body["relationships"] = {"component": relationship("component", component_id)}
    return await globex.admin.post(f"/v2/tenants/{globex.id}/oauth-clients", {"data": body})


async def come_back_with_a_code(keyrack: World, who: Any, workspace_id: str, named: dict[str, Any]) -> str:
    """Start a consent and be the browser that the provider sends back; return the consent's id."""
    data = {"type": "oauth-consent", "attributes": {}, "relationships": named}
    started = await who.post(f"/v2/workspaces/{workspace_id}/oauth-consents", {"data": data})
    assert started.status_code == 201, started.text
    address = query_of(started.json()["data"]["attributes"]["authorization_url"])
    assert address["code_challenge_method"] == "S256"
    page = await come_back(keyrack, f"{CALLBACK}?code=c&state={address['state']}")
    assert page.status_code == 200, page.text
    consent_id: str = started.json()["data"]["id"]
    return consent_id


async def test_the_tenants_choice_for_an_oauth_client_beats_the_descriptors(
    keyrack: World, provider: RawProvider
) -> None:
    globex = keyrack.tenants["Globex"]
    for number, (declared, chosen) in enumerate(product((None, *METHODS), repeat=2)):
        oauth2 = {} if declared is None else {"client_auth": declared}
        descriptor = oauth_component(f"{provider.url}/authorize", provider.token_endpoint, **oauth2)
        name = f"component-{number}"
        component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, descriptor, access="global")
        made = await oauth_client(keyrack, component_id, **({} if chosen is None else {"client_auth": chosen}))
        assert made.json()["data"]["attributes"].get("client_auth") == chosen
        named = {"component": relationship("component", component_id)}
        await come_back_with_a_code(keyrack, globex.integrator, globex.workspace_id, named)
        assert how(provider.requests[-1]) == wanted(chosen or declared or "post"), (declared, chosen)


@pytest.mark.parametrize("by", ["the client", "the component", "both"])
@pytest.mark.parametrize("method", METHODS)
async def test_exchange_refresh_and_revocation_authenticate_alike(
    keyrack: World, provider: RawProvider, method: str, by: str
) -> None:
    acme = keyrack.tenants["Acme"]
    declared = {"the client": {}, "the component": {"client_auth": method}, "both": {"client_auth": "basic"}}[by]
    block = {"title": "Second", "authClientTypes": ["oauth2"], "credentials": {"oauth2": {"scopes": ["a"], **declared}}}
    component_id = await keyrack.add_component(acme, "second", block, access="global")
    given = {
        "client_id": CLIENT_ID,
        "client_secret": SECRET,
        "auth_uri": f"{provider.url}/authorize",
        "token_uri": provider.token_endpoint,
        "revocation_uri": f"{provider.url}/revoke",
        **({} if by == "the component" else {"client_auth": method}),
    }
    made = await add_auth_client(keyrack, component_id, given)
    assert made.status_code == 201, made.text
    client_id = made.json()["data"]["id"]
    named = {
        "auth_client": relationship("auth-client", client_id),
        "component": relationship("component", component_id),
    }
    await come_back_with_a_code(keyrack, acme.integrator, acme.workspace_id, named)
    secrets = f"/v2/workspaces/{acme.workspace_id}/secrets"
    (connected,) = (await acme.integrator.get(secrets)).json()["data"]
    tokens = {"access_token": "at-0", "refresh_token": "rt-0"}
    data = {"type": "auth-secret", "attributes": {"name": "by hand", "credentials": tokens}}
    data["relationships"] = {"auth_client": relationship("auth-client", client_id)}
    by_hand = (await acme.integrator.post(secrets, {"data": data})).json()["data"]
    for secret in (connected, by_hand):
        refreshed = await acme.integrator.post(f"{secrets}/{secret['id']}/refresh")
        assert refreshed.status_code == 200, refreshed.text
        assert (await acme.integrator.delete(f"{secrets}/{secret['id']}")).status_code == 204
    async with ProviderClient(allow_insecure=True, timeout=20.0) as sending:
        revoker = Revoker(keyrack.store, sending, timeout=20.0, patience=60.0)
        while await revoker.tick():
            pass
        await revoker.close()
    paths = [request.split()[1] for request in provider.requests]
    assert paths.count(b"/token") == 3
    assert paths.count(b"/revoke") >= 2
    assert [how(request) for request in provider.requests] == [wanted(method)] * len(paths)


async def test_what_a_client_says_later_holds_for_what_a_component_said(keyrack: World, provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    oauth2 = {"scopes": ["a"], "client_auth": "basic"}
    block = {"title": "Second", "authClientTypes": ["oauth2"], "credentials": {"oauth2": oauth2}}
    component_id = await keyrack.add_component(acme, "second", block, access="global")
    given = {"client_id": CLIENT_ID, "client_secret": SECRET, "auth_uri": f"{provider.url}/authorize"}
    made = await add_auth_client(keyrack, component_id, {**given, "token_uri": provider.token_endpoint})
    client_id = made.json()["data"]["id"]
    named = {
        "auth_client": relationship("auth-client", client_id),
        "component": relationship("component", component_id),
    }
    await come_back_with_a_code(keyrack, acme.integrator, acme.workspace_id, named)
    secrets = f"/v2/workspaces/{acme.workspace_id}/secrets"
    (secret,) = (await acme.integrator.get(secrets)).json()["data"]
    for said, used in ((None, "basic"), ("post", "post"), (None, "basic")):
        credentials = change({"credentials": {"client_auth": said}})
        assert (await acme.integrator.patch(f"/v2/auth-clients/{client_id}", credentials)).status_code == 200
        assert (await acme.integrator.post(f"{secrets}/{secret['id']}/refresh")).status_code == 200
        assert how(provider.requests[-1]) == wanted(used), said


async def add_auth_client(keyrack: World, component_id: str, credentials: dict[str, Any]) -> Any:
    acme = keyrack.tenants["Acme"]
    relationships = {
        "components": {"data": [{"id": component_id, "type": "component"}]},
        "workspace": relationship("workspace", acme.workspace_id),
    }
    attributes = {"name": "App", "type": "oauth2", "credentials": credentials}
    body = {"data": {"type": "auth-client", "attributes": attributes, "relationships": relationships}}
    return await acme.integrator.post("/v2/auth-clients", body)


async def test_what_a_method_cannot_carry_is_refused_where_it_is_said(keyrack: World) -> None:  # RFC 7617 section 2
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    component_id = await keyrack.add_component(
        acme, "one", oauth_component("https://a.example/authorize", "https://a.example/token"), access="global"
    )
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"client_auth": "basic_raw", "client_id": "a:b"}, "client_id"),
        ({"client_auth": "basic_raw", "client_id": "a\tb"}, "client_id"),
        ({"client_auth": "basic_raw", "client_secret": "a\r\nb"}, "client_secret"),
        ({"client_auth": "basic_raw", "client_secret": "a\u0085b"}, "client_secret"),
        ({"client_auth": "basic", "client_secret": ""}, "client_secret"),
        ({"client_secret": ""}, "client_secret"),
        ({"client_auth": "client_secret_basic"}, "client_auth"),
        ({"client_auth": ""}, "client_auth"),
        ({"client_auth": "Basic"}, "client_auth"),
        ({"client_auth": 1}, "client_auth"),
    ]
    endpoints = {"auth_uri": "https://a.example/authorize", "token_uri": "https://a.example/token"}
    second = await keyrack.add_component(acme, "two", {"title": "Two", "authClientTypes": ["oauth2"]}, "global")
    for attributes, name in wrong:
        answer = await oauth_client(keyrack, component_id, **attributes)
        assert error_of(answer) == (400, "validation_error", f"/data/attributes/{name}"), attributes
        credentials = {"client_id": "id", "client_secret": "shh", **endpoints, **attributes}
        answer = await add_auth_client(keyrack, second, credentials)
        assert error_of(answer) == (400, "validation_error", f"/data/attributes/credentials/{name}"), attributes
    for attributes in ({"client_auth": "basic", "client_id": "a:b"}, {"client_auth": "none", "client_secret": ""}):
        made = await add_auth_client(
            keyrack, second, {"client_id": "id", "client_secret": "shh", **endpoints, **attributes}
        )
        assert made.status_code == 201, made.text
    client = f"/v2/auth-clients/{made.json()['data']['id']}"
    assert "client_secret" not in made.json()["data"]["attributes"]["credentials"]
    for credentials in ({"client_auth": "post"}, {"client_auth": None}, {"client_auth": "basic", "client_secret": ""}):
        answer = await acme.integrator.patch(client, change({"credentials": credentials}))
        assert error_of(answer)[2] == "/data/attributes/credentials/client_secret", credentials
    sealed = await acme.integrator.patch(
        client, change({"credentials": {"client_auth": "post", "client_secret": "shh"}})
    )
    assert sealed.json()["data"]["attributes"]["credentials"]["client_secret"] == "shh"
    opened = await acme.integrator.patch(
        client, change({"credentials": {"client_auth": "none", "client_secret": None}})
    )
    assert "client_secret" not in opened.json()["data"]["attributes"]["credentials"]
    colon = await add_auth_client(keyrack, second, {"client_id": "a:b", "client_secret": "shh", **endpoints})
    client = f"/v2/auth-clients/{colon.json()['data']['id']}"
    answer = await acme.integrator.patch(client, change({"credentials": {"client_auth": "basic_raw"}}))
    assert error_of(answer)[2] == "/data/attributes/credentials/client_auth", "what was sent, not what stays"
    declared = oauth_component("https://a.example/authorize", "https://a.example/token", client_auth="basic_raw")
    third = await keyrack.add_component(acme, "three", declared, access="global")
    assert (await oauth_client(keyrack, third, client_id="a:b")).status_code == 201, "the descriptor may change"
    answer = await start(globex.integrator, globex.workspace_id, third)
    assert error_of(answer) == (400, "validation_error", "/data/relationships/component/data/id")


async def test_a_change_that_does_not_name_the_method_keeps_it(keyrack: World) -> None:
    globex = keyrack.tenants["Globex"]
    descriptor = oauth_component("https://a.example/authorize", "https://a.example/token")
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "one", descriptor, access="global")
    made = (await oauth_client(keyrack, component_id, client_auth="none", client_secret="")).json()["data"]
    assert made["attributes"] == {"client_id": CLIENT_ID, "client_secret": "", "client_auth": "none"}
    path = f"/v2/tenants/{globex.id}/oauth-clients/{made['id']}"

    async def changed(**attributes: Any) -> Any:
        given = {"client_id": "id", "client_secret": "shh", **attributes}
        body = {"type": "oauth-client", "attributes": given}
        body["relationships"] = {"component": relationship("component", component_id)}
        return await globex.admin.patch(path, {"data": body})

    assert (await changed()).json()["data"]["attributes"]["client_auth"] == "none"
    assert (await globex.admin.get(path)).json()["data"]["attributes"]["client_auth"] == "none"
    assert error_of(await changed(client_auth=None, client_secret=""))[2] == "/data/attributes/client_secret"
    assert (await changed(client_auth="basic")).json()["data"]["attributes"]["client_auth"] == "basic"
    assert "client_auth" not in (await changed(client_auth=None)).json()["data"]["attributes"]
    assert "client_auth" not in (await globex.admin.get(path)).json()["data"]["attributes"]


async def test_a_public_client_at_a_real_provider(
    keyrack: World, start_oidc_provider: Callable[[OidcOptions], OidcProvider]
) -> None:
    registered = RegisteredClient(client_secret="", redirect_uris=(CALLBACK,), token_endpoint_auth_method="none")
    server = start_oidc_provider(OidcOptions(clients=(registered,), pkce_required=True))
    offline = {"scopes": ["openid", "offline_access"], "prompt": "consent"}
    descriptor = oauth_component(server.authorization_endpoint, server.token_endpoint, **offline)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "public", descriptor, access="global")
    made = await oauth_client(keyrack, component_id, client_id="client", client_secret="", client_auth="none")
    assert made.status_code == 201, made.text
    globex = keyrack.tenants["Globex"]
    consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id)
    assert consent["attributes"]["status"] == "completed", consent


async def test_a_descriptor_of_a_public_client_needs_no_secret(keyrack: World, provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    descriptor = oauth_component(f"{provider.url}/authorize", provider.token_endpoint, client_auth="none")
    descriptor["useOAuthClient"] = False
    descriptor["credentials"]["oauth2"] |= {"client_id": CLIENT_ID, "client_secret": ""}
    component_id = await keyrack.add_component(acme, "legacy", descriptor)
    named = {"component": relationship("component", component_id)}
    await come_back_with_a_code(keyrack, acme.integrator, acme.workspace_id, named)
    assert how(provider.requests[-1]) == wanted("none")


async def test_head_of_a_callback_uses_nothing_up(keyrack: World, provider: RawProvider) -> None:  # contract 0.21
    acme = keyrack.tenants["Acme"]
    descriptor = oauth_component(f"{provider.url}/authorize", provider.token_endpoint)
    component_id = await keyrack.add_component(acme, "one", descriptor, access="global")
    assert (await oauth_client(keyrack, component_id)).status_code == 201
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    state = query_of(started["attributes"]["authorization_url"])["state"]
    for path in (
        f"/callback/oauth2?code=c&state={state}",
        "/callback/oauth2?state=x",
        "/callback/oauth1?oauth_token=x",
    ):
        for _ in range(2):
            answer = await keyrack.http.head(f"{BASE}{path}")
            assert (answer.status_code, answer.content) == (200, b"")
            assert answer.headers["content-type"].startswith("text/html")
    assert provider.requests == []
    assert (await come_back(keyrack, f"{CALLBACK}?code=c&state={state}")).status_code == 200
    assert len(provider.requests) == 1
