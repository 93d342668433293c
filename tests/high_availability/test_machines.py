"""What a process keeps on its machine, and what is lost with that (issue 15, point 9; docs/high-availability.md)."""

import asyncio
import shutil
import time
from collections import Counter
from pathlib import Path

import httpx2

from keyrack.errors import DatabaseUnavailable
from keyrack.model.secrets import ErrorCode, SecretState
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import open_attempts
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.spool import Spool
from support.app import World, settings_for, world
from support.grants import add_auth_client, add_secret, mint, stored
from support.keyrack_processes import Replica, Server, environment
from support.postgres import PostgresServer
from support.waits_and_faults import until

SECRETS = 16
SETTLED_AFTER = 240.0


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def test_a_process_that_serves_and_refreshes_leaves_nothing_on_its_machine(
    postgres_server_durable: PostgresServer, tmp_path: Path, simulator: RunningSimulator
) -> None:
    postgres_server_durable.sql("CREATE DATABASE keyrack")
    first = settings_for(tmp_path / "first", postgres_server_durable.url("keyrack"), allow_insecure_providers="true")
    home, own, temporary = (tmp_path / name for name in ("home", "own", "temporary"))
    for folder in (home, own, temporary):
        folder.mkdir(mode=0o700)
    async with world(first) as keyrack:
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        secret = await add_secret(keyrack.store, acme, client, mint(simulator), age=4000)
        more = {"home": home, "key_file": first.effective_key_file}
        env = environment(first, **more) | {"HOME": str(own), "TMPDIR": str(temporary)}
        server = Server(env, tmp_path / "server.log")
        try:
            await asyncio.to_thread(server.wait_until_ready)
            async with httpx2.AsyncClient(auth=(acme.admin.name, acme.admin.api_key), timeout=60) as http:
                path = f"{server.base}/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
                answer = await http.get(path)
                assert answer.json()["data"]["attributes"]["state"] == "ready", answer.text
                assert (await http.get(f"{server.base}/console/sign-in")).status_code == 200
        finally:
            assert server.stop() == 0, server.log()
        assert (await stored(keyrack.store, secret)).generation > secret.generation
    assert [files(folder) for folder in (home, own, temporary)] == [set(), set(), set()]


async def test_what_is_lost_with_a_machines_spool_is_said(
    postgres_server_durable: PostgresServer, tmp_path: Path, simulator: RunningSimulator
) -> None:
    """The database goes away under refreshes, and then the machine that had their answers."""
    postgres_server_durable.sql("CREATE DATABASE keyrack")
    first = settings_for(tmp_path / "first", postgres_server_durable.url("keyrack"), allow_insecure_providers="true")
    simulator.state.set_defaults({"rotation": "strict", "latency_after": 6000})
    lost, other = tmp_path / "lost", tmp_path / "other"
    for folder in (lost, other):
        folder.mkdir(mode=0o700)
    async with world(first) as keyrack:
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        secrets = [await add_secret(keyrack.store, acme, client, mint(simulator), age=4000) for _ in range(SECRETS)]
        more = {"key_file": first.effective_key_file, "worker_interval": 0.1, "worker_concurrency": 8}
        worker = Replica(["worker"], environment(first, home=lost, **more), tmp_path / "lost.log")
        try:
            await until(lambda: simulator.state.calls(grant_type="refresh_token", outcome="ok") > 0)
            await asyncio.to_thread(postgres_server_durable.stop, immediate=True)
            await until(lambda: Spool(lost / "spool").count() > 0)
            simulator.state.set_defaults({"rotation": "strict"})
        finally:
            worker.kill()
        shutil.rmtree(lost)
        await asyncio.to_thread(postgres_server_durable.start)
        worker = Replica(["worker"], environment(first, home=other, **more), tmp_path / "other.log")
        try:
            deadline = time.monotonic() + SETTLED_AFTER
            while not await _is_settled(keyrack, [secret.id for secret in secrets]):
                assert time.monotonic() < deadline, worker.log()
                await asyncio.sleep(0.2)
        finally:
            worker.kill()
        after = [await stored(keyrack.store, secret) for secret in secrets]
    book = simulator.state.book

    def takes(token: str) -> bool:
        found = book.refresh(token)
        return found is not None and found.state(book.now()) == "active"

    flagged = [secret for secret in after if secret.error_code is not None]
    assert Counter(secret.error_code for secret in flagged) == {ErrorCode.refresh_interrupted: len(flagged)}
    # an answer may have been committed although the process never heard so; then its grant is alive
    assert len(flagged) <= 8, "no more than were under way on that machine"
    assert all(secret.state is SecretState.error and secret.error_at is not None for secret in flagged)
    assert not any(takes(secret.credentials["refresh_token"]) for secret in flagged)
    assert all(takes(secret.credentials["refresh_token"]) for secret in after if secret.error_code is None)


async def _is_settled(keyrack: World, secret_ids: list[str]) -> bool:
    try:
        async with keyrack.store.installation() as unit:
            if await open_attempts(unit):
                return False
        acme = keyrack.tenants["Acme"]
        async with keyrack.store.unit(acme.id) as unit:
            found = [await AuthSecrets(unit).find(secret_id) for secret_id in secret_ids]
        return all(each is not None and (each.error_code is not None or each.generation > 1) for each in found)
    except DatabaseUnavailable:
        return False
