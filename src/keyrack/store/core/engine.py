"""Opens the database in force: for units of work on its driver, for migrations through SQLAlchemy."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy import URL, NullPool, event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from keyrack.errors import ConfigurationError, DatabaseUnavailable
from keyrack.settings import Settings
from keyrack.store.core import dsn
from keyrack.store.core.connection import Database
from keyrack.store.core.connection_faults import connection_fault
from keyrack.store.core.postgresql import PostgresqlDatabase
from keyrack.store.core.private_files import make_private, require_own_folder
from keyrack.store.core.sqlite import SqliteDatabase, prepare
from keyrack.store.core.sqlite_writer import BUSY_MS

_UNUSABLE = "KEYRACK_DATABASE_URL cannot be used: a parameter, a service or a file that it names is wrong or missing"
_CONNECT_SECONDS = 10.0
_STATEMENT_SECONDS = 30.0
ListenerFactory = Callable[[], Awaitable[Any]]
"""Makes a raw connection outside of the pool, for LISTEN."""


def listener(settings: Settings) -> ListenerFactory | None:
    """Return how to make a connection that hears notifications; None for a database that has none.

    Raises:
        ConfigurationError: the URL cannot be understood.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    return None if isinstance(target, dsn.SqliteTarget) else _connector(target)


def open_database(settings: Settings) -> Database:
    """Return the database in force. Connects to nothing yet.

    Raises:
        ConfigurationError: the URL cannot be understood, or the folder of the SQLite file is missing or open.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    if isinstance(target, dsn.SqliteTarget):
        _require_file_can_be(target, settings)
        return SqliteDatabase(target.path, settings.database_pool_size)
    return PostgresqlDatabase(_connector(target), settings.database_pool_size, _CONNECT_SECONDS)


def create_engine(settings: Settings) -> AsyncEngine:
    """Make SQLAlchemy's engine for the database in force, for migrations. Connects to nothing yet.

    Raises:
        ConfigurationError: as `open_database`.
    """
    target = dsn.parse_database_url(settings.effective_database_url)
    if not isinstance(target, dsn.SqliteTarget):
        return create_async_engine(
            "postgresql+asyncpg://", async_creator=_connector(target), poolclass=NullPool, hide_parameters=True
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


def _connector(target: dsn.PostgresTarget) -> Callable[..., Awaitable[Any]]:
    options = {"timeout": _CONNECT_SECONDS, "command_timeout": _STATEMENT_SECONDS} | target.options

    async def connect(**_: object) -> Any:
        try:
            return await asyncpg.connect(target.dsn, **options)
        except ValueError:  # the driver's configuration errors are one; their text may hold a password
            raise ConfigurationError(_UNUSABLE) from None
        except (asyncpg.PostgresError, OSError) as error:  # whatever the reason there is no connection for
            raise DatabaseUnavailable(cause=connection_fault(target, error)) from error

    return connect


def _require_folder(folder: Path, settings: Settings) -> None:
    """Insist on the folder before SQLite does, which would not say which one it misses."""
    if folder.is_dir():
        return
    what = f"{folder} is not a folder" if folder.exists() else f"there is no folder {folder}"
    if settings.database_url is None:
        raise ConfigurationError(f"{what}; set KEYRACK_HOME to the right one, or make it with: keyrack bootstrap")
    raise ConfigurationError(f"{what}; set KEYRACK_DATABASE_URL to the right file, or make the folder")
