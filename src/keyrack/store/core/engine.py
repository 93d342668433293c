"""Opens the database in force: for units of work on its driver, for migrations through SQLAlchemy."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import URL, NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from keyrack.errors import ConfigurationError
from keyrack.settings import Settings
from keyrack.store.core import dsn
from keyrack.store.core.connecting import Connector
from keyrack.store.core.connection import Database
from keyrack.store.core.postgresql import PostgresqlDatabase
from keyrack.store.core.private_files import make_private, require_own_folder
from keyrack.store.core.sqlite import SqliteDatabase, prepare
from keyrack.store.core.sqlite_writer import BUSY_MS

_PATIENCE_SECONDS = 10.0
ListenerFactory = Callable[[], Awaitable[Any]]
"""Makes a raw connection outside of the pool, for LISTEN."""


def connector(settings: Settings) -> Connector | None:
    """Return how to connect to the database as units of work do; None for a database that is a file.

    Raises:
        ConfigurationError: the URL cannot be understood.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    if isinstance(target, dsn.SqliteTarget):
        return None
    return Connector(target, prepares=settings.database_prepared_statements)


def listener(settings: Settings) -> ListenerFactory | None:
    """Return how to make a connection that hears notifications; None for a database that has none.

    That is a session of its own for as long as it lasts, so it goes past a pooler, where a setting says how.

    Raises:
        ConfigurationError: the URL cannot be understood.
    """
    return _direct(settings) or connector(settings)


def open_database(settings: Settings) -> Database:
    """Return the database in force. Connects to nothing yet.

    Raises:
        ConfigurationError: the URL cannot be understood, or the folder of the SQLite file is missing or open.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    if isinstance(target, dsn.SqliteTarget):
        _require_file_can_be(target, settings)
        return SqliteDatabase(target.path, settings.database_pool_size)
    connect = Connector(target, prepares=settings.database_prepared_statements)
    return PostgresqlDatabase(connect, settings.database_pool_size, _PATIENCE_SECONDS)


def create_engine(settings: Settings) -> AsyncEngine:
    """Make SQLAlchemy's engine for the database in force, for migrations. Connects to nothing yet.

    They go past a pooler, where a setting says how.

    Raises:
        ConfigurationError: as `open_database`.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    if not isinstance(target, dsn.SqliteTarget):
        connect = _direct(settings) or Connector(target)
        return create_async_engine(
            "postgresql+asyncpg://", async_creator=connect, poolclass=NullPool, hide_parameters=True
        )
    _require_file_can_be(target, settings)
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(target.path)),
        connect_args={"timeout": BUSY_MS / 1000},
        poolclass=NullPool,
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "do_connect", lambda *_: make_private(target.path))
    event.listen(engine.sync_engine, "connect", lambda connection, _: prepare(connection))
    event.listen(engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _require_file_can_be(target: dsn.SqliteTarget, settings: Settings) -> None:
    folder = target.path.parent.absolute()
    _require_folder(folder, settings)
    require_own_folder(folder)


def _direct(settings: Settings) -> Connector | None:
    """Return how to connect past a pooler; None if no setting says.

    Raises:
        ConfigurationError: the setting is not an address of PostgreSQL.
    """
    if settings.database_direct_url is None:
        return None
    try:
        target = dsn.parse_database_url(settings.database_direct_url)
    except ConfigurationError as error:  # never shows the URL
        raise ConfigurationError(str(error).replace("DATABASE_URL", "DATABASE_DIRECT_URL")) from None
    if isinstance(target, dsn.SqliteTarget) or settings.effective_database_url.reveal().startswith("sqlite:"):
        raise ConfigurationError("KEYRACK_DATABASE_DIRECT_URL is for PostgreSQL: the database of KEYRACK_DATABASE_URL")
    return Connector(target, "KEYRACK_DATABASE_DIRECT_URL")


def _require_folder(folder: Path, settings: Settings) -> None:
    """Insist on the folder before SQLite does, which would not say which one it misses."""
    if folder.is_dir():
        return
    what = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"
    if settings.database_url is None:
        raise ConfigurationError(f"{what}; set KEYRACK_HOME to the right one, or make it with: keyrack bootstrap")
    raise ConfigurationError(f"{what}; set KEYRACK_DATABASE_URL to the right file, or make the folder")
