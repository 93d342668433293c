"""Auth secrets: contract section 15 (without refreshing), and rules 24.16 and 24.17."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from keyrack.model.events import EventType
from keyrack.store.schema import audit_events, events
from support.app import Caller, World, error_of, relationship
from support.secrets import POINTER, TOKENS, Desk, add_client, body, changes, make, resource


@pytest.fixture
async def desk(keyrack: World) -> Desk:
    return Desk(keyrack, await add_client(keyrack, keyrack.tenants["Globex"]))


def link(kind: str, path: str, resource_id: str) -> dict[str, Any]:
    return {"data": {"id": resource_id, "type": kind}, "links": {"self": f"{path}/{resource_id}"}}


async def test_create_answers_201_with_the_whole_document(desk: Desk) -> None:  # 15, 15.1, 15.2
    before = datetime.now(UTC)
    answer = await desk.who.post(desk.path, body(desk.client))
    data = resource(answer, 201)
    expires_at = data["attributes"]["credentials"].pop("expires_at")
    due_at = data["attributes"].pop("next_refresh_at")
    client = link("auth-client", "/v2/auth-clients", desk.client)
    assert answer.json()["meta"] == {}
    assert data == {
        "id": data["id"],
        "type": "auth-secret",
        "links": {"self": f"{desk.path}/{data['id']}"},
        "attributes": {
            "name": "Mine",
            "type": "oauth2",
            "state": "ready",
            "requested_scopes": [],
            "missing_scopes": [],
            "credentials": {**TOKENS, "undefined_params": {}},
        },
        "relationships": {
            "workspace": link("workspace", "/v2/workspaces", desk.tenant.workspace_id),
            "user": link("user", "/v2/users", desk.who.id),
            "auth_client": client,
            "auth-client": client,
        },
    }
    expiry = datetime.fromisoformat(expires_at)
    assert expires_at.endswith("Z")
    assert timedelta(seconds=3595) < expiry - before < timedelta(seconds=3630)
    assert before < datetime.fromisoformat(due_at) <= expiry - timedelta(seconds=30)
    assert answer.headers["cache-control"] == "no-store"  # 0.18
    again = resource(await desk.who.get(f"{desk.path}/{data['id']}"))
    assert again["attributes"]["credentials"]["expires_at"] == expires_at


@pytest.mark.parametrize("key", ["auth_client", "auth-client"])
async def test_either_relationship_key_is_taken(desk: Desk, key: str) -> None:  # 15, 23.1
    given = body(desk.client)
    given["data"]["relationships"] = {key: relationship("auth-client", desk.client)}
    found = resource(await desk.who.post(desk.path, given), 201)["relationships"]
    assert found["auth_client"] == found["auth-client"]


async def test_both_keys_must_agree(desk: Desk) -> None:  # 15
    other = await add_client(desk.world, desk.tenant)
    given = body(desk.client)
    given["data"]["relationships"]["auth-client"] = relationship("auth-client", desk.client)
    assert (await desk.who.post(desk.path, given)).status_code == 201
    given["data"]["relationships"]["auth-client"] = relationship("auth-client", other)
    answer = await desk.who.post(desk.path, given)
    assert error_of(answer) == (400, "validation_error", "/data/relationships/auth-client/data/id")


async def test_all_missing_members_are_reported_together(desk: Desk) -> None:  # 3, 15.2
    answer = await desk.who.post(desk.path, {"data": {"type": "auth-secret", "attributes": {"state": "well"}}})
    assert answer.status_code == 400
    assert {error["source"]["pointer"] for error in answer.json()["errors"]} == {
        "/data/attributes/name",
        "/data/attributes/credentials",
        "/data/attributes/state",
        "/data/relationships",
    }
    given = body(desk.client)
    given["data"]["relationships"] = {}
    answer = await desk.who.post(desk.path, given)
    assert error_of(answer) == (400, "validation_error", "/data/relationships/auth_client")


async def test_a_made_up_id_is_ignored_unless_it_is_taken(desk: Desk) -> None:  # 4
    given = body(desk.client)
    given["data"]["id"] = "f" * 24
    made = resource(await desk.who.post(desk.path, given), 201)
    assert made["id"] != "f" * 24
    given["data"]["id"] = made["id"]
    assert error_of(await desk.who.post(desk.path, given)) == (409, "id_conflict", "/data/id")


@pytest.mark.parametrize("name", [None, "", "  "])
async def test_a_name_is_never_empty(desk: Desk, name: str | None) -> None:  # 15
    answer = await desk.who.post(desk.path, body(desk.client, name=name))
    assert error_of(answer) == (400, "validation_error", "/data/attributes/name")
    secret = await desk.make()
    answer = await desk.who.patch(f"{desk.path}/{secret['id']}", changes(name=name))
    assert error_of(answer) == (400, "validation_error", "/data/attributes/name")


@pytest.mark.parametrize(
    ("credentials", "pointer"),
    [
        ({}, "access_token"),
        ({"access_token": None}, "access_token"),
        ({"access_token": ""}, "access_token"),
        ({"access_token": 5}, "access_token"),
        ({"access_token": "a\nb"}, "access_token"),
        ({"access_token": "a", "refresh_token": ""}, "refresh_token"),
        ({"access_token": "a", "expires_in": "soon"}, "expires_in"),
        ({"access_token": "a", "expires_in": -1}, "expires_in"),
        ({"access_token": "a", "expires_in": True}, "expires_in"),
        ({"access_token": "a", "scope": ["a"]}, "scope"),
        ({"access_token": "a", "undefined_params": "x"}, "undefined_params"),
        ({"access_token": "a", "fields": []}, "fields"),
        ({"access_token": "a", "instance_url": "https://x.example"}, "instance_url"),
        ({"access_token": "a", "token_type": "Bearer"}, "token_type"),
        ({"access_token": "a", "a/b": 1}, "a~1b"),
        ({"access_token": "a", "additional_params": 1}, "additional_params"),
        ({"access_token": "a", "additional_params": "no pairs"}, "additional_params"),
        ({"access_token": "a", "additional_params": "{broken"}, "additional_params"),
    ],
)
async def test_credentials_of_oauth2_are_checked(desk: Desk, credentials: dict[str, Any], pointer: str) -> None:  # 15.1
    answer = await desk.who.post(desk.path, body(desk.client, credentials))
    assert error_of(answer) == (400, "validation_error", f"{POINTER}/{pointer}")


async def test_all_wrong_credentials_are_reported_together(desk: Desk) -> None:  # 3, 15.1
    answer = await desk.who.post(desk.path, body(desk.client, {"expires_in": "x", "instance_url": "y"}))
    found = {error["source"]["pointer"] for error in answer.json()["errors"]}
    assert found == {f"{POINTER}/{name}" for name in ("access_token", "expires_in", "instance_url")}


@pytest.mark.parametrize(
    ("given", "emitted"),
    [
        ({"access_type": "offline", "n": 1}, {"access_type": "offline", "n": 1}),
        ('{"access_type": "offline"}', {"access_type": "offline"}),
        (
            "access_type:offline, url: https://x.example/?a=b",
            {"access_type": "offline", "url": "https://x.example/?a=b"},
        ),
        ("", {}),
    ],
)
async def test_additional_params_are_emitted_as_a_text(desk: Desk, given: Any, emitted: dict[str, Any]) -> None:  # 15.1
    made = await desk.make({**TOKENS, "additional_params": given})
    text = made["attributes"]["credentials"]["additional_params"]
    assert isinstance(text, str)
    assert json.loads(text) == emitted


async def test_numeric_texts_are_taken_and_numbers_emitted(desk: Desk) -> None:  # 15.1
    made = await desk.make({"access_token": "a", "expires_in": "120", "expires_at": "1999-01-01T00:00:00.000Z"})
    credentials = made["attributes"]["credentials"]
    assert credentials["expires_in"] == 120
    assert datetime.fromisoformat(credentials["expires_at"]) > datetime.now(UTC), "computed, not taken"


async def test_the_client_says_how_long_tokens_live(desk: Desk) -> None:  # 15.1, 0.14, 24.19
    assert (await desk.make({"access_token": "a"}))["attributes"]["credentials"]["expires_in"] == 3600
    client = await add_client(desk.world, desk.tenant, token_expires_in=900)
    made = await make(desk.who, desk.tenant.workspace_id, client, {"access_token": "a"})
    assert made["attributes"]["credentials"]["expires_in"] == 900


async def test_without_a_refresh_token_nothing_is_due(desk: Desk) -> None:  # 15.1, 24.12
    made = await desk.make({"access_token": "a", "refresh_token": None, "scope": "read write", "fields": {"env": "x"}})
    assert "next_refresh_at" not in made["attributes"]
    credentials = made["attributes"]["credentials"]
    assert "refresh_token" not in credentials
    assert (credentials["scope"], credentials["fields"]) == ("read write", {"env": "x"})


@pytest.mark.parametrize(
    ("kind", "credentials"),
    [
        ("basic", {"username": "u", "password": "p"}),
        ("api_key", {"headerName": "x-key", "headerValue": "v", "fields": {"region": "eu"}}),
        ("noauth", {}),
        ("something-else", {"any": {"thing": [1, None]}, "expires_at": "kept"}),
    ],
)
async def test_other_types_take_any_object(desk: Desk, kind: str, credentials: dict[str, Any]) -> None:  # 14, 15.1
    client = await add_client(desk.world, desk.tenant, kind)
    made = await make(desk.who, desk.tenant.workspace_id, client, credentials)
    said = {"name": "Mine", "type": kind, "state": "ready", "requested_scopes": [], "missing_scopes": []}
    assert made["attributes"] == {**said, "credentials": credentials}
    found = await desk.patch(made, credentials={"only": "this"})
    assert found["credentials"] == {"only": "this"}, "replaced as a whole (15.2)"


async def test_a_secret_may_start_in_error(desk: Desk) -> None:  # 15.2
    made = await desk.make(state="error", error="it broke")
    assert made["attributes"]["state"] == "error"
    assert made["attributes"]["error"] == "it broke"
    assert "next_refresh_at" not in made["attributes"], "nothing tries to renew what is broken"
    assert datetime.fromisoformat(made["attributes"]["error_at"]) <= datetime.now(UTC)
    ready = await desk.patch(made, state="ready")
    assert (ready["state"], "error" in ready, "next_refresh_at" in ready) == ("ready", False, True)


async def test_clients_of_all_scopes_around_are_available_and_no_others(keyrack: World) -> None:  # 14.1, 15.2
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    for scope in ("workspace", "contract", "tenant"):
        own = await add_client(keyrack, globex, scope=scope)
        foreign = await add_client(keyrack, acme, scope=scope)
        await make(globex.integrator, globex.workspace_id, own)
        answer = await globex.integrator.post(f"/v2/workspaces/{globex.workspace_id}/secrets", body(foreign))
        assert error_of(answer) == (404, "related_not_found", "/data/relationships/auth_client/data/id")
    everyones = await add_client(keyrack, None, scope="global")
    for tenant in (acme, globex):
        made = await make(tenant.integrator, tenant.workspace_id, everyones)
        again = await tenant.integrator.get(f"/v2/workspaces/{tenant.workspace_id}/secrets/{made['id']}")
        assert resource(again)["attributes"]["credentials"]["access_token"] == "at-1"
    given = body(own)
    given["data"]["relationships"] = {"auth-client": relationship("auth-client", "nonsense")}
    answer = await globex.integrator.post(f"/v2/workspaces/{globex.workspace_id}/secrets", given)
    assert error_of(answer) == (404, "related_not_found", "/data/relationships/auth-client/data/id")


async def test_who_may_do_what(desk: Desk) -> None:  # 6.1, 15.2, 24.17
    secret = await desk.make()
    path = f"{desk.path}/{secret['id']}"
    guest = desk.tenant.guest
    for seen in (resource(await guest.get(path)), (await guest.get(desk.path)).json()["data"][0]):
        assert seen["attributes"]["type"] == "oauth2"
        assert "credentials" not in seen["attributes"], "guests see secrets, not tokens"
    for who in (guest, desk.tenant.stranger, desk.world.tenants["Acme"].integrator):
        for refused in (
            await who.post(desk.path, body(desk.client)),
            await who.patch(path, changes(name="x")),
            await who.delete(path),
        ):
            assert error_of(refused)[:2] == (403, "forbidden")
    for who in (desk.tenant.stranger, desk.world.tenants["Acme"].integrator):
        assert (await who.get(path)).status_code == 403
        assert (await who.get(desk.path)).status_code == 403


async def test_permission_is_judged_before_the_body(desk: Desk) -> None:  # 3
    assert (await desk.tenant.guest.post(desk.path, {"data": 1})).status_code == 403
    missing = f"{desk.path}/{'0' * 24}"
    assert (await desk.who.patch(missing, {"data": 1})).status_code == 404


async def test_a_service_account_reads_but_has_no_secrets_of_its_own(desk: Desk) -> None:  # 2, 15.2
    secret = await desk.make()
    account = await desk.world.add_service_account("workspaces.auth_secret.get", "workspaces.auth_secret.create")
    assert "credentials" not in resource(await account.get(f"{desk.path}/{secret['id']}"))["attributes"]
    assert error_of(await account.post(desk.path, body(desk.client)))[:2] == (403, "forbidden")


async def test_a_secret_of_another_workspace_is_404(desk: Desk) -> None:  # 15.2
    secret = await desk.make()
    acme = desk.world.tenants["Acme"]
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret['id']}"
    for answer in (
        await acme.integrator.get(path),
        await acme.integrator.patch(path, changes(name="x")),
        await acme.integrator.delete(path),
        await desk.who.get(f"{desk.path}/nonsense"),
    ):
        assert error_of(answer)[:2] == (404, "not_found")


async def test_delete(desk: Desk) -> None:  # 15.2
    secret = await desk.make()
    path = f"{desk.path}/{secret['id']}"
    assert (await desk.who.delete(path)).status_code == 204
    assert (await desk.who.get(path)).status_code == 404
    assert (await desk.who.delete(path)).status_code == 404


@pytest.mark.parametrize("value", ["-1", "86401", "x", "1.5", ""])
async def test_min_validity_must_be_seconds_of_a_day(desk: Desk, value: str) -> None:  # 0.12
    secret = await desk.make()
    answer = await desk.who.get(f"{desk.path}/{secret['id']}?min_validity={value}")
    assert error_of(answer)[:2] == (400, "validation_error")
    assert answer.json()["errors"][0]["source"] == {"parameter": "min_validity"}


async def test_a_token_that_is_not_good_for_long_enough_is_told(desk: Desk) -> None:  # 0.12
    path = f"{desk.path}/{(await desk.make({'access_token': 'hush', 'expires_in': 600}))['id']}"
    for enough in ("0", "500"):
        assert (await desk.who.get(f"{path}?min_validity={enough}")).status_code == 200
    refused = await desk.who.get(f"{path}?min_validity=700")
    assert error_of(refused)[:2] == (409, "token_not_valid")
    assert refused.json()["errors"][0]["meta"]["state"] == "ready"
    assert "hush" not in refused.text
    assert (await desk.who.get(path)).status_code == 200, "without it the stored one is answered"
    await desk.who.patch(path, changes(state="error", error="it broke"))
    refused = await desk.who.get(f"{path}?min_validity=0")
    assert "it broke" in refused.json()["errors"][0]["detail"]
    client = await add_client(desk.world, desk.tenant, "basic")
    forever = await make(desk.who, desk.tenant.workspace_id, client, {"username": "u"})
    assert (await desk.who.get(f"{desk.path}/{forever['id']}?min_validity=86400")).status_code == 200


async def test_the_client_authentication_of_a_linked_component_is_remembered(desk: Desk) -> None:  # 20.3
    descriptor = {"title": "Basic", "authClientTypes": ["oauth2"], "credentials": {"oauth2": {"client_auth": "basic"}}}
    component = await desk.world.add_component(desk.tenant, "basic", descriptor)
    client = await add_client(desk.world, desk.tenant, components=(component,))
    made = await make(desk.who, desk.tenant.workspace_id, client)
    assert (await desk.row(made)).auth_method == "client_secret_basic"
    assert (await desk.row(await desk.make())).auth_method is None
    decided = await add_client(desk.world, desk.tenant, components=(component,), client_auth="post")
    made = await make(desk.who, desk.tenant.workspace_id, decided)
    assert (await desk.row(made)).auth_method is None, "the client's own word counts"


async def test_what_was_done_is_told_and_audited(desk: Desk) -> None:  # 0.16, issue 3.7
    secret = await desk.make({"access_token": "hush-hush"})
    await desk.patch(secret, name="x")
    await desk.who.delete(f"{desk.path}/{secret['id']}")
    async with desk.world.store.unit(desk.tenant.id) as unit:
        told = (await unit.connection.execute(select(events).where(events.c.tenant_id == desk.tenant.id))).all()
        kept = await unit.connection.execute(
            select(audit_events.c.action).where(audit_events.c.target_id == secret["id"]).order_by(audit_events.c.id)
        )
        assert sorted(row.action for row in kept) == ["secret.create", "secret.delete", "secret.edit", "secret.revoke"]
    kinds = (EventType.secret_created, EventType.secret_revoked)
    assert [(row.type, row.data["secret_id"]) for row in told] == [(kind, secret["id"]) for kind in kinds]
    assert told[1].data["outcome"] == "not_supported"
    assert "hush" not in str(told)


async def test_nothing_is_told_of_what_was_refused(desk: Desk) -> None:
    assert (await desk.who.post(desk.path, body(desk.client, {}))).status_code == 400
    async with desk.world.store.unit(desk.tenant.id) as unit:
        assert (await unit.connection.execute(select(events))).all() == []


async def test_the_other_tenants_ids_tell_nothing(desk: Desk) -> None:
    who: Caller = desk.world.tenants["Acme"].admin
    assert (await who.get(f"/v2/workspaces/{'0' * 24}/secrets")).status_code == 404
    assert (await who.get(desk.path)).status_code == 403
