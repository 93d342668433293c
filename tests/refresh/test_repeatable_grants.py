"""Secrets whose grant needs no person renew themselves, whatever happens to a request (decision 39)."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from keyrack.crypto.secret import Secret
from keyrack.fair_share import Places
from keyrack.ids import new_id
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.wire import RawResponse
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import Attempt, AttemptKind, Attempts, open_attempts
from keyrack.store.leases import Leases
from keyrack.store.schema import attempts
from support.app import World
from support.direct_grants import USER, add_robot, client_of, connected, expire, secret_at, seen
from support.grants import CLIENT_ID, change
from support.secrets import changes, resource

ALICE = {"username": "alice", "password": "wonderland"}
KEEPING: dict[str, Any] = {"inputs": USER, "keeps_password": True}
ELSEWHERE = "another-machine#17:1"


def asked(simulator: RunningSimulator, grant_type: str = "client_credentials", **wanted: str) -> int:
    return simulator.state.calls(endpoint="token", grant_type=grant_type, **wanted)


async def test_many_readers_of_an_expired_token_make_one_request(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    keyrack, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    path = await connected(keyrack, await client_of(keyrack, simulator, "client_credentials"))
    before = await expire(keyrack, path)
    simulator.state.set_defaults({"latency": 50})
    answers = await asyncio.gather(*(acme.integrator.get(path) for _ in range(30)))
    tokens = {resource(each)["attributes"]["credentials"]["access_token"] for each in answers}
    assert len(tokens - {before.credentials["access_token"]}) == len(tokens) == 1
    assert asked(simulator) == 2


async def test_one_that_expired_while_the_provider_was_down_comes_back_by_itself(
    keyrack: World, simulator: RunningSimulator
) -> None:
    path = await connected(keyrack, await client_of(keyrack, simulator, "client_credentials"))
    await expire(keyrack, path)
    simulator.state.enqueue(Queued("token", 1, {"status": 503}))
    down = await seen(keyrack, path)
    assert (down["state"], down["error_code"]) == ("error", "provider_unavailable")
    failed = await secret_at(keyrack, path)
    assert (failed.ambiguous_since, failed.due_at is None) == (None, False)
    await change(keyrack.store, failed, due_at=datetime.now(UTC), retry_at=None)
    refresher = keyrack.services.refreshing.refresher
    (due,) = await refresher.claim(Places(10))
    await refresher.refresh_due(due)
    up = await seen(keyrack, path)
    assert (up["state"], "last_error" in up) == ("ready", False)


async def crashed(keyrack: World, secret: AuthSecret, answer: bytes | None = None) -> None:
    """Leave behind what a process of another machine leaves that dies after sending: a lease and an open attempt."""
    async with keyrack.store.unit(secret.tenant_id, writes=True) as unit:
        lease = await Leases(unit).acquire(secret.id, -1)
        assert lease is not None
        generation, now = secret.grant_generation, datetime.now(UTC)
        attempt = Attempt(
            new_id(), secret.tenant_id, AttemptKind.grant, secret.id, lease.fence, generation, ELSEWHERE, now
        )
        await Attempts(unit).begin(attempt)
        await unit.connection.execute(update(attempts).where(attempts.c.id == attempt.id).values(owner=ELSEWHERE))
    if answer is not None:
        await keyrack.services.refreshing.journal._keep(attempt, RawResponse(200, {}, answer))


@pytest.mark.parametrize("answer", [None, b'{"access_token": "at-landed", "expires_in": 600}'])
async def test_an_interrupted_request_is_made_again_unless_its_answer_landed(
    keyrack_on_each: World, simulator: RunningSimulator, answer: bytes | None
) -> None:
    keyrack = keyrack_on_each
    path = await connected(keyrack, await client_of(keyrack, simulator, "client_credentials"))
    await crashed(keyrack, await expire(keyrack, path), answer)
    found = await seen(keyrack, path)
    assert found["state"] == "ready"
    assert (found["credentials"]["access_token"] == "at-landed") == (answer is not None)
    assert asked(simulator) == (2 if answer is None else 1)
    assert (await secret_at(keyrack, path)).ambiguous_since is None
    async with keyrack.store.installation() as unit:
        assert await open_attempts(unit) == []


async def test_a_lost_answer_is_no_reason_to_ask_anybody_to_connect_again(
    keyrack: World, simulator: RunningSimulator
) -> None:
    path = await connected(keyrack, await client_of(keyrack, simulator, "client_credentials"))
    await expire(keyrack, path)
    simulator.state.enqueue(Queued("token", 1, {"hang_up": "after"}))
    lost = await seen(keyrack, path)
    assert (lost["state"], lost["error_code"]) == ("error", "provider_unavailable")
    simulator.state.enqueue(Queued("token", 1, {"fail": "invalid_grant"}))
    await change(keyrack.store, await secret_at(keyrack, path), retry_at=None)
    refused = await seen(keyrack, path)
    assert refused["error_code"] == "provider_refused"
    await change(keyrack.store, await secret_at(keyrack, path), retry_at=None)
    assert (await seen(keyrack, path))["state"] == "ready"


async def test_a_refused_refresh_token_is_replaced_by_asking_for_the_grant_anew(
    keyrack: World, simulator: RunningSimulator
) -> None:
    client_id = await client_of(keyrack, simulator, "password", profile=KEEPING)
    path = await connected(keyrack, client_id, fields=ALICE, scope="read")
    first = await expire(keyrack, path)
    assert (await seen(keyrack, path))["state"] == "ready"
    assert (asked(simulator, "password"), asked(simulator, "refresh_token")) == (1, 1)
    simulator.state.book.revoke(lambda _: True)
    await expire(keyrack, path)
    assert (await seen(keyrack, path))["state"] == "ready"
    assert (asked(simulator, "password"), asked(simulator, "refresh_token")) == (2, 2)
    now = await secret_at(keyrack, path)
    assert now.credentials["refresh_token"] != first.credentials["refresh_token"]
    assert (now.failure, now.credentials["scope"]) == (None, "read")
    simulator.state.set_defaults({"no_refresh_token": True})
    simulator.state.book.revoke(lambda _: True)
    await expire(keyrack, path)
    assert (await seen(keyrack, path))["state"] == "ready"
    assert "refresh_token" not in (await secret_at(keyrack, path)).credentials  # the dead one is not kept


async def test_a_forgotten_password_has_to_be_set_again(keyrack: World, simulator: RunningSimulator) -> None:
    acme = keyrack.tenants["Acme"]
    path = await connected(keyrack, await client_of(keyrack, simulator, "password"), fields=ALICE)
    simulator.state.book.revoke(lambda _: True)
    await expire(keyrack, path)
    ended = await seen(keyrack, path)
    assert (ended["state"], ended["error_code"]) == ("error", "reauthorization_required")
    assert "Set the user name and password that are in force" in ended["error"]
    assert asked(simulator, "password") == 1
    healed = resource(await acme.integrator.patch(path, changes(credentials={"fields": ALICE})))["attributes"]
    assert (healed["state"], "error" in healed) == ("ready", False)


async def test_a_password_that_is_refused_is_not_tried_again(keyrack: World, simulator: RunningSimulator) -> None:
    simulator.state.set_defaults({"no_refresh_token": True})
    path = await connected(keyrack, await client_of(keyrack, simulator, "password"), fields=ALICE)
    await expire(keyrack, path)
    users = simulator.state.config.users
    simulator.state.config = msgspec.structs.replace(
        simulator.state.config, users=(msgspec.structs.replace(users[0], password=Secret("looking-glass")),)
    )
    for _ in range(3):
        assert (await seen(keyrack, path))["error_code"] == "reauthorization_required"
    assert asked(simulator, "password") == 2
    assert (await secret_at(keyrack, path)).due_at is None


async def test_a_refused_assertion_is_tried_again_and_works_once_the_provider_takes_it(
    keyrack: World, simulator: RunningSimulator
) -> None:
    add_robot(simulator)
    path = await connected(keyrack, await client_of(keyrack, simulator, "jwt_bearer"))
    await expire(keyrack, path)
    robot = simulator.state.client("robot")
    simulator.state.put_client(msgspec.structs.replace(robot, jwks=()))
    refused = await seen(keyrack, path)
    assert (refused["state"], refused["error_code"]) == ("error", "provider_refused")
    assert "Check at the provider the key, the subject and the scopes" in refused["error"]
    failed = await secret_at(keyrack, path)
    assert failed.due_at is not None
    simulator.state.put_client(robot)
    await change(keyrack.store, failed, retry_at=None)
    assert (await seen(keyrack, path))["state"] == "ready"


async def test_a_rejected_client_pauses_its_secrets_until_it_is_changed(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    client_id = await client_of(keyrack, simulator, "client_credentials")
    path = await connected(keyrack, client_id)
    await expire(keyrack, path)
    known = simulator.state.client(CLIENT_ID)
    simulator.state.put_client(msgspec.structs.replace(known, client_secret=Secret("another")))
    assert (await seen(keyrack, path))["error_code"] == "client_rejected"
    assert (await secret_at(keyrack, path)).due_at is None
    data = {"type": "auth-client", "attributes": {"credentials": {"client_secret": "another"}}}
    changed = await acme.admin.patch(f"/v2/auth-clients/{client_id}?tenant_id={acme.id}", {"data": data})
    assert changed.status_code == 200, changed.text
    assert (await secret_at(keyrack, path)).due_at is not None
    assert (await seen(keyrack, path))["state"] == "ready"


async def test_what_a_member_fills_in_does_not_speak_against_the_client(
    keyrack: World, simulator: RunningSimulator
) -> None:
    inputs = {"directory": {"title": "Directory"}}
    endpoints = {"token": f"{simulator.token_endpoint}?directory={{directory}}"}
    profile = {"inputs": inputs, "endpoints": endpoints}
    client_id = await client_of(keyrack, simulator, "client_credentials", profile=profile)
    path = await connected(keyrack, client_id, fields={"directory": "one"})
    await expire(keyrack, path)
    simulator.state.enqueue(Queued("token", 1, {"fail": "invalid_client"}))
    assert (await seen(keyrack, path))["error_code"] == "provider_refused"
    other = await connected(keyrack, client_id, fields={"directory": "two"})
    await expire(keyrack, other)
    assert (await seen(keyrack, other))["state"] == "ready"
