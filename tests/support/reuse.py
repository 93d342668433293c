"""What thousands of tests would do anew and need not: migrations, routes, certificates, and a PostgreSQL database.

The PostgreSQL database has two tenants; each test finds it as if it were new, as it is emptied and filled, not created.
Creating a database costs the server some three hundred files, and migrations a quarter of a second; emptying its few
rows costs milliseconds. For tests that go through Keyrack's own tables. A test that changes the schema, fills the
database with a crowd, or needs it empty has one of its own (`postgres_url`).
"""

import atexit
import io
import shutil
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg
import httpcore2
from litestar import Litestar

from keyrack.api import app as api_app
from keyrack.api.app import ApplicationParts
from keyrack.api.core.asgi import App
from keyrack.settings import Settings
from keyrack.store import migrations
from keyrack.store.core import engine
from keyrack.store.core.store import Store
from keyrack.wiring.http import serve_with
from keyrack.wiring.services import Services


@cache
def _trusted(*, _trust_env: bool = True) -> ssl.SSLContext:
    return _read_certificates(_trust_env=_trust_env)


_read_certificates = httpcore2.default_ssl_context
httpcore2.default_ssl_context = _trusted
"""Each client would read the machine's certificates for itself: a hundredth of a second and more."""

_unused: list[tuple[Litestar, dict[str, Any]]] = []


async def migrate(settings: Settings) -> None:
    """Bring an empty database up to date; an embedded one as a copy of one that was migrated before."""
    if settings.database_url is not None:
        await _replay(settings)
        return
    template = _folder() / "template.sqlite3"
    if not template.exists():
        await _replay(settings)
        shutil.copy(settings.sqlite_path, template)
        return
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copy(template, settings.sqlite_path)


@contextmanager
def served_in_process(store: Store, services: Services, settings: Settings) -> Iterator[App]:
    """Serve use cases over routes that may have been laid out for others before; only the use cases are exchanged."""
    taken: list[tuple[Litestar, dict[str, Any]]] = []

    def create(parts: ApplicationParts, running: AbstractAsyncContextManager[None]) -> Litestar:
        app, behind = _unused.pop() if _unused else _laid_out(parts, running)
        behind.clear()
        behind.update(parts.services)
        taken.append((app, behind))
        return app

    with mock.patch.object(api_app, "create_application", create):
        served = serve_with(store, services, settings)
    try:
        yield served
    finally:
        _unused.extend(taken)


def _laid_out(parts: ApplicationParts, running: AbstractAsyncContextManager[None]) -> tuple[Litestar, dict[str, Any]]:
    behind: dict[str, Any] = dict(parts.services)
    names: Mapping[str, Any] = behind
    return _create(ApplicationParts(parts.handlers, names), running), behind


_create = api_app.create_application


async def _replay(settings: Settings) -> None:
    database = engine.create_engine(settings)
    await migrations.upgrade(database)
    await database.dispose()


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="keyrack-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


DATABASE = "reused"
"""Its name on the server of a test process."""


@dataclass(frozen=True)
class Content:
    """What a database holds: the rows of each table that has any, and where its sequences are."""

    rows: dict[str, bytes] = field(repr=False)
    sequences: dict[str, Any]


def is_reused(settings: Settings) -> bool:
    """Tell whether settings name the database of this module."""
    return settings.database_url is not None and settings.database_url.reveal().endswith(f"/{DATABASE}")


async def saved(url: str) -> Content:
    """Return what a database holds now."""
    connection = await asyncpg.connect(url)
    try:
        rows = dict[str, bytes]()
        for table in await _tables(connection):
            if await connection.fetchval(f'SELECT EXISTS (SELECT FROM "{table}")'):
                text = io.BytesIO()
                await connection.copy_from_table(table, output=text, format="binary")
                rows[table] = text.getvalue()
        sequences = await connection.fetch(
            "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
        )
        return Content(rows, {row["sequencename"]: row["last_value"] for row in sequences})
    finally:
        await connection.close()


async def restore(url: str, content: Content) -> None:
    """Let a database hold what it held when its content was saved; whoever is still connected to it is cut off."""
    connection = await asyncpg.connect(url)
    try:
        await _cut_off_others(connection)
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")  # no foreign keys meanwhile
            await connection.execute(";".join(f'DELETE FROM "{table}"' for table in await _tables(connection)))
            for table, rows in content.rows.items():
                await connection.copy_to_table(table, source=io.BytesIO(rows), format="binary")
            for sequence, last in content.sequences.items():
                await connection.execute(
                    f"SELECT setval('\"{sequence}\"', {last or 1}, {'false' if last is None else 'true'})"
                )
    finally:
        await connection.close()


async def _tables(connection: "asyncpg.Connection[Any]") -> list[str]:
    found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [row["tablename"] for row in found]


async def _cut_off_others(connection: "asyncpg.Connection[Any]") -> None:
    """End other sessions: of a killed process the server may be about to commit what its last statement said."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
