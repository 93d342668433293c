"""Turns drivers' errors of an unusable database into `DatabaseUnavailable`."""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from keyrack.errors import DatabaseUnavailable

_UNUSABLE = (
    OSError,
    TimeoutError,
    OperationalError,
    InterfaceError,
    PoolTimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidPasswordError,
    asyncpg.AdminShutdownError,  # what a connection hears that the server ends, before it is closed
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that has heard so while it was idle, and is not closed yet
)
_OF_THE_FILE = (  # SQLite's fixed texts; no other text of a driver is ever shown
    "disk I/O error",
    "database or disk is full",
    "attempt to write a readonly database",
    "unable to open database file",
)


@contextmanager
def outages_named() -> Iterator[None]:
    """Turn what means that the database cannot be used into one error.

    Raises:
        DatabaseUnavailable: the database cannot be reached, was lost on the way, or cannot write.
    """
    try:
        yield
    except DBAPIError as error:
        if error.connection_invalidated or isinstance(error, _UNUSABLE) or isinstance(_driver_error(error), _UNUSABLE):
            raise DatabaseUnavailable(_said(error)) from error
        raise
    except _UNUSABLE as error:
        raise DatabaseUnavailable from error


def _driver_error(error: DBAPIError) -> BaseException | None:
    """Return what the driver raised, which SQLAlchemy's adapter of asyncpg wraps once more."""
    return None if error.orig is None else error.orig.__cause__


def _said(error: DBAPIError) -> str | None:
    text = str(error.orig)
    return f"the database file cannot be used: {text}" if text in _OF_THE_FILE else None
