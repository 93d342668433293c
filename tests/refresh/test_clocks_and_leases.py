"""Clocks that jump and leases that outlive their holders (issue 3.8; design, invariant 3)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import update

from keyrack import clock
from keyrack.errors import ProviderUnavailable
from keyrack.fair_share import Places
from keyrack.model.secrets import AuthSecret
from keyrack.service.secrets.refresh.composition import RefreshParts
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.core.process_id import is_dead, node_id
from keyrack.store.leases import LONGEST_MS, Leases
from keyrack.store.schema import auth_secrets
from keyrack.wiring.services import build_services
from keyrack.wiring.storage import open_store
from support.app import World
from support.grants import connect, is_leased, is_live, is_renewed, stored
from support.raw_provider import RawProvider, connect_raw, json_answer

STRICT = {"rotation": "strict"}
ELSEWHERE = "another-machine#17:1"
HOUR = timedelta(hours=1)


@asynccontextmanager
async def replica(world: World, jump: timedelta, **more: float) -> AsyncIterator[RefreshParts]:
    """Use cases on the same database whose clock is off; `more` is settings."""

    def now() -> datetime:
        return clock.now() + jump

    settings = replace(world.settings, **more)  # type: ignore[arg-type] # all are seconds
    store = open_store(settings, now)
    made = build_services(store, settings, now)
    try:
        yield made.refreshing
    finally:
        await made.refreshing.close()
        await made.close()
        await store.close()


async def lease_to(world: World, secret: AuthSecret, owner: str, length_ms: int) -> None:
    """Let a process hold the lease of a secret."""
    async with world.store.unit(secret.tenant_id, writes=True) as unit:
        assert await Leases(unit).acquire(secret.id, length_ms) is not None
        held = update(auth_secrets).where(auth_secrets.c.id == secret.id).values(lease_owner=owner)
        await unit.connection.execute(held)


def calls(simulator: RunningSimulator) -> int:
    return simulator.state.calls(endpoint="token", grant_type="refresh_token")


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_a_clock_that_jumped_does_not_end_anothers_lease(
    keyrack_on_each: World, simulator: RunningSimulator, jump: timedelta
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT)
    await lease_to(keyrack_on_each, connected.secret, ELSEWHERE, 60_000)
    async with replica(keyrack_on_each, jump, refresh_wait=0.5) as room:
        with pytest.raises(ProviderUnavailable) as caught:
            await room.refresher.refresh(connected.secret)
        assert await room.refresher.claim(Places(10)) == []
    assert (caught.value.meta or {})["reason"] == "busy"
    assert calls(simulator) == 0
    assert await is_leased(keyrack_on_each.store, connected.secret)


@pytest.mark.parametrize("jump", [5 * HOUR, -5 * HOUR], ids=["ahead", "behind"])
async def test_a_lease_taken_by_a_wrong_clock_holds_for_all_until_its_refresh_ends(
    keyrack_on_each: World, raw_provider: RawProvider, jump: timedelta
) -> None:
    world = keyrack_on_each
    raw_provider.answers = [json_answer('{"access_token":"at-2","refresh_token":"rt-2","expires_in":3600}')]
    raw_provider.go_on.clear()
    secret = (await connect_raw(world, raw_provider, age=100_000)).secret
    async with (
        replica(world, jump) as wrong,
        replica(world, timedelta(), refresh_wait=0.5) as right,
        replica(world, -jump, refresh_wait=0.5) as wrong_too,
    ):
        running = asyncio.create_task(wrong.refresher.refresh(secret))
        await asyncio.wait_for(raw_provider.asked.wait(), 60)
        async with world.store.unit(secret.tenant_id, writes=True) as unit:  # all are this process; now it is another
            held = update(auth_secrets).where(auth_secrets.c.id == secret.id).values(lease_owner=ELSEWHERE)
            await unit.connection.execute(held)
        for other in (right, wrong_too):
            with pytest.raises(ProviderUnavailable) as caught:
                await other.refresher.refresh(secret)
            assert (caught.value.meta or {})["reason"] == "busy"
            assert await other.refresher.claim(Places(10)) == []
            assert await other.recovery.tick() == 0, "nor is the request taken for one that was lost"
        raw_provider.go_on.set()
        assert (await running).credentials["access_token"] == "at-2", "it has not lost its own lease either"
    assert len(raw_provider.requests) == 1
    now = await stored(world.store, secret)
    assert (now.credentials["refresh_token"], now.ambiguous_since) == ("rt-2", None)
    assert not await is_leased(world.store, secret)


@pytest.mark.parametrize("jump", [HOUR, -HOUR], ids=["ahead", "behind"])
async def test_a_clock_that_jumped_costs_no_grant(
    keyrack_on_each: World, simulator: RunningSimulator, jump: timedelta
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT, age=60)
    who = keyrack_on_each.tenants["Acme"].admin
    path = f"/v2/workspaces/{connected.secret.workspace_id}/secrets/{connected.secret.id}"
    async with replica(keyrack_on_each, jump) as room:
        for _ in range(3):
            current = await stored(keyrack_on_each.store, connected.secret)
            await room.fresh.before_read(current, None)
            await room.refresher.drain(60)
    assert calls(simulator) <= 1, "one refresh settles what the jump made due"
    assert is_live(simulator, await stored(keyrack_on_each.store, connected.secret))
    asked = await who.post(f"{path}/refresh")  # what a component does on a 401; it puts the times right
    assert asked.status_code == 200
    expires_at = datetime.fromisoformat(asked.json()["data"]["attributes"]["credentials"]["expires_at"])
    assert abs(expires_at - clock.now() - HOUR) < timedelta(minutes=1)


async def test_a_lease_that_outlived_its_holder_is_taken_when_it_ends(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT)
    await lease_to(keyrack_on_each, connected.secret, ELSEWHERE, 300)
    fresh = await keyrack_on_each.services.refreshing.refresher.refresh(connected.secret)
    assert is_renewed(simulator, connected.secret, fresh)


async def test_a_lease_of_a_dead_process_of_this_machine_is_taken_at_once(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    gone = f"{node_id().rpartition('#')[0]}#{2**22 + 1}:1"
    assert is_dead(gone)
    assert not is_dead(node_id())
    assert not is_dead(ELSEWHERE)
    connected = await connect(keyrack_on_each, simulator, STRICT)
    await lease_to(keyrack_on_each, connected.secret, gone, 60_000)
    async with replica(keyrack_on_each, timedelta()) as room:
        assert is_renewed(simulator, connected.secret, await room.refresher.refresh(connected.secret))


async def test_a_lease_from_before_a_reboot_is_free(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    """Time since boot starts anew: what was taken late in a long uptime seems to last for days."""
    connected = await connect(keyrack_on_each, simulator, STRICT)
    await lease_to(keyrack_on_each, connected.secret, ELSEWHERE, LONGEST_MS * 100)
    async with replica(keyrack_on_each, timedelta()) as room:
        assert is_renewed(simulator, connected.secret, await room.refresher.refresh(connected.secret))


async def test_no_connection_is_held_while_the_provider_is_called(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    connected = await connect(keyrack_on_each, simulator, STRICT | {"latency": 400})
    world = keyrack_on_each
    refresher = world.services.refreshing.refresher
    running = asyncio.create_task(refresher.refresh(connected.secret))
    held = []
    while not running.done():
        await asyncio.sleep(0.02)
        held.append(world.store.connections()[0])
    await running
    assert held.count(0) >= 10, held
