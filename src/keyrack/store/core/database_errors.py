"""Turns drivers' errors into two of ours: the database cannot be used, or a rule of its schema was broken."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

import asyncpg
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

from keyrack.errors import DatabaseUnavailable, DiskFull

LOST = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,  # what a connection hears that the server ends, before it is closed
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # of a connection that has heard so while it was idle, and is not closed yet
)
"""What a connection to PostgreSQL raises that is of no use any more."""

_UNUSABLE = (
    *LOST,
    TimeoutError,
    sqlite3.OperationalError,
    sqlite3.InterfaceError,
    OperationalError,
    InterfaceError,
    asyncpg.InvalidPasswordError,
    asyncpg.CannotConnectNowError,
    asyncpg.InsufficientResourcesError,  # disk, memory, connections
    asyncpg.PostgresSystemError,  # its disk cannot be read or written
    asyncpg.ReadOnlySQLTransactionError,  # a standby, which may be promoted soon
    asyncpg.InvalidSQLStatementNameError,  # a pooler that parts statements from what was prepared
)
_OF_THE_FILE = (  # SQLite's fixed texts; no other text of a driver is ever shown
    "disk I/O error",
    "attempt to write a readonly database",
    "unable to open database file",
)
_FULL = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
"""What SQLite says where there is no room: for its pages, and for the file that its processes share."""


DATA_KEY_GONE = "keyrack_data_key_gone"
"""What triggers say when a value was encrypted with a data key that is not there any more."""


class Rule(Enum):
    """What a schema demands of its rows."""

    unique = "unique"
    reference = "reference"
    data_key = "data_key"
    """A value names a data key that is gone (`keyrack.store.migrations.key_guards`)."""
    other = "other"


class ConstraintViolated(Exception):
    """A rule of the schema forbids what a statement would do.

    Attributes:
        rule: which kind.
        deletes: whether the statement was a deletion.
    """

    def __init__(self, rule: Rule, statement: str) -> None:
        super().__init__(f"a constraint forbids it: {rule.value}")
        self.rule = rule
        self.deletes = statement.lstrip()[:6].upper() == "DELETE"


def broken_rule(sqlstate: str | None, constraint: str | None = None) -> Rule:
    """Return which rule PostgreSQL means by a code of class 23, and perhaps the name of the rule."""
    if constraint == DATA_KEY_GONE:
        return Rule.data_key
    return {"23505": Rule.unique, "23503": Rule.reference}.get(sqlstate or "", Rule.other)


def unavailable(error: BaseException) -> DatabaseUnavailable:
    """Return how to tell that the database cannot be used, with what SQLite says of its file."""
    of_driver = error.orig if isinstance(error, DBAPIError) else error
    if _is_full(of_driver):
        full = DiskFull()
        full.__cause__ = error
        return full
    said = str(of_driver) if of_driver is not None and of_driver.args else ""
    told = DatabaseUnavailable(f"the database file cannot be used: {said}" if said in _OF_THE_FILE else None)
    told.__cause__ = error
    return told


def _is_full(error: object) -> bool:
    """Tell whether a driver says that there is no room on a disk (SQLSTATE 53100)."""
    return getattr(error, "sqlite_errorname", "") in _FULL or getattr(error, "sqlstate", "") == "53100"


@contextmanager
def outages_named() -> Iterator[None]:
    """Turn what means that the database cannot be used into one error.

    Raises:
        DatabaseUnavailable: the database cannot be reached, was lost on the way, or cannot write; `DiskFull` if it is
            that.
    """
    try:
        yield
    except DBAPIError as error:  # of a migration, which goes through SQLAlchemy
        if error.connection_invalidated or isinstance(error, _UNUSABLE):
            raise unavailable(error) from error
        raise
    except _UNUSABLE as error:
        raise unavailable(error) from error
