"""One way to refresh: single flight, fences, failure classes, lost answers (contract 0.12, 0.13, 15.3)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyrack.errors import NotRefreshable, ProviderError, ProviderUnavailable
from keyrack.model.secrets import ErrorCode, SecretState
from keyrack.service.secrets.status import current_status
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.leases import LeaseLost, Leases
from support.app import World
from support.grants import change, connect, is_leased, is_renewed, stored

STRICT = {"rotation": "strict"}


def refreshes(simulator: RunningSimulator) -> int:
    return simulator.state.calls(endpoint="token", grant_type="refresh_token")


async def test_a_hundred_callers_make_one_call(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT | {"latency": 100})
    refresher = keyrack_on_each.services.refreshing.refresher
    fresh = await asyncio.gather(*(refresher.refresh(connected.secret) for _ in range(100)))
    assert refreshes(simulator) == 1
    assert {secret.generation for secret in fresh} == {connected.secret.generation + 1}
    assert is_renewed(simulator, connected.secret, fresh[0])
    assert not await is_leased(keyrack_on_each.store, connected.secret)
    assert refresher.running == 0


async def test_one_who_saw_the_old_token_gets_the_new_one_without_a_call(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT)
    refresher = keyrack_on_each.services.refreshing.refresher
    first = await refresher.refresh(connected.secret)
    again = await refresher.refresh(connected.secret)
    assert (refreshes(simulator), again.credentials) == (1, first.credentials)


async def test_a_response_without_refresh_token_keeps_the_old_one_and_merges_the_rest(
    keyrack: World, simulator: RunningSimulator
) -> None:  # contract 15.3, 24.12
    connected = await connect(keyrack, simulator, {"rotation": "off", "extra_members": {"instance_url": "https://x"}})
    fresh = await keyrack.services.refreshing.refresher.refresh(connected.secret)
    assert fresh.credentials["refresh_token"] == connected.secret.credentials["refresh_token"]
    assert fresh.credentials["undefined_params"] == {"instance_url": "https://x"}
    assert fresh.refreshed_at is not None


async def test_a_caller_that_goes_away_does_not_stop_the_refresh(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator, STRICT | {"latency": 150})
    refresher = keyrack.services.refreshing.refresher
    caller = asyncio.create_task(refresher.refresh(connected.secret))
    await asyncio.sleep(0.05)
    caller.cancel()
    await refresher.drain(60)
    assert is_renewed(simulator, connected.secret, await stored(keyrack.store, connected.secret))


async def test_without_refresh_token_nothing_is_asked(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator)
    plain = await change(keyrack.store, connected.secret, refreshable=False)
    with pytest.raises(NotRefreshable):
        await keyrack.services.refreshing.refresher.refresh(plain)
    assert refreshes(simulator) == 0


async def test_invalid_grant_ends_the_grant_and_the_first_cause_stays(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:  # contract 0.13, 15.3
    connected = await connect(keyrack_on_each, simulator)
    simulator.state.book.revoke(lambda _token: True)
    refresher = keyrack_on_each.services.refreshing.refresher
    with pytest.raises(ProviderError) as caught:
        await refresher.refresh(connected.secret)
    assert (caught.value.meta or {})["error"] == "invalid_grant"
    dead = await stored(keyrack_on_each.store, connected.secret)
    assert (dead.state, dead.error_code) == (SecretState.error, ErrorCode.reauthorization_required)
    assert (dead.due_at, dead.failure_count) == (None, 1)
    with pytest.raises(ProviderError):
        await refresher.refresh(dead)
    later = await stored(keyrack_on_each.store, connected.secret)
    assert (later.error_at, later.error_code, later.failure_count) == (dead.error_at, dead.error_code, 2)


async def test_a_rejected_client_pauses_its_secrets_and_a_change_revives_them(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:  # contract 0.13
    connected = await connect(keyrack_on_each, simulator, client_secret="wrong", age=3590)
    world, refresher = keyrack_on_each, keyrack_on_each.services.refreshing.refresher
    with pytest.raises(ProviderError):
        await refresher.refresh(connected.secret)
    paused = await stored(world.store, connected.secret)
    assert (paused.state, paused.due_at) == (SecretState.ready, None)
    async with world.store.unit(connected.client.tenant_id) as unit:
        client = await AuthClientRows(unit).find(connected.client.id)
    assert client is not None
    assert client.rejected_at is not None
    now = datetime.now(UTC)
    assert current_status(paused, client, now).state is SecretState.ready, "the token is still valid"
    later = current_status(paused, client, now + timedelta(minutes=1))
    assert (later.state, later.error_code) == (SecretState.error, ErrorCode.client_rejected)
    calls = refreshes(simulator)
    with pytest.raises(ProviderError):
        await refresher.refresh(paused)
    assert refreshes(simulator) == calls, "a rejected client is left alone"
    right = client.credentials | {"client_secret": "simulator-secret"}
    async with world.store.unit(client.tenant_id, writes=True) as unit:
        await AuthClientRows(unit).replace(replace(client, credentials=right), None)
        await AuthClientHealth(unit).revive(client.id, timedelta(seconds=30))
    revived = await stored(world.store, connected.secret)
    assert revived.due_at is not None
    assert is_renewed(simulator, connected.secret, await refresher.refresh(revived))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_provider_that_cannot_is_tried_again_later(
    keyrack: World, simulator: RunningSimulator, status: int
) -> None:
    connected = await connect(keyrack, simulator, {"status": status, "retry_after": 120})
    with pytest.raises(ProviderUnavailable):
        await keyrack.services.refreshing.refresher.refresh(connected.secret)
    failed = await stored(keyrack.store, connected.secret)
    assert failed.state is SecretState.ready
    assert failed.failed_at is not None
    assert failed.retry_at is not None
    assert failed.retry_at == failed.due_at
    assert failed.retry_at - failed.failed_at >= timedelta(seconds=120)
    said = current_status(failed, None, datetime.now(UTC))
    assert (said.state, said.error_code) == (SecretState.error, ErrorCode.provider_unavailable)
    assert failed.failure is not None
    assert (failed.failure.kind, failed.failure.status) == ("temporary", status)


async def test_a_lost_answer_is_asked_for_once_more_and_comes_out_well_where_old_tokens_work(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack, simulator, {"rotation": "overlap"})
    simulator.state.enqueue(Queued("token", 1, {"hang_up": "after"}))
    fresh = await keyrack.services.refreshing.refresher.refresh(connected.secret)
    assert (refreshes(simulator), fresh.ambiguous_since) == (2, None)
    assert is_renewed(simulator, connected.secret, fresh)


async def test_a_lost_answer_of_a_strict_provider_is_flagged_as_interrupted(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack, simulator, STRICT)
    simulator.state.enqueue(Queued("token", 1, {"hang_up": "after"}))
    before = datetime.now(UTC)
    with pytest.raises(ProviderError):
        await keyrack.services.refreshing.refresher.refresh(connected.secret)
    lost = await stored(keyrack.store, connected.secret)
    assert (lost.state, lost.error_code) == (SecretState.error, ErrorCode.refresh_interrupted)
    assert lost.error_at is not None
    assert abs(lost.error_at - before) < timedelta(minutes=1)
    assert refreshes(simulator) == 2, "the stored token is tried once"


async def test_the_fence_refuses_a_holder_that_outlived_its_lease(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world = keyrack_on_each
    connected = await connect(world, simulator)
    async with world.store.unit(connected.secret.tenant_id, writes=True) as unit:
        old = await Leases(unit).acquire(connected.secret.id, -1)
    assert old is not None
    fresh = await world.services.refreshing.refresher.refresh(connected.secret)
    async with world.store.unit(connected.secret.tenant_id, writes=True) as unit:
        with pytest.raises(LeaseLost):
            await Leases(unit).finish([(old, old.secret)])
    assert (await stored(world.store, connected.secret)).credentials == fresh.credentials


async def test_an_open_circuit_makes_no_calls(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator, {"status": 503})
    refresher = keyrack.services.refreshing.refresher
    secret = connected.secret
    for _ in range(12):
        with pytest.raises(ProviderUnavailable):
            await refresher.refresh(secret)
        secret = await stored(keyrack.store, secret)
    assert refreshes(simulator) == keyrack.settings.breaker_failures
    assert secret.failure is not None
    assert secret.failure.reason == "circuit_open"
