"""`keyrack worker` alone, several of them, and `serve --no-worker`, against a real provider."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import select

from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.attempts import open_attempts
from keyrack.store.schema import auth_secrets
from support.app import World
from support.documents import numbers
from support.grants import add_auth_client, add_secret, connect, is_live, mint, stored
from support.keyrack_processes import Replica, Server, environment

SECONDS = 60.0
QUICK = {"worker_interval": 0.05}


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


async def until(true: Callable[[], Awaitable[bool]], worker: Replica) -> None:
    deadline = time.monotonic() + SECONDS
    while not await true():
        assert worker.is_running(), worker.log()
        assert time.monotonic() < deadline, f"not in {SECONDS:.0f} s:\n{worker.log()}"
        await asyncio.sleep(0.05)


async def end(worker: Replica) -> int:
    return await asyncio.to_thread(worker.stop)


async def test_sigterm_finishes_what_was_begun_and_begins_no_more(
    keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    world = keyrack_on_each
    simulator.state.set_defaults({"rotation": "strict", "latency": 2000})
    first = await connect(world, simulator, {"rotation": "strict", "latency": 2000})
    worker = Replica(["worker"], environment(world.settings, worker_concurrency=1, **QUICK), tmp_path / "worker.log")

    async def begun() -> bool:
        async with world.store.installation() as unit:
            return bool(await open_attempts(unit))

    try:
        await until(begun, worker)
        second = await connect(world, simulator)
        assert await end(worker) == 0, worker.log()
    finally:
        worker.kill()
    after = await stored(world.store, first.secret)
    assert after.generation == first.secret.generation + 1
    assert is_live(simulator, after)
    assert (await stored(world.store, second.secret)).generation == second.secret.generation
    assert simulator.state.calls(grant_type="refresh_token") == 1


async def test_two_workers_share_the_work(keyrack_on_each: World, simulator: RunningSimulator, tmp_path: Path) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    simulator.state.set_defaults({"rotation": "strict", "latency": 400})
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    secrets = [await add_secret(world.store, acme, client, mint(simulator)) for _ in range(30)]
    holders: set[str] = set()
    s = auth_secrets.c
    env = environment(world.settings, worker_concurrency=2, log_level="info", **QUICK)
    workers = [Replica(["worker"], env, tmp_path / f"worker-{n}.log", forked=bool(n)) for n in range(2)]

    async def started() -> bool:
        return all("worker started" in worker.log() for worker in workers)

    async def refreshed() -> bool:
        async with world.store.unit(acme.id) as unit:
            rows = (await unit.connection.execute(select(s.generation, s.lease_owner))).all()
        holders.update(row.lease_owner for row in rows if row.lease_owner is not None)
        return all(row.generation == 2 for row in rows)

    try:
        await until(started, workers[0])
        async with world.store.unit(acme.id, writes=True) as unit:
            await unit.connection.execute(auth_secrets.update().values(due_at=world.store.clock()))
        await until(refreshed, workers[0])
        assert [await end(worker) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
    assert len(holders) == 2
    assert simulator.state.calls(grant_type="refresh_token") == len(secrets)
    assert all([is_live(simulator, await stored(world.store, secret)) for secret in secrets])


async def test_a_server_without_a_worker_refreshes_nothing_by_itself(
    keyrack: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    due = await connect(keyrack, simulator)
    server = Server(environment(keyrack.settings, **QUICK), tmp_path / "server.log", "--no-worker")
    try:
        await asyncio.to_thread(server.wait_until_ready)
        await asyncio.sleep(1.5)  # thirty looks of a worker
        assert simulator.state.calls(grant_type="refresh_token") == 0
        assert await end(server) == 0
        working = Server(environment(keyrack.settings, **QUICK), tmp_path / "working.log")
        try:

            async def refreshed() -> bool:
                return (await stored(keyrack.store, due.secret)).generation > due.secret.generation

            await until(refreshed, working)
        finally:
            working.kill()
    finally:
        server.kill()


async def test_a_worker_with_a_port_tells_how_it_is_doing_and_nothing_else(
    keyrack: World, simulator: RunningSimulator, tmp_path: Path
) -> None:
    due, acme = await connect(keyrack, simulator), keyrack.tenants["Acme"]
    watcher = await keyrack.add_service_account("global.metrics.get")
    origin = simulator.token_endpoint.removesuffix("/token")
    worker = Server(environment(keyrack.settings, **QUICK), tmp_path / "worker.log", command="worker")
    try:
        await asyncio.to_thread(worker.wait_until_ready)
        async with httpx2.AsyncClient(base_url=worker.base) as http:

            async def counted() -> bool:
                told = await http.get("/metrics", headers=watcher.headers)
                landed = (each for each in numbers(told.text).items() if each[0].startswith("keyrack_refreshes_total"))
                return list(landed) == [(f'keyrack_refreshes_total{{origin="{origin}",outcome="landed"}}', 1)]

            await until(counted, worker)
            assert (await http.get("/readyz")).status_code == 200
            assert (await http.get("/metrics")).status_code == 401
            secret = f"/v2/workspaces/{acme.workspace_id}/secrets/{due.secret.id}"
            for path in (secret, "/v2/users/me", "/openapi.json", "/docs", "/callback/oauth2?state=x"):
                assert (await http.get(path, headers=acme.admin.headers)).status_code == 404, path
        assert await end(worker) == 0, worker.log()
    finally:
        worker.kill()
