"""Fails a test in which a unit of work that only reads writes or locks a row: it has no transaction (decision 17)."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from keyrack.settings import Settings
from keyrack.store.core import engine
from keyrack.store.core.engine import UNIT_MODE, UnitMode

_NEEDS_A_TRANSACTION = re.compile(r"\s*(INSERT|UPDATE|DELETE)\b|.*\bFOR (NO KEY |KEY )?(UPDATE|SHARE)\b", re.DOTALL)


@pytest.fixture(scope="session", autouse=True)
def reads_only_read() -> Iterator[None]:
    """Watch every engine that is made in the process of the tests."""
    make = engine.create_engine

    def watched(settings: Settings) -> AsyncEngine:
        made = make(settings)
        event.listen(made.sync_engine, "before_cursor_execute", _require_only_reading)
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "create_engine", watched)
        yield


def _require_only_reading(connection: Connection, _cursor: object, statement: str, *_: Any) -> None:
    if connection.get_execution_options().get(UNIT_MODE) is UnitMode.read:
        assert not _NEEDS_A_TRANSACTION.match(statement), statement
