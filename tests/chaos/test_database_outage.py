"""The database goes away in the middle of refreshes and comes back: no rotated token is lost (issue 3.8)."""

import asyncio
import time
from pathlib import Path

from keyrack.errors import DatabaseUnavailable
from keyrack.model.secrets import AuthSecret
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import open_attempts
from keyrack.store.spool import Spool
from support.app import World, settings_for, world
from support.grants import add_auth_client, add_secret, is_live, mint, refreshed, stored
from support.keyrack_processes import Replica, environment
from support.postgres import PostgresServer

REFRESHES = 200
OUTAGE_SECONDS = 8.0
WORKERS = 2
SETTLED_AFTER = 240.0


async def all_fresh(keyrack: World, secrets: list[AuthSecret]) -> bool:
    try:
        async with keyrack.store.installation() as unit:
            if await open_attempts(unit):
                return False
        return all([(await stored(keyrack.store, secret)).generation > secret.generation for secret in secrets])
    except DatabaseUnavailable:
        return False


async def test_an_outage_in_the_middle_of_refreshes_loses_no_token(
    postgres_server_durable: PostgresServer, tmp_path: Path, simulator: RunningSimulator
) -> None:
    server = postgres_server_durable
    server.sql("CREATE DATABASE keyrack")
    settings = settings_for(tmp_path / "home", server.url("keyrack"), allow_insecure_providers="true")
    simulator.state.set_defaults({"rotation": "strict", "latency_after": 400})
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        secrets = [await add_secret(keyrack.store, acme, client, mint(simulator), age=4000) for _ in range(REFRESHES)]
        env = environment(settings, worker_interval=0.1, worker_concurrency=16, refresh_retry=0.5)
        workers = [Replica(["worker"], env, tmp_path / f"worker-{n}.log") for n in range(WORKERS)]
        try:
            deadline = time.monotonic() + 180
            while refreshed(simulator) < REFRESHES // 4:
                assert time.monotonic() < deadline, workers[0].log()
                await asyncio.sleep(0.02)
            await asyncio.to_thread(server.stop, immediate=True)
            gone = time.monotonic()
            await asyncio.sleep(3)
            waiting = len(Spool(settings.home / "spool").all())
            in_the_middle = refreshed(simulator)
            await asyncio.sleep(OUTAGE_SECONDS - (time.monotonic() - gone))
            assert refreshed(simulator) == in_the_middle, "without a database nothing is sent"
            await asyncio.to_thread(server.start)
            deadline = time.monotonic() + SETTLED_AFTER
            while not await all_fresh(keyrack, secrets):
                assert time.monotonic() < deadline, "\n".join(worker.log()[-3000:] for worker in workers)
                await asyncio.sleep(0.5)
            assert [worker.stop() for worker in workers] == [0] * WORKERS
        finally:
            for worker in workers:
                worker.kill()
        after = [await stored(keyrack.store, secret) for secret in secrets]
        lost = [secret for secret in after if secret.error_code is not None or not is_live(simulator, secret)]
        assert lost == [], f"{len(lost)} of {REFRESHES} were lost"
        assert 0 < waiting <= WORKERS * 16, "answers that came during the outage waited in the spool"
        assert Spool(settings.home / "spool").all() == []
        assert in_the_middle < REFRESHES
