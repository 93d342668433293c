"""Sees every statement of a unit of work, and fails a test in which one that only reads writes or locks a row."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest

from keyrack.store.core.connection import Connection, Result, UnitMode
from keyrack.store.core.statements import CompiledStatement, Values

_NEEDS_A_TRANSACTION = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b|.*\bFOR (NO KEY |KEY )?(UPDATE|SHARE)\b", re.DOTALL)

Begins = Callable[[Connection, str, Sequence[Any]], None]


@contextmanager
def statements_seen(begins: Begins, ends: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Call something before and after each statement of every unit in this process, while the block runs.

    Args:
        begins: takes the connection, the statement's text and its parameters in order.
        ends: takes nothing.
    """
    perform, perform_each = Connection.perform, Connection.perform_each

    async def one(connection: Connection, statement: CompiledStatement, values: Values, *, scans: bool) -> Result:
        begins(connection, *statement.bound(values))
        try:
            return await perform(connection, statement, values, scans=scans)
        finally:
            ends()

    async def each(connection: Connection, statement: CompiledStatement, rows: Sequence[Values]) -> Result:
        begins(connection, statement.text, [])
        try:
            return await perform_each(connection, statement, rows)
        finally:
            ends()

    with mock.patch.object(Connection, "perform", one), mock.patch.object(Connection, "perform_each", each):
        yield


@pytest.fixture(scope="session", autouse=True)
def reads_only_read() -> Iterator[None]:
    """Watch every unit in the process of the tests (decision 17)."""

    def require_only_reading(connection: Connection, text: str, _: Sequence[Any]) -> None:
        if connection.mode is UnitMode.read:
            assert not _NEEDS_A_TRANSACTION.match(text), text

    with statements_seen(require_only_reading):
        yield
