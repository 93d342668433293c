"""How connections are made on each database: bounded, checked, with nothing of a statement's values in errors."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text

from keyrack.errors import ConfigurationError, DatabaseUnavailable
from keyrack.store.core import engine
from keyrack.store.core.connecting import NamedApart
from keyrack.store.core.connection import UnitMode
from keyrack.store.core.postgresql import PostgresqlDatabase
from keyrack.store.core.sqlite import SqliteDatabase
from keyrack.store.core.sqlite_writer import BUSY_MS
from support.app import settings_for

POSTGRES = "postgresql://me:canary@127.0.0.1:1/d"


def test_postgresql_is_given_as_many_connections_as_allowed(tmp_path: Path) -> None:
    made = engine.open_database(settings_for(tmp_path, POSTGRES, database_pool_size="7"))
    assert isinstance(made, PostgresqlDatabase)
    assert made.connections() == (0, 7)
    assert (made._places._places.most, made._patience) == (7, 10.0)


def test_sqlite_has_as_many_and_waits_as_long_as_for_its_lock(tmp_path: Path) -> None:
    made = engine.open_database(settings_for(tmp_path, database_pool_size="3"))
    assert isinstance(made, SqliteDatabase)
    assert made.connections() == (0, 3)
    assert made._places._places.most == 3
    assert BUSY_MS == 30_000


@pytest.mark.parametrize("mode", UnitMode)
async def test_a_connection_to_sqlite_holds_to_its_references_and_knows_lower_case(
    tmp_path: Path, mode: UnitMode
) -> None:
    made = engine.open_database(settings_for(tmp_path))
    async with made.unit(mode, "") as connection:
        assert (await connection.execute(text("PRAGMA foreign_keys"))).scalar() == 1
        assert (await connection.execute(text("SELECT lower('ÄÉ'), lower(7), lower(NULL)"))).one() == ("äé", 7, None)
        if mode is UnitMode.write:
            await connection.execute(text("CREATE TABLE t (x TEXT)"))
            await connection.execute(text("CREATE INDEX i ON t (lower(x))"))  # of a function that is always the same
    await made.close()
    assert settings_for(tmp_path).sqlite_path.stat().st_mode & 0o777 == 0o600


async def test_migrations_have_values_hidden_and_a_lock_at_once(tmp_path: Path) -> None:
    made = engine.create_engine(settings_for(tmp_path))
    assert made.sync_engine.hide_parameters
    async with made.begin():
        other = sqlite3.connect(settings_for(tmp_path).sqlite_path, timeout=0)
        with closing(other), pytest.raises(sqlite3.OperationalError, match="database is locked"):
            other.execute("BEGIN IMMEDIATE")
    await made.dispose()
    assert engine.create_engine(settings_for(tmp_path, POSTGRES)).sync_engine.hide_parameters


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
    common = {
        "host": "127.0.0.1", "port": 1, "target_session_attrs": "any", "command_timeout": 30.0,
        "connection_class": NamedApart, "server_settings": {"application_name": "keyrack"},
    }  # fmt: skip
    assert asked == [(POSTGRES, {"timeout": 3.0, **common})]
    other = engine.listener(settings_for(tmp_path, POSTGRES))
    assert other is not None
    await other()
    assert asked[1:] == [(POSTGRES, {"timeout": 10.0, **common})]
    assert engine.listener(settings_for(tmp_path)) is None


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (ValueError("canary"), ConfigurationError),
        (asyncpg.InvalidCatalogNameError("canary"), DatabaseUnavailable),
        (asyncpg.InsufficientPrivilegeError("canary"), DatabaseUnavailable),
        (OSError("canary"), DatabaseUnavailable),
        (ConnectionRefusedError(111, "canary"), DatabaseUnavailable),
        (TimeoutError("canary"), DatabaseUnavailable),
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
    assert "canary" not in str(raised.value)
    if isinstance(raised.value, DatabaseUnavailable):
        assert "canary" not in str(raised.value.for_operators)
        assert raised.value.for_operators != [raised.value.problem.detail]


def test_a_folder_that_is_missing_or_none_is_named_with_the_remedy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(ConfigurationError) as raised:
        engine.open_database(settings_for(home))
    remedy = "set KEYRACK_HOME to the right one, or make it with: keyrack bootstrap"
    assert str(raised.value) == f"there is no folder {home}; {remedy}"
    (tmp_path / "file").write_text("")
    remedy = "set KEYRACK_DATABASE_URL to the right file, or make the folder"
    for name, told in (("none", "there is no folder {}"), ("file", "{} is not a folder")):
        with pytest.raises(ConfigurationError) as raised:
            engine.open_database(settings_for(tmp_path, f"sqlite:///{tmp_path}/{name}/x.db"))
        assert str(raised.value) == f"{told.format(tmp_path / name)}; {remedy}"
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    with pytest.raises(ConfigurationError, match="can be written by others"):
        engine.open_database(settings_for(tmp_path, f"sqlite:///{open_to_all}/x.db"))
