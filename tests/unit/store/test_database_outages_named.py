"""What drivers raise, told as what it means: the database is gone, or a row was deleted meanwhile; else as it is."""

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from keyrack.errors import DatabaseUnavailable, RelatedNotFound
from keyrack.store.core.database_errors import outages_named
from keyrack.store.core.references import deleted_parent_refused
from keyrack.store.core.unit import is_unique_clash

CANARY = "canary-password"


class Driver(Exception):
    """What a driver raised, with the code of PostgreSQL."""

    def __init__(self, text: str = CANARY, sqlstate: str | None = None) -> None:
        super().__init__(text)
        if sqlstate is not None:
            self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "fault",
    [OSError(CANARY), TimeoutError(), PoolTimeoutError(CANARY), asyncpg.PostgresConnectionError(CANARY),
     asyncpg.InvalidPasswordError(CANARY), asyncpg.CannotConnectNowError(), asyncpg.TooManyConnectionsError(),
     asyncpg.AdminShutdownError(CANARY), asyncpg.CrashShutdownError(CANARY), asyncpg.IdleSessionTimeoutError(CANARY),
     asyncpg.InternalClientError(CANARY), asyncpg.InterfaceError(CANARY), OperationalError("SELECT", {}, Driver()), InterfaceError("SELECT", {}, Driver()),
     DBAPIError("SELECT", {}, Driver(), connection_invalidated=True)],
)  # fmt: skip
def test_an_outage_is_told_as_one_without_the_drivers_words(fault: Exception) -> None:
    with pytest.raises(DatabaseUnavailable) as raised, outages_named():
        raise fault
    assert CANARY not in str(raised.value)
    assert raised.value.__cause__ is fault


@pytest.mark.parametrize(
    "words",
    [
        "disk I/O error",
        "database or disk is full",
        "attempt to write a readonly database",
        "unable to open database file",
    ],
)
def test_what_sqlite_says_of_its_file_is_told(words: str) -> None:
    with pytest.raises(DatabaseUnavailable, match=f"^the database file cannot be used: {words}$"), outages_named():
        raise OperationalError("SELECT", {}, Driver(words))


@pytest.mark.parametrize(
    "fault", [ValueError(CANARY), ProgrammingError("SELECT", {}, Driver()), IntegrityError("INSERT", {}, Driver())]
)
def test_what_is_no_outage_stays_what_it_is(fault: Exception) -> None:
    with pytest.raises(type(fault)) as raised, outages_named(), deleted_parent_refused():
        raise fault
    assert raised.value is fault


@pytest.mark.parametrize("driver", [Driver(sqlstate="23503"), Driver("FOREIGN KEY constraint failed")])
@pytest.mark.parametrize("statement", ["INSERT INTO x", "  update x", "Insert into x"])
def test_a_reference_that_leads_nowhere_is_told_as_that(driver: Driver, statement: str) -> None:
    with pytest.raises(RelatedNotFound, match="has just been deleted"), deleted_parent_refused():
        raise IntegrityError(statement, {}, driver)


@pytest.mark.parametrize(
    ("statement", "driver"),
    [("DELETE FROM x", Driver(sqlstate="23503")), (None, Driver(sqlstate="23503")),
     ("INSERT", Driver(sqlstate="23505")), ("UPDATE x", Driver("UNIQUE constraint failed: x.y"))],
)  # fmt: skip
def test_any_other_broken_rule_stays_what_it_is(statement: str | None, driver: Driver) -> None:
    with pytest.raises(IntegrityError), deleted_parent_refused():
        raise IntegrityError(statement, {}, driver)


def test_a_clash_with_a_unique_index_is_known_on_both_databases() -> None:
    assert is_unique_clash(IntegrityError("INSERT", {}, Driver(sqlstate="23505")))
    assert is_unique_clash(IntegrityError("INSERT", {}, Driver("UNIQUE constraint failed: x.y")))
    assert not is_unique_clash(IntegrityError("INSERT", {}, Driver(sqlstate="23503")))
    assert not is_unique_clash(IntegrityError("INSERT", {}, Driver("NOT NULL constraint failed: x.y")))
