"""A full disk: what writes is refused and said once, what reads goes on, and nothing is lost; then it recovers."""

import asyncio
import os
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack.errors import DatabaseUnavailable, DiskFull, ProviderUnavailable
from keyrack.model.secrets import AuthSecret
from keyrack.oauth.wire import RawResponse
from keyrack.service.authz.operator import operator
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import Attempt
from keyrack.store.audit_log import AuditLog
from keyrack.store.spool import Spool
from keyrack.worker.refreshing import RefreshWorker
from support.app import BASE, World, error_of, settings_for, world
from support.grants import add_auth_client, add_secret, is_live, mint, stored
from support.keyrack_processes import Served, bootstrapped, command_environment, run_command, serving
from support.postgres import PostgresServer
from support.process import free_port
from support.waits_and_faults import until

SIZE = 6 << 20
FULL, ROOM = "is full: whatever would be stored is refused", "has room again"


@dataclass
class Disk:
    """A small disk of a test's own."""

    folder: Path

    def fill(self) -> None:
        """Take all the room there is."""
        with (self.folder / "filling").open("ab", buffering=0) as filling:
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while filling.write(b"x" * size) == size:
                        pass

    def free(self) -> None:
        """Give it back."""
        (self.folder / "filling").unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A file system in memory, which only root can mount."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", folder],
        check=False,
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:  # a right that a machine has or not; nothing that CI could install
        pytest.skip(f"a small disk cannot be had, as nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def makes_key(served: Served, **more: Any) -> httpx2.Response:
    body = {"data": {"type": "api-key", "attributes": {"name": "x" * 200}}}
    return httpx2.post(f"{served.base}/v2/users/me/api-keys", json=body, auth=served.admin, timeout=30, **more)


def refused_writes(served: Served) -> httpx2.Response:
    """Write until that is refused."""
    for _ in range(2000):
        answer = makes_key(served)
        if answer.status_code != 201:
            return answer
    raise AssertionError("the disk is not full")


def look(served: Served, path: str) -> httpx2.Response:
    return httpx2.get(f"{served.base}{path}", auth=served.admin, timeout=30)


def require_full_and_then_well(served: Served, free: Callable[[], None]) -> None:
    refused = refused_writes(served)
    (error,) = refused.json()["errors"]
    assert (refused.status_code, error["code"]) == (503, "disk_full"), refused.text
    assert "disk of the database is full" in error["detail"]
    assert refused.headers["retry-after"] == "10"
    ready = look(served, "/readyz")
    assert (ready.status_code, ready.json()["errors"][0]["code"]) == (503, "disk_full")
    assert look(served, "/healthz").status_code == 200
    for _ in range(20):
        assert makes_key(served).status_code == 503
        assert look(served, "/v2/users/me").status_code == 200, "who only reads is served"
    assert look(served, "/v2/users/me/api-keys").status_code == 200
    assert served.log().count(FULL) == 1, "once, not for each request"
    free()
    served.wait("/readyz", 200)
    assert makes_key(served).status_code == 201
    log = served.log()
    assert (log.count(FULL), log.count(ROOM)) == (1, 1)
    assert "Traceback" not in log
    assert '"level": "error"' not in log.replace(FULL, "", 1) or log.count('"level": "error"') == 1


def test_sqlite_on_a_full_disk(disk: Disk) -> None:
    home = disk.folder / "home"
    first = bootstrapped(home)
    with serving(home, first) as served:
        assert makes_key(served).status_code == 201
        disk.fill()
        require_full_and_then_well(served, disk.free)
        disk.fill()
        assert refused_writes(served).json()["errors"][0]["code"] == "disk_full", "a second time"
        assert look(served, "/readyz").status_code == 503
        disk.free()
        served.wait("/readyz", 200)


def test_a_start_on_a_full_disk_is_refused_and_works_later(disk: Disk) -> None:
    home = disk.folder / "home"
    first = bootstrapped(home)
    disk.fill()
    refused = run_command(home, "serve", "--port", "0")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("keyrack: The disk of the database is full"), refused.stderr
    disk.free()
    with serving(home, first) as served:
        assert makes_key(served).status_code == 201


def test_postgresql_on_a_full_disk(postgres_server: PostgresServer, tmp_path: Path, disk: Disk) -> None:
    place = disk.folder / "tablespace"
    place.mkdir()
    if os.geteuid() == 0:
        for each in (disk.folder, place):
            os.chown(each, postgres_server._user or 0, -1)
        for each in (tmp_path, *tmp_path.parents):
            if not each.stat().st_mode & 0o001 and str(each) != "/":
                each.chmod(each.stat().st_mode | 0o011)
    name = f"full_{secrets.token_hex(6)}"
    subprocess.run(["mount", "-o", "remount,size=64m", disk.folder], check=True)
    postgres_server.sql(f"CREATE TABLESPACE {name} LOCATION '{place}'")
    postgres_server.sql(f"CREATE DATABASE {name} TABLESPACE {name}")
    url = postgres_server.url(name)
    try:
        first = bootstrapped(tmp_path / "home", KEYRACK_DATABASE_URL=url)
        with serving(tmp_path / "home", first, KEYRACK_DATABASE_URL=url) as served:
            assert makes_key(served).status_code == 201
            disk.fill()
            require_full_and_then_well(served, disk.free)
    finally:
        postgres_server.sql(f"DROP DATABASE {name} WITH (FORCE)")
        postgres_server.sql(f"DROP TABLESPACE {name}")


@pytest.fixture
async def refreshes(disk: Disk, simulator: RunningSimulator) -> AsyncIterator[tuple[World, list[AuthSecret]]]:
    """An installation on the small disk, with secrets that are due."""
    simulator.state.set_defaults({"rotation": "strict"})
    settings = settings_for(disk.folder / "home", allow_insecure_providers="true", public_url=BASE, refresh_retry="0.5")
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        due = [await add_secret(keyrack.store, acme, client, mint(simulator), age=4000) for _ in range(20)]
        yield keyrack, due


async def test_nothing_is_sent_whose_intent_cannot_be_written(
    disk: Disk, simulator: RunningSimulator, refreshes: tuple[World, list[AuthSecret]]
) -> None:
    keyrack, due = refreshes
    acme = keyrack.tenants["Acme"]
    worker = RefreshWorker(keyrack.services.refreshing.refresher, 8)
    disk.fill()
    await fill_the_rest(keyrack)
    secret = f"/v2/workspaces/{acme.workspace_id}/secrets/{due[0].id}"
    for _ in range(5):
        with pytest.raises(DiskFull):
            await worker.tick()
        assert error_of(await acme.integrator.post(f"{secret}/refresh"))[:2] == (503, "disk_full")
    assert simulator.state.calls(endpoint="token", grant_type="refresh_token") == 0
    disk.free()
    await until(lambda: not keyrack.store._disk.is_full)
    refreshing = asyncio.create_task(worker.run(0.1))
    try:
        await until(
            lambda: simulator.state.calls(endpoint="token", grant_type="refresh_token", outcome="ok") == len(due)
        )
        await worker.stop(60)
    finally:
        refreshing.cancel()
    after = [await stored(keyrack.store, each) for each in due]
    assert all(now.generation > before.generation for now, before in zip(after, due, strict=True))
    assert all(is_live(simulator, each) for each in after)


async def test_an_answer_that_comes_when_the_disk_is_full_is_kept(
    disk: Disk,
    simulator: RunningSimulator,
    refreshes: tuple[World, list[AuthSecret]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keyrack, due = refreshes
    parts, keep = keyrack.services.refreshing, Journal._keep

    async def full_by_then(journal: Journal, attempt: Attempt, answer: RawResponse, about: Mapping[str, str]) -> None:
        if not keyrack.store._disk.is_full:
            disk.fill()
            await fill_the_rest(keyrack)
        await keep(journal, attempt, answer, about)

    monkeypatch.setattr(Journal, "_keep", full_by_then)
    with pytest.raises(DiskFull):
        await parts.fresh.refresh(due[0])
    assert simulator.state.calls(endpoint="token", grant_type="refresh_token", outcome="ok") == 1
    kept = parts.journal.in_memory + len(Spool(keyrack.settings.home / "spool").all())
    assert kept == 1, "in memory, as the spool is on the same disk, or in it where it had room left"
    with pytest.raises(DatabaseUnavailable):
        await parts.recovery.tick()
    assert parts.journal.in_memory + len(Spool(keyrack.settings.home / "spool").all()) == 1
    disk.free()
    await until(lambda: not keyrack.store._disk.is_full)
    await parts.recovery.tick()
    assert parts.journal.in_memory == 0
    monkeypatch.setattr(Journal, "_keep", keep)

    async def settled() -> AuthSecret:
        while (now := await stored(keyrack.store, due[0])).generation == due[0].generation:
            await parts.recovery.tick()
            with suppress(ProviderUnavailable):
                await parts.fresh.refresh(now)
        return now

    async with asyncio.timeout(120):
        after = await settled()
    assert after.error_code is None
    assert is_live(simulator, after), "the rotated token was not lost"


async def fill_the_rest(keyrack: World) -> None:
    """Write until the database has no room of its own left either."""
    for _ in range(2000):
        try:
            async with keyrack.store.installation(writes=True) as unit:
                await AuditLog(unit).append(operator(), "x", ("x", "x" * 60), "allowed")
        except DatabaseUnavailable:
            return
    raise AssertionError("the disk is not full")


def test_a_log_on_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    """What is written to `/dev/full` is refused as by a disk without room."""
    first = bootstrapped(tmp_path)
    port = free_port()
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - a device
        process = subprocess.Popen(
            [sys.executable, "-m", "keyrack", "serve", "--port", str(port)],
            env=command_environment(tmp_path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=full,
        )
    try:
        who = (first["admin"]["email"], first["admin"]["api_key"])
        deadline = time.monotonic() + 120
        answers: list[int] = []
        while len(answers) < 200:
            assert process.poll() is None
            assert time.monotonic() < deadline
            try:
                answers.append(httpx2.get(f"http://127.0.0.1:{port}/v2/users/me", auth=who, timeout=30).status_code)
            except httpx2.ConnectError:
                time.sleep(0.05)
        assert set(answers) == {200}
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
