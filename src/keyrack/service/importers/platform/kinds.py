"""Defines what each kind of record of an import can do: be checked, and become rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from msgspec import UNSET
from sqlalchemy import Row, Table

from keyrack.errors import ValidationFailed
from keyrack.service.importers.platform.known import Known
from keyrack.store.core.bulk import Complete, RowToWrite

Expected = Mapping[str, tuple[Any, str]]
"""By column: the value that the row with a record's id must have, and where that stands in the record."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The rows of one record.

    Attributes:
        main: the record's own row.
        others: rows under it, each after those it refers to.
        complete: lists that are to be exactly as given.
        index: rows that follow from the others; written only when one of them is new or changed.
    """

    main: RowToWrite
    others: Sequence[RowToWrite] = ()
    complete: Sequence[Complete] = ()
    index: Sequence[RowToWrite] = ()
    index_complete: Sequence[Complete] = field(default=())


class RecordKind(Protocol):
    """A section of the file."""

    @property
    def table(self) -> Table:
        """Where its records are stored."""

    async def check(self, known: Known, record: Any, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a record of good form, and tell `known` of it.

        Args:
            known: what the file says and what is stored.
            record: the record.
            at: its pointer.
            stored: the row with its id, in whichever tenant.
        """

    async def piece(self, known: Known, record: Any) -> Piece:
        """Return the rows of a record that was found to be right."""


def given(**values: Any) -> dict[str, Any]:
    """Return the values that were given, times as exact as they are stored."""
    return {name: _exact(value) for name, value in values.items() if value is not UNSET}


def or_now(known: Known, value: Any) -> datetime:
    """Return a time, by default the current one."""
    moment: datetime = known.unit.clock() if value is UNSET or value is None else value
    return moment


def same_place(known: Known, at: str, stored: "Row[Any] | None", expected: Expected) -> None:
    """Report a record whose id is stored somewhere else.

    Args:
        known: for the report.
        at: the record's pointer.
        stored: the row with its id.
        expected: what it must hold.
    """
    if stored is None:
        return
    for column, (value, where) in expected.items():
        if value is not None and stored._asdict()[column] != value:
            what = column.removesuffix("_id").replace("_", " ")
            known.report.problem(f"what is stored under this id has another {what}", f"{at}{where}")


def moved(known: Known, wrong: ValidationFailed, old: str, new: str, *, only_warn: bool = False) -> None:
    """Report what a check of requests found, at its place in the file."""
    note = known.report.warn if only_warn else known.report.problem
    for problem in wrong.problems:
        note(problem.detail, new + (problem.pointer or old).removeprefix(old))


def _exact(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return value.replace(microsecond=value.microsecond // 1000 * 1000)
