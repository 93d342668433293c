"""Both layers of keys are exchanged while a server reads, writes and refreshes: nobody notices, whoever is killed."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from keyrack.crypto.envelope import key_id_of
from keyrack.model.secrets import AuthSecret
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.schema import auth_secrets
from support.app import Caller, TenantInTest, World, settings_for, world
from support.grants import add_auth_client, add_secret, mint, stored
from support.keyrack_processes import Server, command, environment, run_command
from support.waits_and_faults import until

SECRETS = 40
LIFETIME = 6
KILLED_AT_THE_SECOND_BATCH = """
import os, signal
from keyrack.store.resealing import Resealing

batch, some = Resealing.batch, []

async def killing(self, *given):
    done = await batch(self, *given)
    some.extend([done] if done.resealed else [])
    if len(some) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

Resealing.batch = killing
from keyrack.cli import main
main()
"""


@dataclass(frozen=True)
class Tenant:
    """A tenant with an auth client and secrets."""

    people: TenantInTest
    client: str
    secrets: list[AuthSecret]


class Load:
    """Readers and writers of two tenants, who write down what was refused."""

    def __init__(self) -> None:
        self.answered = {"read": 0, "write": 0}
        self.failed: list[str] = []
        self._stop = asyncio.Event()

    async def read(self, who: Caller, paths: list[str]) -> None:
        turn = 0
        while not self._stop.is_set():
            await self._ask("read", who, "GET", paths[turn % len(paths)])
            turn += 1
            await asyncio.sleep(0.005)

    async def write(self, who: Caller, client: str) -> None:
        """Change what is encrypted of an auth client, and read it back."""
        turn = 0
        while not self._stop.is_set():
            name = f"client {turn}"
            body = {"data": {"id": client, "type": "auth-client", "attributes": {"name": name}}}
            await self._ask("write", who, "PATCH", f"/v2/auth-clients/{client}", body)
            turn += 1
            await asyncio.sleep(0.02)

    def stop(self) -> None:
        self._stop.set()

    async def more(self, reads: int) -> None:
        """Wait until so many more reads were answered, or one was not."""
        goal = self.answered["read"] + reads
        await until(lambda: self.answered["read"] >= goal or bool(self.failed))

    async def _ask(self, kind: str, who: Caller, method: str, path: str, body: Any = None) -> None:
        try:
            answer = await who.call(method, path, body)
        except httpx2.HTTPError as error:
            self.failed.append(f"{method} {path}: {error!r}")
            return
        if answer.status_code != 200:
            self.failed.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        self.answered[kind] += 1


@asynccontextmanager
async def under_load(server: Server, tenants: list[Tenant]) -> AsyncIterator[Load]:
    load = Load()
    async with httpx2.AsyncClient(base_url=server.base, timeout=60) as http, asyncio.TaskGroup() as tasks:
        for tenant in tenants:
            admin = Caller(http, tenant.people.admin.name, tenant.people.admin.api_key)
            paths = [f"/v2/workspaces/{secret.workspace_id}/secrets/{secret.id}" for secret in tenant.secrets]
            tasks.create_task(load.read(admin, paths))
            tasks.create_task(load.write(admin, tenant.client))
        try:
            yield load
        finally:
            load.stop()


async def values_by_key(keyrack: World) -> set[str]:
    """Return the data keys that secrets are encrypted with."""
    async with keyrack.store.installation() as unit:
        rows = (await unit.connection.execute(select(auth_secrets.c.sealed_credentials))).all()
    return {key_id_of(row.sealed_credentials) for row in rows}


async def connected(keyrack: World, simulator: RunningSimulator) -> list[Tenant]:
    made = []
    for name in ("Acme", "Globex"):
        tenant = keyrack.tenants[name]
        client = await add_auth_client(keyrack.store, tenant.id, simulator.token_endpoint)
        secrets = [
            await add_secret(keyrack.store, tenant, client, mint(simulator), lifetime=LIFETIME) for _ in range(SECRETS)
        ]
        made.append(Tenant(tenant, client.id, secrets))
    return made


def rotate_and_be_killed(env: dict[str, str]) -> int:
    """Begin to exchange all keys, and be killed within the transaction that encrypts a second part of the values."""
    words = [sys.executable, "-c", KILLED_AT_THE_SECOND_BATCH, "keys", "rotate", "--json"]
    return subprocess.run(words, env=env, stdout=subprocess.DEVNULL, check=False, timeout=120).returncode


async def exchanged(env: dict[str, str], load: Load) -> tuple[Any, list[str], list[str]]:
    """Exchange all keys and retire the old ones, with a command that is killed in the middle.

    Returns:
        What the second command printed; data keys and key-encryption keys that were retired.
    """
    assert await asyncio.to_thread(rotate_and_be_killed, env) == -signal.SIGKILL
    status = await asyncio.to_thread(command, env, "keys", "status")
    assert status["rotation"] is not None, "it is known that something is left to do"
    done = await asyncio.to_thread(command, env, "keys", "rotate")
    await load.more(50)
    data_keys, key_encryption_keys = [], []
    while not load.failed:
        retired = await asyncio.to_thread(command, env, "keys", "retire", "--yes", "--min-age", "0")
        data_keys += retired["data_keys"]
        key_encryption_keys += retired["key_encryption_keys"]
        if not retired["needed_by"]:
            break
        await asyncio.sleep(0.5)  # a refresh that is under way still needs one
    return done, data_keys, key_encryption_keys


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_no_request_fails_while_keys_are_exchanged_and_the_command_is_killed(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else None
    settings = settings_for(tmp_path / "home", url, allow_insecure_providers="true")
    async with world(settings) as keyrack, running_simulator() as simulator:
        simulator.state.set_defaults({"rotation": "strict", "access_token_lifetime": LIFETIME})
        tenants = await connected(keyrack, simulator)
        before = await values_by_key(keyrack)
        env = environment(settings, worker_interval=0.1, provider_timeout=100)  # however slow the machine is
        server = Server(env, tmp_path / "server.log")
        try:
            await asyncio.to_thread(server.wait_until_ready)
            async with under_load(server, tenants) as load:
                await load.more(50)
                done, data_keys, key_encryption_keys = await exchanged(env, load)
                await load.more(50)
            status = await asyncio.to_thread(command, env, "keys", "status")
            assert await asyncio.to_thread(server.stop) == 0
        finally:
            server.kill()
        assert load.failed == []
        assert min(load.answered.values()) > 0
        assert (done["values_left"], done["values_unreadable"]) == ({}, 0)
        assert (status["superseded_data_keys"], status["values_left"], status["needed_by"]) == (0, {}, [])
        assert status["rotation"] is None
        assert [each["id"] for each in status["key_encryption_keys"]] == [done["key"]]
        assert before <= set(data_keys)
        assert len(key_encryption_keys) == 1
        assert not before & await values_by_key(keyrack), "everything is encrypted with new keys"
        pairs = [(old, await stored(keyrack.store, old)) for tenant in tenants for old in tenant.secrets]
        assert any(new.generation > old.generation for old, new in pairs), "tokens were refreshed meanwhile"
        assert [new.failure for _, new in pairs if not is_alive(simulator, new)] == []


def is_alive(simulator: RunningSimulator, secret: AuthSecret) -> bool:
    """Tell whether the simulator would take the stored refresh token."""
    book = simulator.state.book
    token = book.refresh(secret.credentials["refresh_token"])
    return token is not None and token.state(book.now()) == "active"


async def test_a_shredded_tenant_is_gone_in_every_process_at_once(postgres_url: str, tmp_path: Path) -> None:
    settings = settings_for(tmp_path / "home", postgres_url, allow_insecure_providers="true")
    async with world(settings) as keyrack:
        acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
        paths = {}
        for tenant in (acme, globex):
            client = await add_auth_client(keyrack.store, tenant.id, "http://127.0.0.1:9/token")
            secret = await add_secret(keyrack.store, tenant, client, {"access_token": "canary"})
            paths[tenant.id] = f"/v2/workspaces/{tenant.workspace_id}/secrets/{secret.id}"
        env = environment(settings)
        servers = [Server(env, tmp_path / f"server-{n}.log") for n in range(2)]
        try:
            for server in servers:
                await asyncio.to_thread(server.wait_until_ready)
                for tenant in (acme, globex):
                    for _ in range(3):  # the data key is in memory by now
                        assert "canary" in read(server, tenant, paths).text
            refused = run(settings.home, "keys", "shred", "--tenant", acme.id, "--confirm", globex.id, **env)
            assert refused.returncode == 1
            shredded = await asyncio.to_thread(command, env, "keys", "shred", "--tenant", acme.id, "--confirm", acme.id)
            assert shredded["data_keys"] == 1
            for server in servers:  # the very next request, without a pause
                gone = read(server, acme, paths)
                assert (gone.status_code, "canary" in gone.text) == (409, False)
                assert gone.json()["errors"][0]["code"] == "unreadable"
                assert "canary" in read(server, globex, paths).text
            log = json.loads(run(settings.home, "audit", "list", "--tenant", acme.id, "--json", **env).stdout)
            assert [event["action"] for event in log if event["target_id"] == acme.id][:1] == ["tenant.shred"]
        finally:
            for server in servers:
                server.kill()
        async with keyrack.store.installation() as unit:
            keys = await unit.connection.execute(select(func.count()).select_from(auth_secrets))
            assert keys.scalar() == 2, "rows stay; nobody can read them"


def read(server: Server, tenant: TenantInTest, paths: dict[str, str]) -> httpx2.Response:
    """Read a tenant's secret as its admin."""
    return httpx2.get(server.base + paths[tenant.id], auth=(tenant.admin.name, tenant.admin.api_key), timeout=60)


def run(home: Path, *words: str, **env: str) -> CompletedProcess[str]:
    """Run a Keyrack command, which may fail, with an environment."""
    more: dict[str, Any] = env
    return run_command(home, *words, **more)
