"""What drivers raise, told as what it means: the database is gone, or a row was deleted meanwhile; else as it is."""

import sqlite3
from collections.abc import Callable

import asyncpg
import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, ProgrammingError

from keyrack.errors import DatabaseUnavailable, RelatedNotFound
from keyrack.store.core.database_errors import ConstraintViolated, Rule, broken_rule, outages_named
from keyrack.store.core.references import deleted_parent_refused

CANARY = "canary-password"


class Driver(Exception):
    """What a driver raised, with the code of PostgreSQL."""

    def __init__(self, text: str = CANARY, sqlstate: str | None = None) -> None:
        super().__init__(text)
        if sqlstate is not None:
            self.sqlstate = sqlstate


@pytest.mark.parametrize(
    "fault",
    [OSError(CANARY), TimeoutError(), sqlite3.OperationalError(CANARY), sqlite3.InterfaceError(CANARY),
     asyncpg.PostgresConnectionError(CANARY),
     asyncpg.InvalidPasswordError(CANARY), asyncpg.CannotConnectNowError(), asyncpg.TooManyConnectionsError(),
     asyncpg.AdminShutdownError(CANARY), asyncpg.CrashShutdownError(CANARY), asyncpg.IdleSessionTimeoutError(CANARY),
     asyncpg.InternalClientError(CANARY), asyncpg.InterfaceError(CANARY),
     OperationalError("SELECT", {}, Driver()), InterfaceError("SELECT", {}, Driver()),
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
        "attempt to write a readonly database",
        "unable to open database file",
    ],
)
@pytest.mark.parametrize("through", [sqlite3.OperationalError, lambda words: OperationalError("", {}, Driver(words))])
def test_what_sqlite_says_of_its_file_is_told(words: str, through: Callable[[str], Exception]) -> None:
    with pytest.raises(DatabaseUnavailable, match=f"^the database file cannot be used: {words}$"), outages_named():
        raise through(words)


@pytest.mark.parametrize(
    "fault",
    [
        ValueError(CANARY),
        ProgrammingError("SELECT", {}, Driver()),
        IntegrityError("INSERT", {}, Driver()),
        sqlite3.ProgrammingError(CANARY),
    ],
)
def test_what_is_no_outage_stays_what_it_is(fault: Exception) -> None:
    with pytest.raises(type(fault)) as raised, outages_named(), deleted_parent_refused():
        raise fault
    assert raised.value is fault


@pytest.mark.parametrize("statement", ["INSERT INTO x", "  update x", "Insert into x"])
def test_a_reference_that_leads_nowhere_is_told_as_that(statement: str) -> None:
    with pytest.raises(RelatedNotFound, match="has just been deleted"), deleted_parent_refused():
        raise ConstraintViolated(Rule.reference, statement)


@pytest.mark.parametrize(
    ("statement", "rule"),
    [("DELETE FROM x", Rule.reference), ("INSERT", Rule.unique), ("UPDATE x", Rule.other), (" delete", Rule.reference)],
)
def test_any_other_broken_rule_stays_what_it_is(statement: str, rule: Rule) -> None:
    with pytest.raises(ConstraintViolated), deleted_parent_refused():
        raise ConstraintViolated(rule, statement)


def test_which_rule_was_broken_is_known_by_postgresqls_code() -> None:
    codes = {"23505": Rule.unique, "23503": Rule.reference, "23502": Rule.other, None: Rule.other}
    assert {code: broken_rule(code) for code in codes} == codes
