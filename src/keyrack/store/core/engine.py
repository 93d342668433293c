"""Opens connections to PostgreSQL (asyncpg) and SQLite (aiosqlite), set up the same way for everyone."""

from collections.abc import Awaitable, Callable
from enum import Enum
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from keyrack.errors import ConfigurationError, DatabaseUnavailable
from keyrack.settings import Settings
from keyrack.store.core import dsn
from keyrack.store.core.private_files import make_private, require_own_folder

_SQLITE_BUSY_MS = 30_000
_UNUSABLE = "KEYRACK_DATABASE_URL cannot be used: a parameter, a service or a file that it names is wrong or missing"
_CONNECT_SECONDS = 10.0
_STATEMENT_SECONDS = 30.0
UNIT_MODE = "keyrack_unit_mode"
"""Execution option of a connection, one of `UnitMode`; by default `UnitMode.write`."""


class UnitMode(Enum):
    """How statements belong together (decision 17)."""

    read = "read"
    """Each sees what is committed when it begins: there is no transaction, whose beginning and end would be two more
    round trips."""

    write = "write"
    """One transaction. SQLite takes its lock at once, so that two writers queue up instead of failing when the second
    one wants to upgrade."""

    snapshot = "snapshot"
    """One transaction that sees all as of one moment, and does not write."""


ListenerFactory = Callable[[], Awaitable[Any]]
"""Makes a raw connection outside of the pool, for LISTEN."""


def listener(settings: Settings) -> ListenerFactory | None:
    """Return how to make a connection that hears notifications; None for a database that has none.

    Raises:
        ConfigurationError: the URL cannot be understood.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    return None if isinstance(target, dsn.SqliteTarget) else _connector(target)


def create_engine(settings: Settings) -> AsyncEngine:
    """Make an engine for the database in force. Connects to nothing yet.

    Raises:
        ConfigurationError: the URL cannot be understood, or the folder of the SQLite file is missing or open.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    if isinstance(target, dsn.SqliteTarget):
        _require_folder(target.path.parent.absolute(), settings)
        require_own_folder(target.path.parent.absolute())
        return _sqlite(target, settings)
    return _postgres(target, settings)


def _postgres(target: dsn.PostgresTarget, settings: Settings) -> AsyncEngine:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_connector(target),
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=_CONNECT_SECONDS,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    event.listen(engine.sync_engine, "begin", _begin_postgres)
    return engine


def _refuse_closed(connection: Any, _record: object, _proxy: object) -> None:
    """Have the pool make a new connection in place of one that the server has closed meanwhile.

    The event loop has read of it by then, so nothing is asked: a question would be three round trips for each use.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _begin_postgres(connection: Connection) -> None:
    mode = _mode(connection)
    adapter: Any = connection.connection.dbapi_connection
    adapter.autocommit = mode is UnitMode.read
    if mode is UnitMode.snapshot:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _mode(connection: Connection) -> UnitMode:
    chosen: UnitMode = connection.get_execution_options().get(UNIT_MODE, UnitMode.write)
    return chosen


def _connector(target: dsn.PostgresTarget) -> Callable[..., Awaitable[Any]]:
    options = {"timeout": _CONNECT_SECONDS, "command_timeout": _STATEMENT_SECONDS} | target.options

    async def connect(**_: object) -> Any:
        try:
            return await asyncpg.connect(target.dsn, **options)
        except ValueError:  # the driver's configuration errors are one; their text may hold a password
            raise ConfigurationError(_UNUSABLE) from None
        except asyncpg.PostgresError as error:  # whatever the reason it refuses a connection for
            raise DatabaseUnavailable from error

    return connect


def _sqlite(target: dsn.SqliteTarget, settings: Settings) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(target.path)),
        connect_args={"timeout": _SQLITE_BUSY_MS / 1000},
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=_SQLITE_BUSY_MS / 1000,
        pool_use_lifo=True,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "do_connect", lambda *_: make_private(target.path))
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _require_folder(folder: Path, settings: Settings) -> None:
    """Insist on the folder before SQLite does, which would not say which one it misses."""
    if folder.is_dir():
        return
    what = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"
    if settings.database_url is None:
        raise ConfigurationError(f"{what}; set KEYRACK_HOME to the right one, or make it with: keyrack bootstrap")
    raise ConfigurationError(f"{what}; set KEYRACK_DATABASE_URL to the right file, or make the folder")


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII only
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={_SQLITE_BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # a committed rotation must survive a power cut
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


def _begin_sqlite(connection: Connection) -> None:
    match _mode(connection):
        case UnitMode.write:
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        case UnitMode.snapshot:
            connection.exec_driver_sql("BEGIN")
