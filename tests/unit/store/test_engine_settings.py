"""How connections are made on each database: bounded, checked, with nothing of a statement's values in errors."""

from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool, QueuePool

from keyrack import clock
from keyrack.crypto.kek.local import LocalKeys
from keyrack.errors import ConfigurationError, DatabaseUnavailable
from keyrack.store.core import engine
from keyrack.store.core.engine import UNIT_MODE, UnitMode
from keyrack.store.core.keyring import Keyring
from keyrack.store.core.store import Store
from support.app import settings_for

POSTGRES = "postgresql://me:canary@127.0.0.1:1/d"


def pool_of(made: AsyncEngine) -> dict[str, Any]:
    pool = made.pool
    assert isinstance(pool, QueuePool)
    return {
        "size": pool.size(),
        "more": pool._max_overflow,
        "patience": pool.timeout(),
        "last first": pool._pool.use_lifo,
        "values hidden": made.sync_engine.hide_parameters,
    }


def test_postgresql_is_given_as_many_connections_as_allowed(tmp_path: Path) -> None:
    made = engine.create_engine(settings_for(tmp_path, POSTGRES, database_pool_size="7"))
    assert made.dialect.name == "postgresql"
    assert made.dialect.driver == "asyncpg"
    assert pool_of(made) == {
        "size": 7, "more": 0, "patience": 10.0, "last first": True, "values hidden": True,
    }  # fmt: skip


def test_sqlite_has_as_many_and_waits_as_long_as_for_its_lock(tmp_path: Path) -> None:
    made = engine.create_engine(settings_for(tmp_path, database_pool_size="3"))
    assert made.dialect.name == "sqlite"
    assert pool_of(made) == {
        "size": 3, "more": 0, "patience": 30.0, "last first": True, "values hidden": True,
    }  # fmt: skip


async def test_a_connection_to_sqlite_is_durable_and_holds_to_its_references(tmp_path: Path) -> None:
    made = engine.create_engine(settings_for(tmp_path))
    async with made.connect() as connection:

        async def pragma(name: str) -> Any:
            return (await connection.execute(text(f"PRAGMA {name}"))).scalar()

        assert await pragma("busy_timeout") == 30_000
        assert await pragma("journal_mode") == "wal"
        assert await pragma("synchronous") == 2
        assert await pragma("foreign_keys") == 1
        assert (await connection.execute(text("SELECT lower('ÄÉ'), lower(7), lower(NULL)"))).one() == ("äé", 7, None)
        await connection.execute(text("CREATE TABLE t (x TEXT)"))
        await connection.execute(text("CREATE INDEX i ON t (lower(x))"))  # of a function that is always the same
        await connection.rollback()
    await made.dispose()
    assert settings_for(tmp_path).sqlite_path.stat().st_mode & 0o777 == 0o600


async def test_a_transaction_that_writes_takes_the_lock_at_once(tmp_path: Path) -> None:
    made = engine.create_engine(settings_for(tmp_path))
    async with made.connect() as first, made.connect() as second:
        await second.exec_driver_sql("PRAGMA busy_timeout=0")
        await second.rollback()
        await first.execution_options(**{UNIT_MODE: UnitMode.write})
        async with first.begin():
            await second.execution_options(**{UNIT_MODE: UnitMode.read})
            async with second.begin():
                await second.execute(text("SELECT 1"))  # one that reads may begin all the same
            await second.execution_options(**{UNIT_MODE: UnitMode.write})
            with pytest.raises(Exception, match="database is locked"):
                await second.begin()
    await made.dispose()


async def test_a_pool_without_a_number_of_connections_tells_none_and_divides_none(tmp_path: Path) -> None:
    made = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/x.db", poolclass=NullPool)
    store = Store(made, Keyring(LocalKeys([b"k" * 32]), clock.now), clock.now)
    await store.ping()
    assert store.connections() == (0, 0)
    assert store._places is None
    await store.close()


def connected_with(monkeypatch: pytest.MonkeyPatch, fault: Exception | None = None) -> list[tuple[str, dict[str, Any]]]:
    """Let the driver's way to connect fail; return what it is asked."""
    asked = list[tuple[str, dict[str, Any]]]()

    async def connect(dsn: str, **options: Any) -> str:
        asked.append((dsn, options))
        if fault is not None:
            raise fault
        return "connection"

    monkeypatch.setattr(asyncpg, "connect", connect)
    return asked


async def test_a_connection_for_listening_is_made_as_all_others_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = connected_with(monkeypatch)
    connect = engine.listener(settings_for(tmp_path, f"{POSTGRES}?connect_timeout=3"))
    assert connect is not None
    assert await connect() == "connection"
    named = {"application_name": "keyrack"}
    assert asked == [(POSTGRES, {"timeout": 3.0, "command_timeout": 30.0, "server_settings": named})]
    other = engine.listener(settings_for(tmp_path, POSTGRES))
    assert other is not None
    await other()
    assert asked[1:] == [(POSTGRES, {"timeout": 10.0, "command_timeout": 30.0, "server_settings": named})]
    assert engine.listener(settings_for(tmp_path)) is None


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ValueError("canary"), ConfigurationError),
        (asyncpg.InvalidCatalogNameError("canary"), DatabaseUnavailable),
        (asyncpg.InsufficientPrivilegeError("canary"), DatabaseUnavailable),
        (OSError("canary"), OSError),
    ],
)
async def test_why_no_connection_is_made_is_told_without_the_drivers_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception, told: type[Exception]
) -> None:
    connected_with(monkeypatch, fault)
    connect = engine.listener(settings_for(tmp_path, POSTGRES))
    assert connect is not None
    with pytest.raises(told) as raised:
        await connect()
    if told is ConfigurationError:
        assert str(raised.value).startswith("KEYRACK_DATABASE_URL cannot be used: a parameter, a service or a file")
        assert raised.value.__cause__ is None
    if told is not OSError:
        assert "canary" not in str(raised.value)


def test_a_folder_that_is_missing_or_none_is_named_with_the_remedy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(ConfigurationError) as raised:
        engine.create_engine(settings_for(home))
    remedy = "set KEYRACK_HOME to the right one, or make it with: keyrack bootstrap"
    assert str(raised.value) == f"there is no folder {home}; {remedy}"
    (tmp_path / "file").write_text("")
    remedy = "set KEYRACK_DATABASE_URL to the right file, or make the folder"
    for name, told in (("none", "there is no folder {}"), ("file", "{} is not a folder")):
        with pytest.raises(ConfigurationError) as raised:
            engine.create_engine(settings_for(tmp_path, f"sqlite:///{tmp_path}/{name}/x.db"))
        assert str(raised.value) == f"{told.format(tmp_path / name)}; {remedy}"
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        engine.create_engine(settings_for(tmp_path, f"sqlite:///{open_to_all}/x.db"))
