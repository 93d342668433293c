"""A client's secret is exchanged while refreshes go on: none fails, and no grant is lost (decision 47)."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest

from keyrack.clock import now
from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.model.rotations import RotationState, SecretRotation, Trial, TrialResult
from keyrack.model.secrets import ErrorCode, SecretState
from keyrack.service.operator.crypto_shredding import CryptoShredding
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.client_rotations import AuthClientRotations
from keyrack.store.due_rotations import DueRotations
from support import forked_commands
from support.app import World
from support.auth_clients import PATH, change
from support.consent import connect
from support.grants import add_auth_client, add_secret, component_for, is_renewed, mint, stored
from support.keyrack_processes import environment
from support.rotation import NEW, OLD, Rotating, accepts, moved_body, rotation_body
from support.waits_and_faults import until


@pytest.fixture
async def rotating(keyrack_on_each: World, simulator: RunningSimulator) -> Rotating:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    simulator.state.set_defaults({"rotation": "strict"})
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    secrets = [await add_secret(world.store, acme, client, mint(simulator), age=4000) for _ in range(5)]
    return Rotating(world, simulator, client, secrets)


async def test_a_secret_that_the_provider_takes_is_tried_on_a_sample_and_used(rotating: Rotating) -> None:
    accepts(rotating.simulator, OLD, NEW)
    await rotating.begin(sample=3)
    assert (await rotating.shown())["state"] == "trying"
    await rotating.work()
    told = await rotating.shown()
    assert (told["state"], told["in_use"], told["accepted"]) == ("promoted", "new", 3)
    assert [each["on"] for each in told["trials"]] == ["connection"] * 3
    client = await rotating.client()
    assert client.credentials["client_secret"] == NEW
    assert client.second_secret == Secret(OLD)
    accepts(rotating.simulator, NEW)
    await rotating.refresh_all()
    assert rotating.simulator.state.calls(outcome="invalid_client") == 0


@pytest.mark.parametrize("blames_grant", [False, True])
async def test_a_wrong_secret_is_rolled_back_and_costs_no_grant(rotating: Rotating, blames_grant: bool) -> None:
    accepts(rotating.simulator, OLD, blames_grant=blames_grant)
    await rotating.begin()
    await rotating.work()
    told = await rotating.shown()
    assert (told["state"], told["in_use"]) == ("rolled_back", "old")
    assert [each["result"] for each in told["trials"]] == ["refused"]
    await rotating.refresh_all()
    client = await rotating.client()
    assert (client.rejected_at, client.credentials["client_secret"]) == (None, OLD)
    for each in rotating.secrets:
        assert (await stored(rotating.world.store, each)).state is SecretState.ready


async def test_where_only_the_old_one_works_until_it_is_changed_no_refresh_fails_then(rotating: Rotating) -> None:
    await rotating.begin()
    await rotating.work()
    assert (await rotating.shown())["state"] == "rolled_back"
    accepts(rotating.simulator, NEW)
    await rotating.refresh_all()
    told = await rotating.shown()
    assert (told["state"], told["in_use"]) == ("promoted", "new")
    assert (await rotating.client()).credentials["client_secret"] == NEW


async def test_where_the_old_one_dies_first_a_new_one_revives_the_client(rotating: Rotating) -> None:
    accepts(rotating.simulator, NEW)
    refresher = rotating.world.services.refreshing.refresher
    failed = await asyncio.gather(*[refresher.refresh(each) for each in rotating.secrets], return_exceptions=True)
    assert all(isinstance(each, Exception) for each in failed)
    assert (await rotating.client()).rejected_at is not None
    await rotating.begin()
    await rotating.refresh_all()
    client = await rotating.client()
    assert (client.rejected_at, client.credentials["client_secret"]) == (None, NEW)


async def test_a_new_one_that_stops_working_falls_back_to_the_old_one(rotating: Rotating) -> None:
    accepts(rotating.simulator, OLD, NEW)
    await rotating.begin(sample=1)
    await rotating.work()
    assert (await rotating.shown())["state"] == "promoted"
    accepts(rotating.simulator, OLD)
    await rotating.refresh_all()
    told = await rotating.shown()
    assert (told["state"], told["in_use"]) == ("rolled_back", "old")


async def test_with_neither_the_client_counts_as_failed_and_grants_wait(rotating: Rotating) -> None:
    await rotating.begin()
    accepts(rotating.simulator, "a third one")
    refresher = rotating.world.services.refreshing.refresher
    failed = await asyncio.gather(*[refresher.refresh(each) for each in rotating.secrets], return_exceptions=True)
    assert all(isinstance(each, Exception) for each in failed)
    assert (await rotating.client()).rejected_at is not None
    accepts(rotating.simulator, NEW)
    mended = change({"credentials": {"client_secret": NEW}})
    assert (await rotating.admin.patch(f"{PATH}/{rotating.client_id}", mended)).status_code == 200
    assert (await rotating.admin.get(rotating.path)).status_code == 404, "whoever sets a secret has chosen"
    await rotating.refresh_all()


@pytest.mark.parametrize("blames_grant", [False, True])
async def test_a_refresh_whose_secret_is_changed_meanwhile_goes_on_with_the_other(
    rotating: Rotating, blames_grant: bool
) -> None:
    rotating.simulator.state.set_defaults({"rotation": "strict", "latency": 300})
    accepts(rotating.simulator, NEW, blames_grant=blames_grant)
    refresher = rotating.world.services.refreshing.refresher
    running = asyncio.create_task(refresher.refresh(rotating.secrets[0]))
    await until(lambda: refresher.running)
    await rotating.begin()
    assert is_renewed(rotating.simulator, rotating.secrets[0], await running)


@pytest.mark.parametrize("blames_grant", [False, True])
async def test_a_provider_that_changes_over_between_the_two_calls_of_a_trial_refuses_nothing(
    rotating: Rotating, blames_grant: bool
) -> None:
    state, refused = rotating.simulator.state, "invalid_grant" if blames_grant else "invalid_client"
    state.set_defaults({"rotation": "strict", "latency": 300})
    accepts(rotating.simulator, OLD, blames_grant=blames_grant)
    await rotating.begin()
    working = asyncio.create_task(rotating.work())
    await until(lambda: state.calls(outcome=refused))
    accepts(rotating.simulator, NEW, blames_grant=blames_grant)
    await working
    told, client = await rotating.shown(), await rotating.client()
    assert (told["state"], told["in_use"], client.rejected_at) == ("promoted", "new", None)
    assert state.calls(outcome=refused) == 2
    await rotating.refresh_all()


async def test_a_provider_that_blames_grants_for_the_old_secret_ends_none(rotating: Rotating) -> None:
    accepts(rotating.simulator, OLD, blames_grant=True)
    await rotating.begin()
    await rotating.work()
    accepts(rotating.simulator, NEW, blames_grant=True)
    await rotating.refresh_all()
    assert (await rotating.shown())["in_use"] == "new"


@pytest.mark.parametrize("taken", [OLD, NEW])
async def test_a_grant_that_has_died_is_told_so_while_a_secret_is_rotated(rotating: Rotating, taken: str) -> None:
    await rotating.begin()
    await rotating.work()
    dead = await stored(rotating.world.store, rotating.secrets[0])
    rotating.simulator.state.book.revoke(lambda _: True)
    accepts(rotating.simulator, taken)
    with pytest.raises(ProviderError):
        await rotating.world.services.refreshing.refresher.refresh_again(dead, time.monotonic())
    assert (await stored(rotating.world.store, dead)).error_code is ErrorCode.reauthorization_required
    client = await rotating.client()
    assert (client.rejected_at, client.credentials["client_secret"]) == (None, OLD)


async def test_by_hand_the_new_one_is_used_the_old_one_again_and_one_is_forgotten(rotating: Rotating) -> None:
    await rotating.begin()
    path, admin = rotating.path, rotating.admin
    assert (await admin.post(path, rotation_body("another"))).status_code == 409
    moved = await admin.patch(path, moved_body("promoted"))
    assert moved.json()["data"]["attributes"]["in_use"] == "new"
    assert (await rotating.client()).credentials["client_secret"] == NEW
    moved = await admin.patch(path, moved_body("rolled_back"))
    assert moved.json()["data"]["attributes"]["in_use"] == "old"
    assert (await rotating.client()).credentials["client_secret"] == OLD
    assert (await admin.patch(path, moved_body("promoted"))).status_code == 200
    assert (await admin.delete(path)).status_code == 204
    client = await rotating.client()
    assert (client.credentials["client_secret"], client.second_secret, client.rotation) == (NEW, None, None)
    assert (await admin.delete(path)).status_code == 404


@pytest.mark.parametrize(
    ("attributes", "pointer"),
    [
        ({"client_secret": " "}, "/data/attributes/client_secret"),
        ({"client_secret": "x" * 4097}, "/data/attributes/client_secret"),
        ({"client_secret": NEW, "sample": 0}, "/data/attributes/sample"),
        ({"client_secret": NEW, "secret_expires_at": "9999-12-31T00:00:00Z"}, "/data/attributes/secret_expires_at"),
        ({"client_secret": NEW, "secret_expires_at": "2027-01-31T12:00:00"}, "/data/attributes/secret_expires_at"),
    ],
)
async def test_what_cannot_be_a_secret_is_refused(rotating: Rotating, attributes: Any, pointer: str) -> None:
    body = {"data": {"type": "client-secret-rotation", "attributes": attributes}}
    answer = await rotating.admin.post(rotating.path, body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["source"]["pointer"] == pointer


async def test_the_old_secret_is_forgotten_when_its_time_has_come(rotating: Rotating) -> None:
    accepts(rotating.simulator, OLD, NEW)
    await rotating.begin(sample=1)
    await rotating.work()
    async with rotating.world.store.unit(rotating.world.tenants["Acme"].id, writes=True) as unit:
        client = await AuthClientRows(unit).find(rotating.client_id)
        assert client is not None
        assert client.rotation is not None
        assert client.second_secret is not None
        over = replace(client.rotation, retires_at=now())
        await AuthClientRotations(unit).store_rotation(client.id, client.second_secret, over, now())
    await rotating.work()
    client = await rotating.client()
    assert (client.credentials["client_secret"], client.second_secret, client.rotation) == (NEW, None, None)


async def test_a_connection_is_tried_again_when_the_client_alone_tells_nothing(rotating: Rotating) -> None:
    accepts(rotating.simulator, OLD, blames_grant=True)  # a made-up code and a wrong secret are answered alike
    await rotating.begin()
    results = []
    for each in range(14):
        await rotating.due_now()
        assert await rotating.world.services.rotation_trials.tick()
        results = (await rotating.shown())["trials"]
        if each == 6:
            accepts(rotating.simulator, OLD, NEW, blames_grant=True)
    assert [trial["on"] for trial in results[:6]] == ["connection"] * 5 + ["client"]
    assert (await rotating.shown())["state"] == "promoted"


async def test_of_a_shredded_tenant_no_rotation_goes_on_and_no_connection_is_a_sample(rotating: Rotating) -> None:
    async def due() -> tuple[bool, bool]:
        async with rotating.world.store.installation() as unit:
            sample = await DueRotations(unit).next_to_try(rotating.client_id, [])
            return await DueRotations(unit).any(), sample is not None

    await rotating.begin()
    assert await due() == (True, True)
    await CryptoShredding(rotating.world.store).shred(rotating.world.tenants["Acme"].id)
    assert await due() == (False, False)


async def test_a_sample_begins_anew_after_a_refusal() -> None:
    def tried(*results: TrialResult) -> SecretRotation:
        trials = tuple(Trial(now(), each, None, f"{number}") for number, each in enumerate(results))
        return SecretRotation(RotationState.rolled_back, now(), now(), 3, trials)

    accepted, refused = TrialResult.accepted, TrialResult.refused
    assert tried(accepted, accepted).accepted == 2
    assert tried(accepted, refused).accepted == 0
    assert tried(accepted, refused, accepted, TrialResult.unclear).accepted == 1


async def test_a_client_without_connections_is_tried_by_itself(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(keyrack_on_each.store, acme.id, simulator.token_endpoint)
    rotating = Rotating(keyrack_on_each, simulator, client, [])
    await rotating.begin()
    await rotating.work()
    assert (await rotating.shown())["state"] == "rolled_back"
    accepts(simulator, OLD, NEW)
    assert (await rotating.admin.patch(rotating.path, moved_body("trying"))).status_code == 200
    await rotating.work()
    told = await rotating.shown()
    assert told["state"] == "promoted"
    assert [each["on"] for each in told["trials"]] == ["client"]


async def test_an_oauth_client_is_tried_without_any_grant_and_a_code_falls_back(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world, globex = keyrack_on_each, keyrack_on_each.tenants["Globex"]
    component_id = await component_for(world, simulator)
    clients = f"/v2/tenants/{globex.id}/oauth-clients"
    (client,) = (await globex.admin.get(f"{clients}?filter[component]={component_id}")).json()["data"]
    path = f"{clients}/{client['id']}/secret-rotation"
    begun = await globex.admin.post(path, rotation_body())
    assert begun.status_code == 201, begun.text
    await world.services.rotation_trials.tick()
    told = (await globex.admin.get(path)).json()["data"]["attributes"]
    assert (told["state"], told["in_use"], told["trials"][0]["on"]) == ("rolled_back", "old", "client")
    accepts(simulator, NEW)
    done = await connect(world, globex.admin, globex.workspace_id, component_id)
    assert done["attributes"]["status"] == "completed", "the code was exchanged with the other secret"
    assert (await globex.admin.patch(path, moved_body("trying"))).status_code == 200
    await world.services.rotation_trials.tick()
    assert (await globex.admin.get(path)).json()["data"]["attributes"]["state"] == "promoted"
    shown = (await globex.admin.get(f"{clients}/{client['id']}")).json()["data"]["attributes"]
    assert shown["client_secret"] == NEW
    assert (await globex.admin.delete(path)).status_code == 204


async def test_the_command_rotates_and_tells_what_depends_on_a_client_and_shows_no_secret(rotating: Rotating) -> None:
    async def run(*words: str, given: str | None = None) -> dict[str, Any]:
        env = environment(rotating.world.settings)
        command = ["clients", *words, "--json"]
        done = await asyncio.to_thread(lambda: forked_commands.run(command, env, 60, given=given))
        assert done.returncode == 0, done.stderr
        assert NEW not in done.stdout + done.stderr
        assert OLD not in done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    depends = await run("usage", rotating.client_id)
    assert (depends["grants"], depends["tenants"], depends["workspaces"], depends["users"]) == (5, 1, 1, 1)
    begun = await run("rotate", rotating.client_id, "--sample", "1", given=f"{NEW}\n")
    assert (begun["state"], begun["in_use"]) == ("trying", "old")
    accepts(rotating.simulator, OLD, NEW)
    await rotating.work()
    assert (await run("rotation", rotating.client_id))["state"] == "promoted"
    by_itself = await rotating.written("promote-secret")
    assert (await run("roll-back", rotating.client_id))["in_use"] == "old"
    assert (await run("promote", rotating.client_id))["in_use"] == "new"
    assert await rotating.written("promote-secret") == by_itself == 1, "only what happened by itself"
    assert await rotating.written("move-secret-rotation") == 2
    assert (await run("retire", rotating.client_id))["rotation"] == "ended"
    assert (await rotating.client()).credentials["client_secret"] == NEW
