"""How late refreshes begin, and how long is waited for others' refreshes and for the database, is measured."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import update

from keyrack import exposition
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.core.connecting import Connector
from keyrack.store.core.connection import UnitMode
from keyrack.store.core.dsn import PostgresTarget
from keyrack.store.core.postgresql import PostgresqlDatabase
from keyrack.store.lease_clock import since_boot_ms
from keyrack.store.schema import auth_secrets
from keyrack.worker.refreshing import RefreshWorker
from support.app import World
from support.documents import numbers
from support.grants import change, connect

LATE = "keyrack_refresh_lag_seconds"
HELD = 'keyrack_lease_wait_seconds_count{{held_by="{}"}}'
TURN = 'keyrack_database_wait_seconds_{}{{turn="{}"}}'


def told() -> dict[str, float]:
    return numbers(exposition.exposition({}).decode())


async def test_how_late_a_worker_begins_is_measured_by_when_the_secret_was_due(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected, before = await connect(keyrack, simulator), told()
    await change(keyrack.store, connected.secret, due_at=keyrack.store.clock() - timedelta(seconds=1000))
    worker = RefreshWorker(keyrack.services.refreshing.refresher, 10)
    assert await worker.tick() == 1
    await worker.stop(60)
    after = told()
    assert after[f"{LATE}_count"] - before[f"{LATE}_count"] == 1
    assert after[f"{LATE}_sum"] - before[f"{LATE}_sum"] >= 1000
    assert after[f'{LATE}_bucket{{le="900.0"}}'] == before[f'{LATE}_bucket{{le="900.0"}}']


async def test_who_waits_for_a_refresh_in_this_process_is_counted(keyrack: World, simulator: RunningSimulator) -> None:
    connected, name = await connect(keyrack, simulator, {"latency": 200}), HELD.format("this_process")
    before, refresher = told().get(name, 0), keyrack.services.refreshing.refresher
    await asyncio.gather(*(refresher.refresh(connected.secret) for _ in range(4)))
    assert told()[name] - before == 3


async def test_who_waits_for_another_process_is_counted_once_the_lease_is_free(
    keyrack: World, simulator: RunningSimulator
) -> None:
    connected, name = await connect(keyrack, simulator), HELD.format("another_process")
    before = told().get(name, 0)

    async def lease_is(**values: object) -> None:
        async with keyrack.store.unit(connected.secret.tenant_id, writes=True) as unit:
            await unit.connection.execute(update(auth_secrets).values(**values))

    await lease_is(lease_owner="elsewhere#1:1", lease_until=since_boot_ms() + 300_000)
    waiting = asyncio.create_task(keyrack.services.refreshing.refresher.refresh(connected.secret))
    await asyncio.sleep(0.1)
    assert told().get(name, 0) == before, "it still waits"
    await lease_is(lease_owner=None, lease_until=None)
    assert (await waiting).generation == connected.secret.generation + 1
    assert told()[name] - before == 1


async def test_waiting_for_a_connection_is_measured_and_so_is_giving_up() -> None:
    nowhere = Connector(PostgresTarget("postgresql://127.0.0.1:1/nobody_gets_that_far", {}))
    database, before = PostgresqlDatabase(nowhere, 1, 0.01), told()
    count, total = TURN.format("count", "connection"), TURN.format("sum", "connection")
    assert database._places._places.take("other")
    with pytest.raises(TimeoutError):
        async with database.unit(UnitMode.read, "tenant"):
            pass
    after = told()
    assert after[count] - before.get(count, 0) == 1
    assert after[total] > before.get(total, 0)


async def test_waiting_for_the_turn_to_write_is_measured(keyrack: World) -> None:
    count = TURN.format("count", "write")
    before = told().get(count, 0)
    async with keyrack.store.installation(writes=True):
        pass
    assert told()[count] - before == 1
