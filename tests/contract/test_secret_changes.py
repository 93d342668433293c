"""Changes of auth secrets: merged or replaced, and what new tokens do to the state (contract 15.2)."""

from datetime import datetime, timedelta

import pytest

from support.app import World, error_of, relationship
from support.secrets import POINTER, TOKENS, Desk, add_client, changes


@pytest.fixture
async def desk(keyrack: World) -> Desk:
    return Desk(keyrack, await add_client(keyrack, keyrack.tenants["Globex"]))


async def test_omitted_is_kept_and_null_removes(desk: Desk) -> None:  # 15.2, 24.22
    secret = await desk.make({**TOKENS, "scope": "a", "fields": {"x": 1}, "undefined_params": {"instance_url": "u"}})
    kept = (await desk.patch(secret, name="Other", credentials={"scope": "b"}))["credentials"]
    assert (kept["refresh_token"], kept["access_token"], kept["scope"]) == ("rt-1", "at-1", "b")
    assert kept["expires_at"] == secret["attributes"]["credentials"]["expires_at"], "the token is no younger"
    gone = await desk.patch(secret, credentials={"fields": None, "undefined_params": None, "refresh_token": None})
    assert gone["name"] == "Other"
    assert "fields" not in gone["credentials"]
    assert gone["credentials"]["undefined_params"] == {}
    assert "refresh_token" not in gone["credentials"]
    assert "next_refresh_at" not in gone
    answer = await desk.who.patch(f"{desk.path}/{secret['id']}", changes(credentials={"access_token": None}))
    assert error_of(answer) == (400, "validation_error", f"{POINTER}/access_token")


async def test_tokens_without_a_state_make_it_ready(desk: Desk) -> None:  # 15.2
    secret = await desk.make(state="error", error="it broke")
    still = await desk.patch(secret, name="New name", credentials={"scope": "x"})
    assert (still["state"], still["error"]) == ("error", "it broke"), "no token was set"
    still = await desk.patch(secret, credentials={"expires_in": 60})
    assert still["state"] == "error", "another lifetime heals nothing"
    ready = await desk.patch(secret, credentials={"access_token": "at-2"})
    assert ready["state"] == "ready"
    assert {"error", "error_at"}.isdisjoint(ready)
    both = await desk.patch(secret, state="error", error="no", credentials={"access_token": "at-3"})
    assert (both["state"], both["error"], both["credentials"]["access_token"]) == ("error", "no", "at-3")
    assert (await desk.patch(secret, error="yes"))["error"] == "yes"
    assert "error" not in await desk.patch(secret, error=None)


async def test_new_tokens_cut_off_a_running_refresh(desk: Desk) -> None:  # 15.2
    secret = await desk.make()
    before = await desk.row(secret)
    await desk.patch(secret, name="Only the name", credentials={"fields": {"x": 1}})
    same = await desk.row(secret)
    assert (same.fence, same.generation) == (before.fence, before.generation)
    await desk.patch(secret, credentials={"access_token": "at-2", "refresh_token": "rt-2"})
    after = await desk.row(secret)
    assert (after.fence, after.generation) == (before.fence + 1, before.generation + 1)
    assert after.issued_at >= before.issued_at
    assert b"rt-2" not in after.sealed_credentials


async def test_the_same_token_again_is_no_younger(desk: Desk) -> None:  # 15.1
    secret = await desk.make()
    at_first = secret["attributes"]["credentials"]["expires_at"]
    again = await desk.patch(secret, credentials=secret["attributes"]["credentials"])
    assert again["credentials"]["expires_at"] == at_first
    shorter = await desk.patch(secret, credentials={"expires_in": 1800})
    gone = datetime.fromisoformat(at_first) - datetime.fromisoformat(shorter["credentials"]["expires_at"])
    assert gone == timedelta(seconds=1800)


async def test_the_auth_client_cannot_be_changed(desk: Desk) -> None:  # 15.2
    secret = await desk.make()
    other = await add_client(desk.world, desk.tenant)
    for key in ("auth_client", "auth-client"):
        given = changes(name="x")
        given["data"]["relationships"] = {key: relationship("auth-client", other)}
        answer = await desk.who.patch(f"{desk.path}/{secret['id']}", given)
        assert error_of(answer) == (400, "validation_error", f"/data/relationships/{key}/data/id")
        given["data"]["relationships"] = {key: relationship("auth-client", desk.client)}
        assert (await desk.who.patch(f"{desk.path}/{secret['id']}", given)).status_code == 200


async def test_the_id_in_a_body_must_be_that_of_the_path(desk: Desk) -> None:  # 4
    secret = await desk.make()
    given = changes(name="x")
    given["data"]["id"] = "0" * 24
    assert error_of(await desk.who.patch(f"{desk.path}/{secret['id']}", given))[:2] == (409, "id_conflict")
    given["data"]["type"] = "secret"
    assert error_of(await desk.who.patch(f"{desk.path}/{secret['id']}", given))[:2] == (409, "type_conflict")
