"""Connections that need no person: the first token, and what is stored of it and shown (decision 39)."""

import asyncio
from typing import Any

import httpx2
import pytest

from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from support.app import World, relationship
from support.auth_clients import auth_client
from support.direct_grants import (
    KEY_TEXT,
    USER,
    add_robot,
    ask,
    client_of,
    connected,
    make_client,
    secret_at,
    seen,
)
from support.grants import CLIENT_ID, SECRET
from support.raw_provider import RawProvider, json_answer
from support.secrets import changes, resource

GRANTS = ("client_credentials", "password", "jwt_bearer", "token_exchange")
ALICE = {"username": "alice", "password": "wonderland"}
FIELDS = "/data/attributes/credentials/fields"


def error_of(answer: httpx2.Response, status: int = 400) -> dict[str, Any]:
    """Return the only error of a refusal."""
    assert answer.status_code == status, answer.text
    (error,) = answer.json()["errors"]
    found: dict[str, Any] = error
    return found


async def fields_for(simulator: RunningSimulator, grant: str) -> dict[str, Any]:
    """Return what is filled in for a connection that works."""
    if grant == "token_exchange":
        book = simulator.state.book
        subject = book.issue("access", book.open_grant(CLIENT_ID, "alice", "read write"), "read write", 3600)
        return {"subject_token": subject.value}
    if grant == "jwt_bearer":
        add_robot(simulator)
        return {"user": "alice"}
    return dict(ALICE) if grant == "password" else {}


@pytest.mark.parametrize("grant", GRANTS)
async def test_a_secret_without_a_token_gets_one_and_renews_it(
    keyrack: World, simulator: RunningSimulator, grant: str
) -> None:
    acme = keyrack.tenants["Acme"]
    fields = await fields_for(simulator, grant)
    client_id = await client_of(keyrack, simulator, grant)
    path = await connected(keyrack, client_id, fields=fields, scope="read")
    found = await seen(keyrack, path)
    first = found["credentials"]["access_token"]
    assert simulator.state.book.access(first) is not None
    assert (found["state"], found["requested_scopes"], found["credentials"]["scope"]) == ("ready", ["read"], "read")
    assert found["next_refresh_at"]
    hidden = [value for name, value in fields.items() if name in {"password", "subject_token"}]
    shown = (await acme.integrator.get(path)).text
    assert not [value for value in hidden if value in shown]
    assert "secret_fields" not in shown

    renewed = resource(await acme.integrator.post(f"{path}/refresh"))["attributes"]
    assert renewed["credentials"]["access_token"] != first
    assert renewed["credentials"]["scope"] == "read"
    assert renewed["last_refreshed_at"]


async def test_a_password_is_forgotten_once_there_is_a_refresh_token_and_kept_without_one(
    keyrack: World, simulator: RunningSimulator
) -> None:
    client_id = await client_of(keyrack, simulator, "password")
    with_refresh = await secret_at(keyrack, await connected(keyrack, client_id, fields=ALICE))
    assert with_refresh.credentials["fields"] == {"username": "alice"}
    assert with_refresh.credentials["secret_fields"] == {}
    simulator.state.set_defaults({"no_refresh_token": True})
    without = await secret_at(keyrack, await connected(keyrack, client_id, fields=ALICE))
    assert without.credentials["secret_fields"] == {"password": "wonderland"}
    simulator.state.set_defaults({})
    keeping = await client_of(keyrack, simulator, "password", profile={"inputs": USER, "keeps_password": True})
    kept = await secret_at(keyrack, await connected(keyrack, keeping, fields=ALICE))
    assert kept.credentials["secret_fields"] == {"password": "wonderland"}


async def test_what_the_provider_refuses_is_told_in_its_words_and_nothing_is_stored(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    client_id = await client_of(keyrack, simulator, "password")
    refused = error_of(await ask(acme.integrator, acme.workspace_id, client_id, fields=ALICE | {"password": "wrong"}))
    assert (refused["code"], refused["meta"]["error"], refused["meta"]["status"]) == (
        "provider_error", "invalid_grant", 400,
    )  # fmt: skip
    simulator.state.enqueue(Queued("token", 1, {"status": 503}))
    away = error_of(await ask(acme.integrator, acme.workspace_id, client_id, fields=ALICE))
    assert (away["code"], away["meta"]["status"]) == ("provider_unavailable", 503)
    assert (await acme.integrator.get(f"/v2/workspaces/{acme.workspace_id}/secrets")).json()["data"] == []
    log = await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?filter[action]=secret.create")
    told = [(each["attributes"]["outcome"], each["attributes"]["target"]["id"]) for each in log.json()["data"]]
    assert told == [("failed", client_id)] * 2


@pytest.mark.parametrize(
    ("credentials", "pointer", "detail"),
    [
        ({}, f"{FIELDS}/password", "password is required"),
        ({"fields": {"username": "alice", "password": 7}}, f"{FIELDS}/password", "must be a string"),
        ({"fields": ALICE, "refresh_token": "rt"}, "/data/attributes/credentials/refresh_token", "goes with an access"),
        ({"fields": ALICE, "tokens": 1}, "/data/attributes/credentials/tokens", "is not one of the credentials"),
        ({"fields": ALICE, "secret_fields": {}}, "/data/attributes/credentials/secret_fields", "is not one of"),
        ({"fields": "alice"}, FIELDS, "must be an object"),
    ],
)
async def test_what_is_missing_or_wrong_is_pointed_at_and_the_provider_is_not_asked(
    keyrack: World, simulator: RunningSimulator, credentials: Any, pointer: str, detail: str
) -> None:
    acme = keyrack.tenants["Acme"]
    client_id = await client_of(keyrack, simulator, "password")
    answer = await ask(acme.integrator, acme.workspace_id, client_id, **credentials)
    assert answer.status_code == 400, answer.text
    error = answer.json()["errors"][-1]
    assert error["source"] == {"pointer": pointer}
    assert error["detail"].startswith(detail)
    assert simulator.state.calls() == 0


async def test_who_may_not_create_secrets_asks_no_provider_for_anything(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    client_id = await client_of(keyrack, simulator, "client_credentials")
    assert (await ask(acme.guest, acme.workspace_id, client_id)).status_code == 403
    assert (await ask(globex.admin, acme.workspace_id, client_id)).status_code == 403
    assert (await ask(keyrack.support, acme.workspace_id, client_id)).status_code == 403
    error = error_of(await ask(globex.integrator, globex.workspace_id, client_id), 404)
    assert error["source"]["pointer"] == "/data/relationships/auth_client/data/id"
    assert simulator.state.calls() == 0
    log = await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?filter[action]=secret.create")
    assert [each["attributes"]["outcome"] for each in log.json()["data"]] == ["denied", "denied"]


@pytest.mark.parametrize(
    "said", [5, {"name": "own", "grant": "client_credentials", "endpoints": {"token": "http://a/"}}]
)
async def test_what_clients_of_other_types_say_of_profiles_is_nothing(keyrack: World, said: Any) -> None:
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, "keys", {"title": "Keys", "authClientTypes": ["api_key"]})
    credentials = {"provider_profile": said, "resource": 5, "client_id": "c", "token_uri": "http://a/"}
    body = auth_client([component], ("tenant", acme.id), credentials, kind="api_key")
    client = await acme.admin.post("/v2/auth-clients", body)
    assert client.status_code == 201, client.text
    client_id = client.json()["data"]["id"]
    attributes = {"name": "Keys", "credentials": {"key": "k"}}
    new = {"type": "auth-secret", "attributes": attributes,
           "relationships": {"auth_client": relationship("auth-client", client_id)}}  # fmt: skip
    path = f"/v2/workspaces/{acme.workspace_id}/secrets"
    made = await acme.integrator.post(path, {"data": new})
    assert made.status_code == 201, made.text
    change = {"data": {"type": "auth-secret", "attributes": {"credentials": {"key": "k", "scope": "a"}}}}
    changed = await acme.integrator.patch(f"{path}/{made.json()['data']['id']}", change)
    assert changed.status_code == 200, changed.text


async def test_tokens_that_somebody_brings_are_stored_and_renewed_by_the_grant(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    client_id = await client_of(keyrack, simulator, "password", profile={"inputs": USER, "keeps_password": True})
    refused = await ask(acme.integrator, acme.workspace_id, client_id, access_token="at-0")
    missing = {each["source"]["pointer"] for each in refused.json()["errors"]}
    assert (refused.status_code, missing) == (400, {f"{FIELDS}/username", f"{FIELDS}/password"})
    path = await connected(keyrack, client_id, access_token="at-0", fields=ALICE)
    assert simulator.state.calls() == 0
    found = await seen(keyrack, path)
    assert (found["credentials"]["access_token"], found["credentials"]["fields"]) == ("at-0", {"username": "alice"})
    renewed = resource(await acme.integrator.post(f"{path}/refresh"))["attributes"]
    assert renewed["credentials"]["access_token"] != "at-0"


async def test_other_values_bring_another_token_or_change_nothing(keyrack: World, simulator: RunningSimulator) -> None:
    acme = keyrack.tenants["Acme"]
    path = await connected(keyrack, await client_of(keyrack, simulator, "password"), fields=ALICE, scope="read")
    before = await secret_at(keyrack, path)
    wrong = {"fields": ALICE | {"password": "wrong"}}
    refused = await acme.integrator.patch(path, changes(credentials=wrong))
    assert error_of(refused)["meta"]["error"] == "invalid_grant"
    assert (await secret_at(keyrack, path)).credentials == before.credentials
    changed = resource(await acme.integrator.patch(path, changes(name="N", credentials={"fields": ALICE})))
    after = changed["attributes"]
    assert (after["name"], after["requested_scopes"]) == ("N", ["read"])
    assert after["credentials"]["access_token"] != before.credentials["access_token"]
    assert after["credentials"]["refresh_token"] != before.credentials["refresh_token"]
    wider = await acme.integrator.patch(path, changes(credentials={"scope": "read write", "fields": ALICE}))
    assert resource(wider)["attributes"]["requested_scopes"] == ["read", "write"]


@pytest.mark.parametrize(
    ("grant", "profile", "credentials", "pointer"),
    [
        ("client_credentials", {"client_authentication": {"method": "none"}}, {},
         "/provider_profile/client_authentication/method"),
        ("client_credentials", {}, {"client_secret": None}, "/client_secret"),
        ("client_credentials", {"assertion": {"subject": "x"}}, {}, "/provider_profile/assertion"),
        ("client_credentials", {}, {"private_key": KEY_TEXT}, "/private_key"),
        ("password", {}, {}, "/provider_profile/inputs/username"),
        ("password", {"inputs": {**USER, "password": {}}}, {}, "/provider_profile/inputs/password/secret"),
        ("token_exchange", {}, {}, "/provider_profile/token_exchange"),
        ("token_exchange", {"token_exchange": {"subject_token": "{nothing}"}}, {},
         "/provider_profile/token_exchange/subject_token"),
        ("jwt_bearer", {}, {}, "/private_key"),
        ("jwt_bearer", {"assertion": {"algorithm": "RS256"}}, {"private_key": KEY_TEXT}, "/private_key"),
        ("jwt_bearer", {"assertion": {"algorithm": "none"}}, {"private_key": KEY_TEXT}, "/provider_profile"),
        ("jwt_bearer", {"assertion": {"lifetime": 90_000}}, {"private_key": KEY_TEXT},
         "/provider_profile/assertion/lifetime"),
        ("jwt_bearer", {"keeps_password": True}, {"private_key": KEY_TEXT}, "/provider_profile/keeps_password"),
    ],
)  # fmt: skip
async def test_a_client_without_what_its_grant_needs_is_refused(
    keyrack: World, grant: str, profile: Any, credentials: Any, pointer: str
) -> None:
    answer = await make_client(keyrack, "https://p.example/token", grant, profile=profile, **credentials)
    assert answer.status_code == 400, answer.text
    assert f"/data/attributes/credentials{pointer}" in {each["source"]["pointer"] for each in answer.json()["errors"]}


async def test_nobody_is_sent_to_a_provider_where_nobody_has_to_agree(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    named = {"auth_client": relationship("auth-client", await client_of(keyrack, simulator, "client_credentials"))}
    for kind in ("oauth-consent", "connect-link"):
        data = {"type": kind, "relationships": named}
        answer = await acme.integrator.post(f"/v2/workspaces/{acme.workspace_id}/{kind}s", {"data": data})
        error = error_of(answer)
        assert error["detail"].startswith("its grant client_credentials needs nobody to agree"), kind
        assert error["source"] == {"pointer": "/data/relationships/auth_client/data/id"}


async def test_deleting_revokes_the_token(keyrack: World, simulator: RunningSimulator) -> None:
    acme = keyrack.tenants["Acme"]
    endpoints = {"token": simulator.token_endpoint, "revocation": f"{simulator.base_url}/revoke"}
    client_id = await client_of(keyrack, simulator, "client_credentials", profile={"endpoints": endpoints})
    path = await connected(keyrack, client_id)
    token = (await seen(keyrack, path))["credentials"]["access_token"]
    assert (await acme.integrator.delete(path)).status_code == 204
    await keyrack.services.revoker.tick()
    found = simulator.state.book.access(token)
    assert found is not None
    assert found.revoked


async def test_a_token_that_came_too_late_is_revoked(keyrack: World, raw_provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    endpoints = {"token": raw_provider.token_endpoint, "revocation": f"{raw_provider.url}/revoke"}
    made = await make_client(keyrack, "", "client_credentials", profile={"endpoints": endpoints})
    client_id = resource(made, 201)["id"]
    raw_provider.answers[:] = [json_answer('{"access_token": "at-late", "expires_in": 60}'), json_answer("{}")]
    raw_provider.go_on.clear()
    asking = asyncio.create_task(ask(acme.integrator, acme.workspace_id, client_id))
    await raw_provider.asked.wait()
    assert (await acme.admin.delete(f"/v2/auth-clients/{client_id}")).status_code == 204
    raw_provider.go_on.set()
    error = error_of(await asking, 404)
    assert error["source"]["pointer"] == "/data/relationships/auth_client/data/id"
    await keyrack.services.revoker.tick()
    assert raw_provider.forms[-1]["token"] == "at-late"


async def test_new_tokens_of_a_change_that_somebody_else_was_ahead_of_are_revoked_and_those_in_use_are_not(
    keyrack: World, raw_provider: RawProvider
) -> None:
    acme = keyrack.tenants["Acme"]
    profile = {
        "endpoints": {"token": raw_provider.token_endpoint, "revocation": f"{raw_provider.url}/revoke"},
        "inputs": USER, "keeps_password": True,
    }  # fmt: skip
    client_id = resource(await make_client(keyrack, "", "password", profile=profile), 201)["id"]
    path = await connected(keyrack, client_id, access_token="at-0", refresh_token="rt-0", fields=ALICE)
    told = '{"access_token": "at-new", "refresh_token": "rt-0", "expires_in": 60}'
    raw_provider.answers[:] = [json_answer(told), json_answer("{}")]
    raw_provider.go_on.clear()
    other = {"fields": ALICE | {"password": "another"}}
    changing = asyncio.create_task(acme.integrator.patch(path, changes(credentials=other)))
    await raw_provider.asked.wait()
    mine = changes(credentials={"access_token": "at-0", "fields": ALICE | {"password": "ahead"}})
    assert (await acme.integrator.patch(path, mine)).status_code == 200
    raw_provider.go_on.set()
    assert error_of(await changing, 409)["code"] == "state_conflict"
    await keyrack.services.revoker.tick()
    revoked = [form["token"] for form in raw_provider.forms if "token" in form]
    assert revoked == ["at-new"], "the refresh token is that of the secret, which goes on working"
    assert (await secret_at(keyrack, path)).credentials["access_token"] == "at-0"
    told_of = await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?filter[action]=secret.revoke")
    assert path.rpartition("/")[2] not in told_of.text, "nobody is told that the secret was revoked"


async def test_hostile_answers_are_masked(keyrack: World, raw_provider: RawProvider) -> None:
    acme = keyrack.tenants["Acme"]
    made = await make_client(keyrack, raw_provider.token_endpoint, "password", profile={"inputs": USER})
    client_id = resource(made, 201)["id"]
    said = f'{{"error": "invalid_grant", "error_description": "no wonderland for {SECRET}, alice"}}'
    raw_provider.answers[:] = [json_answer(said, "400 Bad Request")]
    answer = await ask(acme.integrator, acme.workspace_id, client_id, fields=ALICE)
    assert error_of(answer)["meta"]["error_description"] == "no *** for ***, alice"
