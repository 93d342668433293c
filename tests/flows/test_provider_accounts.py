"""Whose account at the provider a connection is; asking for it never makes a consent fail (decision 33)."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import World, relationship
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK, add_oauth_client, oauth_component
from support.consent import connect as consent_of
from support.grants import component_for
from support.raw_provider import LoopbackServers, RawConsents, RawProvider, http_answer, json_answer, tokens_answer
from support.secrets import changes

SLACK = {"team": {"name": "Acme \u202eInc"}, "authed_user": {"id": "U1"}, "members": [{"login": "first"}]}


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    return RawConsents(keyrack, raw_provider)


async def account(desk: RawConsents, *answers: bytes) -> tuple[Any, Any]:
    """Connect an account at a provider that answers so; return label and subject as the API shows them."""
    done = await desk.consent(*answers)
    assert done["attributes"]["status"] == "completed", done
    found = await desk.seen(done["relationships"]["auth_secret"]["data"]["id"])
    return found.get("account_label"), found.get("account_subject")


async def test_a_configured_path_leads_into_the_token_response(desk: RawConsents) -> None:
    await desk.begin(account_label_path="team.name", account_subject_path="authed_user.id")
    assert await account(desk, tokens_answer(**SLACK)) == ("Acme Inc", "U1")
    await desk.begin(account_label_path="members.0.login")
    assert await account(desk, tokens_answer(**SLACK)) == ("first", None)
    await desk.begin(account_label_path="access_token", account_subject_path="authed_user.token")
    assert await account(desk, tokens_answer(authed_user={"token": "x"})) == (None, None)
    await desk.begin(account_label_path="team.name")
    for odd in ({"name": ["x"]}, {"name": True}, "x", None, {"name": ""}):
        assert await account(desk, tokens_answer(team=odd)) == (None, None)
    long, _ = await account(desk, tokens_answer(team={"name": "\n<b>" + "x" * 10_000}))
    assert len(long) == 200
    assert long.startswith("<b>x")
    assert await account(desk, tokens_answer(team={"name": "at-new rt-new"})) == ("*** ***", None)


async def test_the_userinfo_endpoint_is_asked_with_the_token(desk: RawConsents) -> None:
    me = json.dumps({"sub": "u-1", "email": "nora@example.com", "name": "Nora"})
    await desk.begin(userinfo_uri=f"{desk.provider.url}/me")
    assert await account(desk, tokens_answer(), json_answer(me)) == ("nora@example.com", "u-1")
    (asked,) = [request for request in desk.provider.requests if request.startswith(b"GET /me")]
    assert b"authorization: bearer at-new" in asked.lower()
    await desk.begin(userinfo_uri=f"{desk.provider.url}/me", account_label_path="name")
    assert await account(desk, tokens_answer(), json_answer(me)) == ("Nora", "u-1")


@pytest.mark.parametrize(
    "answer",
    [
        json_answer('{"error": "no"}', "403 Forbidden"),
        json_answer("[1, 2]"),
        http_answer(b"<html>", Content_Type="text/html"),
        http_answer(b"", "302 Found", Location="http://127.0.0.1:1/elsewhere"),
        b"",
    ],
)
async def test_whatever_the_endpoint_answers_the_account_is_connected(desk: RawConsents, answer: bytes) -> None:
    await desk.begin(userinfo_uri=f"{desk.provider.url}/me")
    assert await account(desk, tokens_answer(), answer) == (None, None)


async def test_an_address_inside_the_network_is_not_asked_and_a_slow_one_not_waited_for(
    desk: RawConsents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk.world.services.callbacks.completion._accounts, "_wait", 0.2)
    servers = LoopbackServers()
    hung = asyncio.Event()

    async def hang(*_: object) -> None:
        hung.set()
        await asyncio.Event().wait()

    await desk.begin(userinfo_uri=f"http://127.0.0.1:{await servers.start(hang)}/me")
    assert await account(desk, tokens_answer()) == (None, None)
    assert hung.is_set()
    await servers.stop()
    monkeypatch.setattr(desk.world.services.callbacks.completion._accounts._userinfo, "_allow_insecure", False)
    await desk.begin(userinfo_uri=f"{desk.provider.url}/me")
    before = len(desk.provider.requests)
    assert await account(desk, tokens_answer()) == (None, None)
    assert len(desk.provider.requests) == before + 1  # the code's exchange alone


async def test_connecting_again_and_other_tokens_change_whose_account_it_is(desk: RawConsents) -> None:
    await desk.begin(account_label_path="team.name")
    secret_id = await desk.connect(tokens_answer(team={"name": "First"}))
    await desk.consent(tokens_answer(team={"name": "Second"}), secret_id=secret_id)
    assert (await desk.seen(secret_id))["account_label"] == "Second"
    await desk.refresh(secret_id, tokens_answer())
    assert (await desk.seen(secret_id))["account_label"] == "Second"
    await desk.who.patch(desk.path(secret_id), changes(credentials={"access_token": "b", "refresh_token": "c"}))
    assert "account_label" not in await desk.seen(secret_id)


async def test_the_address_is_fixed_and_the_paths_are_checked(desk: RawConsents) -> None:
    await desk.begin()
    path = f"/v2/auth-clients/{desk.client_id}?tenant_id={desk.tenant.id}"

    async def change(**credentials: Any) -> Any:
        data = {"type": "auth-client", "id": desk.client_id, "attributes": {"credentials": credentials}}
        return await desk.tenant.admin.patch(path, {"data": data})

    refused = await change(userinfo_uri="https://elsewhere.example/me")  # it would be told all its users' tokens
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["source"]["pointer"] == "/data/attributes/credentials/userinfo_uri"
    for wrong in ("", "a..b", "a\nb", "x" * 201, 1):
        assert (await change(account_label_path=wrong)).status_code == 400, wrong
    assert (await change(account_label_path="team.name", account_subject_path="team.id")).status_code == 200


@pytest.mark.parametrize(
    ("owner", "at", "label"), [("Bolt", "elsewhere", None), ("Bolt", "own", "N"), ("", "elsewhere", "N")]
)
async def test_only_components_of_the_client_s_tenant_say_who_else_is_told_its_tokens(
    desk: RawConsents, owner: str, at: str, label: str | None
) -> None:
    servers = LoopbackServers()
    elsewhere = RawProvider(servers)
    await elsewhere.start()
    me = json_answer('{"email": "N"}')
    elsewhere.answers = [me]
    asked = desk.provider if at == "own" else elsewhere
    descriptor = {"authClientTypes": ["oauth2"], "credentials": {"oauth2": {"userinfo_uri": f"{asked.url}/me"}}}
    tenant = await desk.world.add_tenant(owner) if owner else desk.tenant
    component = await desk.world.add_component(tenant, "shared", descriptor, access="global")
    await desk.begin()
    data = {
        "type": "auth-client",
        "id": desk.client_id,
        "relationships": {"components": {"data": [{"type": "component", "id": component}]}},
    }
    linked = await desk.tenant.admin.patch(
        f"/v2/auth-clients/{desk.client_id}?tenant_id={desk.tenant.id}", {"data": data}
    )
    assert linked.status_code == 200, linked.text
    named = {
        "auth_client": relationship("auth-client", desk.client_id),
        "component": relationship("component", component),
    }
    consents = f"/v2/workspaces/{desk.tenant.workspace_id}/oauth-consents"
    begun = await desk.who.post(consents, {"data": {"type": "oauth-consent", "relationships": named}})
    desk.provider.answers = [tokens_answer(), me]
    done = await desk.finish(begun.json()["data"])
    found = await desk.seen(done["relationships"]["auth_secret"]["data"]["id"])
    assert found.get("account_label") == label
    assert len(elsewhere.requests) == (at == "elsewhere" and label is not None)
    await servers.stop()


async def test_a_component_may_say_it_too_and_credentials_have_it(keyrack: World, simulator: RunningSimulator) -> None:
    globex = keyrack.tenants["Globex"]
    component_id = await component_for(
        keyrack, simulator, userinfo_uri=f"{simulator.base_url}/api/me", account_label_path="name"
    )
    done = await consent_of(keyrack, globex.integrator, globex.workspace_id, component_id)
    credential_id = done["relationships"]["credential"]["data"]["id"]
    found = (await globex.integrator.get(f"/v2/credentials/{credential_id}")).json()["data"]["attributes"]
    user = simulator.state.config.users[0]
    assert (found["account_label"], found["account_subject"]) == (user.name, user.login)
    listed = await globex.guest.get(f"/v2/credentials?workspace_id={globex.workspace_id}")
    assert listed.json()["data"][0]["attributes"] == {
        "name": found["name"], "account_label": user.name, "account_subject": user.login,
    }  # fmt: skip


async def test_an_issuer_s_own_userinfo_endpoint_is_found_and_asked(
    keyrack: World, start_oidc_provider: Callable[[OidcOptions], OidcProvider]
) -> None:
    client = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="client_secret_post")
    provider = start_oidc_provider(OidcOptions(clients=(client,)))
    globex = keyrack.tenants["Globex"]
    for issuer, name in ((provider.issuer, "with"), (None, "without")):
        oauth2: dict[str, Any] = {"scopes": ["openid", "email", "offline_access"], "prompt": "consent"}
        if issuer is not None:
            oauth2["issuer"] = issuer
        descriptor = oauth_component(provider.authorization_endpoint, provider.token_endpoint, **oauth2)
        component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, descriptor, access="global")
        await add_oauth_client(
            keyrack, "Globex", component_id, provider.client.client_id, provider.client.client_secret
        )
        done = await consent_of(keyrack, globex.integrator, globex.workspace_id, component_id)
        credential_id = done["relationships"]["credential"]["data"]["id"]
        found = (await globex.integrator.get(f"/v2/credentials/{credential_id}")).json()["data"]["attributes"]
        assert found["account_subject"]
        expected = None if issuer is None else f"{found['account_subject']}@example.com"
        assert found.get("account_label") == expected


async def test_an_issuer_that_has_nothing_to_do_with_the_tokens_is_not_told_them(desk: RawConsents) -> None:
    servers = LoopbackServers()
    elsewhere = RawProvider(servers)
    await elsewhere.start()
    said = {"issuer": elsewhere.url, "userinfo_endpoint": f"{elsewhere.url}/me", "email": "e@vil.example"}
    elsewhere.answers = [json_answer(json.dumps(said))]
    await desk.begin(issuer=elsewhere.url)
    done = await desk.consent(tokens_answer(), scopes="openid")
    assert done["attributes"]["status"] == "completed", done
    assert not [request for request in elsewhere.requests if b"GET /me" in request]
    await desk.begin(issuer=desk.provider.url)
    desk.provider.answers = []
    said = {"issuer": desk.provider.url, "userinfo_endpoint": f"{elsewhere.url}/me"}
    metadata = json_answer(json.dumps(said))
    done = await desk.consent(metadata, tokens_answer(), scopes="openid")
    assert done["attributes"]["status"] == "completed", done
    assert [request for request in elsewhere.requests if b"GET /me" in request]  # its own server names that one
    await servers.stop()
