"""The database is lost after more refreshes happened, and restored from a backup: which grants need a look is known.

`make restore-drill` shows what it prints.
"""

import asyncio
import json
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import pytest

from keyrack.clock import iso, now
from keyrack.model.secrets import AuthSecret, ErrorCode
from keyrack.settings import Settings
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.core.store import Store
from keyrack.wiring.storage import open_store
from support.app import settings_for, world
from support.grants import add_auth_client, add_secret, is_live, mint, stored
from support.keyrack_processes import Replica, environment, run_command
from support.postgres import PostgresServer, postgres_package

ROTATING, REUSABLE, RESTING = 8, 4, 4
SETTLED_AFTER = 180.0


class Backup(Protocol):
    """A database that can be saved, lost, and brought back."""

    @property
    def url(self) -> str | None: ...

    def save(self) -> None: ...

    def lose(self) -> None: ...

    def restore(self) -> None: ...


class SqliteFile:
    """Saved as the documentation says."""

    url = None

    def __init__(self, home: Path) -> None:
        self._file, self._copy = home / "keyrack.sqlite3", home.parent / "backup.sqlite3"

    def save(self) -> None:
        with closing(sqlite3.connect(self._file)) as running:
            running.execute("VACUUM INTO ?", [str(self._copy)])

    def lose(self) -> None:
        for part in self._file.parent.glob("keyrack.sqlite3*"):
            part.unlink()

    def restore(self) -> None:
        shutil.copy(self._copy, self._file)
        self._file.chmod(0o600)


class Dump:
    """One database, saved by `pg_dump`."""

    def __init__(self, server: PostgresServer) -> None:
        self._server, self._file = server, str(server.data.parent / "keyrack.dump")
        server.sql("CREATE DATABASE keyrack")
        self.url = server.url("keyrack")

    def save(self) -> None:
        self._server.run("pg_dump", "--format=custom", f"--file={self._file}", self.url)

    def lose(self) -> None:
        self._server.sql("DROP DATABASE keyrack WITH (FORCE)")

    def restore(self) -> None:
        self._server.sql("CREATE DATABASE keyrack")
        self._server.run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={self.url}", self._file)


class BaseBackup:
    """A whole server, saved by `pg_basebackup`."""

    def __init__(self, server: PostgresServer) -> None:
        self._server, self._copy = server, server.data.parent / "base"
        server.sql("CREATE DATABASE keyrack")
        self.url = server.url("keyrack")

    def save(self) -> None:
        address = self._server.url("postgres")
        self._server.run("pg_basebackup", "-D", self._copy, "-d", address, "--checkpoint=fast", "--no-sync")

    def lose(self) -> None:
        self._server.lose()
        shutil.rmtree(self._server.data)

    def restore(self) -> None:
        self._copy.rename(self._server.data)
        self._server.start()


@contextmanager
def _server() -> Iterator[PostgresServer]:
    server = PostgresServer(postgres_package(), durable=True)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(params=["SQLite", "pg_dump", "pg_basebackup"])
def backup(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backup]:
    if request.param == "SQLite":
        yield SqliteFile(tmp_path / "home")
        return
    with _server() as server:
        yield Dump(server) if request.param == "pg_dump" else BaseBackup(server)


def restored(settings: Settings, *words: str) -> Any:
    url = settings.effective_database_url.reveal()
    done = run_command(settings.home, "restored", *words, KEYRACK_DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout


async def settled(store: Store, secrets: Sequence[AuthSecret], worker: Replica) -> list[AuthSecret]:
    """Wait until each grant was refreshed, or has a reason why not; return them as they are then."""
    deadline = time.monotonic() + SETTLED_AFTER
    while True:
        found = [await stored(store, secret) for secret in secrets]
        over = (each.error_code is not None or each.credentials != before.credentials
                for each, before in zip(found, secrets, strict=True))  # fmt: skip
        if all(over):
            return found
        assert time.monotonic() < deadline, worker.log()
        await asyncio.sleep(0.1)


async def test_which_grants_need_a_look_is_known_and_no_token_is_tried_for_it(  # noqa: PLR0915 - a drill is one story
    backup: Backup, tmp_path: Path, simulator: RunningSimulator
) -> None:
    began = time.monotonic()
    settings = settings_for(tmp_path / "home", backup.url, allow_insecure_providers="true")
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        strict = await add_auth_client(keyrack.store, acme.id, f"{simulator.token_endpoint}?sim=rotation:strict")
        keeps = {"name": "keeps", "lifetimes": {"rotates": False}}
        off = f"{simulator.token_endpoint}?sim=rotation:off"
        reusing = await add_auth_client(keyrack.store, acme.id, off, provider_profile=keeps)
        rotating = [
            await add_secret(keyrack.store, acme, strict, mint(simulator), lifetime=600, age=560)
            for _ in range(ROTATING)
        ]
        reusable = [
            await add_secret(keyrack.store, acme, reusing, mint(simulator), lifetime=600, age=560)
            for _ in range(REUSABLE)
        ]
        resting = [await add_secret(keyrack.store, acme, strict, mint(simulator)) for _ in range(RESTING)]
        backup.save()
        saved = now()
        for secret in (*rotating, *reusable):
            await keyrack.services.refreshing.refresher.refresh(secret)
    lost = now() + timedelta(minutes=1)  # what is due by then is what the worker had in hand
    backup.lose()
    await asyncio.to_thread(backup.restore)
    asked = simulator.state.calls(endpoint="token")

    moments = ("--since", iso(saved), "--until", iso(lost))
    planned = await asyncio.to_thread(restored, settings, *moments, "--dry-run", "--json")
    told = await asyncio.to_thread(restored, settings, *moments)
    report = await asyncio.to_thread(restored, settings, *moments, "--json")
    assert {each["id"]: each["look"] for each in report["listed"]} == {each.id: "renewed" for each in rotating}
    counted = {"grants": ROTATING + REUSABLE + RESTING, "reusable": REUSABLE, "renewed": ROTATING, "over": 0}
    assert {name: report[name] for name in counted} == counted
    assert f"  {ROTATING} were due meanwhile" in told
    assert f"{ROTATING} were marked now" in told
    assert [planned["marked"], report["marked"]] == [0, 0], "before, and by the second time"
    assert (report["since"], report["until"]) == (iso(saved), iso(lost))
    assert simulator.state.calls(endpoint="token") == asked, "no provider was asked"
    worker = Replica(["worker"], environment(settings, worker_interval=0.2), tmp_path / "worker.log")
    store = open_store(settings)
    try:
        after = await settled(store, (*rotating, *reusable), worker)
        assert worker.stop() == 0
        rested = [await stored(store, secret) for secret in resting]
    finally:
        worker.kill()
        await store.close()
    ends = {(each.error_code, iso(each.error_at or lost)) for each in after[:ROTATING]}
    assert ends == {(ErrorCode.refresh_interrupted, iso(saved))}
    assert all((each.error_code, each.ambiguous_since) == (None, None) for each in after[ROTATING:])
    assert all(is_live(simulator, each) for each in (*after[ROTATING:], *rested))
    assert [each.credentials for each in rested] == [each.credentials for each in resting], "left alone"
    assert all(each.ambiguous_since is None for each in rested)
    left = await asyncio.to_thread(restored, settings, *moments, "--json")
    assert {each["id"]: each["look"] for each in left["listed"]} == {each.id: "over" for each in rotating}
    last = await asyncio.to_thread(restored, settings, *moments, "--limit", "0")
    took = f"back, and each grant settled, {time.monotonic() - began:.0f} s after it all began"
    print(f"\n{told}\nOnce all of them were tried:\n\n{last}\n{took}")  # noqa: T201 - it is a drill


async def test_the_moment_of_the_backup_is_found_in_the_database(tmp_path: Path, simulator: RunningSimulator) -> None:
    settings = settings_for(tmp_path / "home", None, allow_insecure_providers="true")
    async with world(settings) as keyrack:
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        await add_secret(keyrack.store, acme, client, mint(simulator), age=4000)
        newest: datetime = now()
    report = await asyncio.to_thread(restored, settings, "--dry-run", "--json")
    assert timedelta() <= newest - datetime.fromisoformat(report["since"]) < timedelta(minutes=5)
    early = run_command(settings.home, "restored", "--until", "2020-01-01T00:00:00Z")
    assert early.returncode == 1
    assert "cannot have been lost before the backup was taken" in early.stderr
    wrong = run_command(settings.home, "restored", "--since", "yesterday")
    assert wrong.returncode == 1
    assert "--since" in wrong.stderr
