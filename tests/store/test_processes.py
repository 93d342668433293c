"""Processes that tell of themselves in the database, leases, what is due, key versions (decision 34)."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select, update

from keyrack.ids import new_id
from keyrack.model.operations import CircuitState, ProcessState, RunningProcess
from keyrack.store.core.process_id import node_id
from keyrack.store.data_key_list import DataKeyList
from keyrack.store.leases import Leases
from keyrack.store.processes import KEPT_MS, Processes
from keyrack.store.refresh_queue import RefreshQueueRows
from keyrack.store.schema import processes
from keyrack.store.tenant_list import TenantList
from support.app import World
from support.grants import add_auth_client, add_secret, change
from support.keyrack_processes import Server, environment
from support.waits_and_faults import SECONDS

STARTED = datetime(2026, 3, 1, tzinfo=UTC)
CIRCUIT = CircuitState("https://a.example", "half_open", 2)


def process(name: str, **state: Any) -> RunningProcess:
    told = ProcessState(**state, circuits=[CIRCUIT])
    return RunningProcess(name, "host", 7, "1.0", ("api", "worker"), told, STARTED)


async def test_a_process_is_there_until_it_leaves_or_is_silent_for_long(keyrack_on_each: World) -> None:
    store = keyrack_on_each.store
    async with store.installation(writes=True) as unit:
        rows = Processes(unit)
        await rows.say(process("b", refreshing=1))
        await rows.say(process("a"))
        await rows.say(process("b", refreshing=5))
    async with store.installation() as unit:
        found = await Processes(unit).list()
    assert [(each.id, each.state.refreshing, each.roles) for each in found] == [
        ("a", 0, ("api", "worker")),
        ("b", 5, ("api", "worker")),
    ]
    assert found[0].state.circuits == [CIRCUIT]
    assert (found[0].started_at, found[0].is_silent) == (STARTED, False)
    async with store.installation(writes=True) as unit:
        await Processes(unit).leave("a")
        await unit.connection.execute(update(processes).values(seen_ms=processes.c.seen_ms - 30_000))
    async with store.installation() as unit:
        (silent,) = await Processes(unit).list()
    assert (silent.id, silent.is_silent) == ("b", True)
    async with store.installation(writes=True) as unit:
        await unit.connection.execute(update(processes).values(seen_ms=processes.c.seen_ms - KEPT_MS))
        assert await Processes(unit).list() == []
        assert await Processes(unit).forget() == 1
        assert (await unit.connection.execute(select(processes.c.id))).all() == []


async def running(world: World) -> dict[int, RunningProcess]:
    async with world.store.installation() as unit:
        return {each.pid: each for each in await Processes(unit).list()}


async def test_serving_processes_tell_of_themselves_and_one_that_ends_is_gone(
    keyrack_on_each: World, tmp_path: Path
) -> None:
    await keyrack_on_each.services.heartbeat.beat()
    server = Server(environment(keyrack_on_each.settings), tmp_path / "server.log", "--no-worker")
    try:
        await asyncio.to_thread(server.wait_until_ready)
        found = await running(keyrack_on_each)
        deadline = time.monotonic() + SECONDS
        while server.pid not in found:
            assert time.monotonic() < deadline, "it tells of itself soon after its start"
            await asyncio.sleep(0.05)
            found = await running(keyrack_on_each)
        assert found[server.pid].roles == ("api",)
        assert found[server.pid].state.connections_most > 0
        assert node_id() in {each.id for each in found.values()}
        assert await asyncio.to_thread(server.stop) == 0
    finally:
        server.kill()
    assert server.pid not in await running(keyrack_on_each)
    await keyrack_on_each.services.heartbeat.close()


async def test_what_is_due_comes_with_its_lag_and_leases_with_their_holder(keyrack_on_each: World) -> None:
    store, acme = keyrack_on_each.store, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(store, acme.id, "https://a.example/token")
    tokens = {"access_token": "at", "refresh_token": "rt"}
    late = await add_secret(store, acme, client, tokens, age=9000)
    due = await add_secret(store, acme, client, tokens, age=4000)
    soon, later = [await add_secret(store, acme, client, tokens) for _ in range(2)]
    await change(store, soon, due_at=datetime.now(UTC) + timedelta(minutes=2))
    await change(store, later, due_at=datetime.now(UTC) + timedelta(minutes=50))
    async with store.unit(acme.id, writes=True) as unit:
        assert await Leases(unit).acquire(late.id, 60_000) is not None
        assert await Leases(unit).acquire(later.id, 60_000) is not None
    async with store.installation() as unit:
        rows = RefreshQueueRows(unit)
        assert [each.secret.id for each in await rows.due(limit=9, offset=0)] == [late.id, due.id]
        assert [each.secret.id for each in await rows.due(limit=1, offset=1)] == [due.id]
        assert [each.lease_owner for each in await rows.due(limit=9, offset=0)] == [node_id(), None]
        assert await rows.due_within(timedelta(minutes=5)) == 1
        assert await rows.due_within(timedelta(days=1)) == 2
        (lease,) = await rows.leases()
        assert (lease.secret_id, lease.owner, lease.tenant_id) == (late.id, node_id(), acme.id)
        assert 0 < lease.ends_in <= 60
        assert await rows.requests() == []


async def test_data_keys_are_listed_by_what_they_are_kept_under(keyrack_on_each: World) -> None:
    store = keyrack_on_each.store
    async with store.installation() as unit:
        (version,) = await DataKeyList(unit).versions()
        page = await DataKeyList(unit).page(version.id, limit=99, offset=0)
        tenants, total = await TenantList(unit).page("", limit=99, offset=0)
    assert version.id == store.keyring.kek_id
    assert version.data_keys == len(page) == total + 1, "one for each tenant, and the installation's own"
    assert {each.tenant_name for each in page} == {each.name for each in tenants} | {""}
    assert version.first <= page[0].created_at <= version.last


async def test_tenants_are_searched_by_name_domain_and_id(keyrack_on_each: World) -> None:
    store, acme = keyrack_on_each.store, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(store, acme.id, "https://a.example/token")
    await add_secret(store, acme, client, {"access_token": "at"})
    async with store.installation() as unit:
        rows = TenantList(unit)
        for search in ("ACM", "acme.exa", acme.id):
            (found,), total = await rows.page(search, limit=5, offset=0)
            assert (found.id, found.grants, total) == (acme.id, 1, 1)
        for search in ("%", "_cme", "\\", new_id()):
            assert await rows.page(search, limit=5, offset=0) == ([], 0)
        assert (await rows.page("example", limit=1, offset=1))[1] >= 2
