"""Writes and looks up many rows with given ids, for an import: existing rows stay as they are.

An import crosses tenants on purpose; every row says whose it is, and is sealed, compared and changed as that tenant's.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, delete, insert, select, text, update

from keyrack.store.core.search_words import add_words, changes_words, renew_words
from keyrack.store.core.unit import Unit
from keyrack.store.schema import metadata

_AT_ONCE = 500
_LOCK = 0x6B657969
ORDER = {table: position for position, table in enumerate(metadata.sorted_tables)}
"""Tables in an order in which each comes after those it refers to."""


class RowResult(StrEnum):
    """What became of a row."""

    created = "created"
    updated = "updated"
    unchanged = "unchanged"


Refine = Callable[["Row[Any]", "RowToWrite"], "RowToWrite"]
"""Takes a stored row and what is wanted of it; returns what is to be compared and stored."""


@dataclass(frozen=True, slots=True)
class RowToWrite:
    """A row as it is to be.

    Attributes:
        table: where it belongs.
        tenant_id: whose it is; empty for the installation.
        key: its primary key.
        given: columns that are compared with a stored row, and changed where they differ.
        first: columns that only matter when there is no row yet.
        sealed: columns that are encrypted, in clear; compared like `given`. None is stored as null.
        touched: columns that change only together with another one.
        resealed: returns the columns that change only together with an encrypted one, values or expressions, from what
            the encrypted ones hold now, in clear.
        refine: looks at a stored row first, if given; that row is kept from changing until the transaction ends.
    """

    table: Table
    tenant_id: str
    key: Mapping[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)
    first: Mapping[str, Any] = field(default_factory=dict)
    sealed: Mapping[str, Any] = field(default_factory=dict, repr=False)
    touched: Mapping[str, Any] = field(default_factory=dict)
    resealed: Callable[[Mapping[str, Any]], Mapping[str, Any]] = field(default=lambda _clear: {})
    refine: Refine | None = None

    @property
    def id(self) -> str:
        """The first column of the primary key: a row's id, or its parent's."""
        return str(next(iter(self.key.values())))


@dataclass(frozen=True, slots=True)
class Complete:
    """Rows under a parent that are to be all there are: others are deleted.

    Attributes:
        table: where they are.
        within: columns that say under which parent.
        name: the column that tells them apart.
        keep: its values.
    """

    table: Table
    within: Mapping[str, Any]
    name: str
    keep: frozenset[str]


class Bulk:
    """Many rows in one transaction; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._connection = unit.connection

    async def alone(self) -> None:
        """Make other imports wait until this transaction ends."""
        if self._connection.dialect.name == "postgresql":
            await self._connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})

    async def rows(
        self, column: ColumnElement[Any], values: Sequence[str], *, locked: bool = False
    ) -> Sequence["Row[Any]"]:
        """Return the rows of a table in which a column has one of the given values.

        Args:
            column: names the table as well.
            values: its values.
            locked: keep others from changing the rows until the transaction ends.
        """
        table = column.table
        found: list[Row[Any]] = []
        for start in range(0, len(values), _AT_ONCE):
            chosen = column.in_(values[start : start + _AT_ONCE])
            query = select(table).where(chosen)
            query = query.order_by(column).with_for_update() if locked else query
            found += (await self._connection.execute(query)).all()
        return found

    async def every(self, key: ColumnElement[Any], value: ColumnElement[Any]) -> Mapping[str, Any]:
        """Return one column of a whole small table by another."""
        return {row[0]: row[1] for row in (await self._connection.execute(select(key, value))).all()}

    async def put(self, table: Table, wanted: Sequence[RowToWrite]) -> Sequence[RowResult]:
        """Insert what is not there, change what is different; return the fate of each, in order.

        Raises:
            IntegrityError: a unique index or a reference forbids it.
        """
        if not wanted:
            return []
        names = list(wanted[0].key)
        first = table.c[names[0]]
        stored = {tuple(row._asdict()[name] for name in names): row for row in await self._stored(first, wanted)}
        fates, fresh = [], []
        for each in wanted:
            row = stored.get(tuple(each.key.values()))
            if row is None:
                fresh.append(await self._new(each))
                fates.append(RowResult.created)
            else:
                fates.append(await self._change(each if each.refine is None else each.refine(row, each), row))
        for columns in {tuple(sorted(values)) for values in fresh}:
            same = [values for values in fresh if tuple(sorted(values)) == columns]
            await self._connection.execute(insert(table), same)
        await add_words(self._connection, table, fresh)
        return fates

    async def complete(self, wanted: Complete) -> bool:
        """Delete what is not among the rows to keep; tell whether there was anything."""
        column = wanted.table.c[wanted.name]
        inside = [wanted.table.c[name] == value for name, value in wanted.within.items()]
        there = (await self._connection.execute(select(column).where(*inside))).column()
        gone = sorted(set(there) - wanted.keep)
        for start in range(0, len(gone), _AT_ONCE):
            await self._connection.execute(
                delete(wanted.table).where(*inside, column.in_(gone[start : start + _AT_ONCE]))
            )
        return bool(gone)

    async def _stored(self, first: ColumnElement[Any], wanted: Sequence[RowToWrite]) -> Sequence["Row[Any]"]:
        judged = any(each.refine is not None for each in wanted)
        return await self.rows(first, sorted({each.id for each in wanted}), locked=judged)

    async def _new(self, wanted: RowToWrite) -> dict[str, Any]:
        unit = self._unit.of_tenant(wanted.tenant_id)
        sealed = {name: await _sealed(unit, wanted, name) for name in wanted.sealed}
        owner = {"tenant_id": wanted.tenant_id} if "tenant_id" in wanted.table.c else {}
        return {**wanted.first, **wanted.given, **wanted.key, **sealed, **owner}

    async def _change(self, wanted: RowToWrite, row: "Row[Any]") -> RowResult:
        unit, stored = self._unit.of_tenant(wanted.tenant_id), row._asdict()
        changes = {name: value for name, value in wanted.given.items() if stored[name] != value}
        there = {
            name: None if stored[name] is None else await unit.open(wanted.table, wanted.id, name, stored[name])
            for name in wanted.sealed
        }
        for name, clear in wanted.sealed.items():
            if there[name] != clear:
                changes[name] = await _sealed(unit, wanted, name)
                changes = {**wanted.resealed(there), **changes}
        if not changes:
            return RowResult.unchanged
        mine = [wanted.table.c[name] == value for name, value in wanted.key.items()]
        if "tenant_id" in wanted.table.c:
            mine.append(wanted.table.c.tenant_id == wanted.tenant_id)
        await self._connection.execute(update(wanted.table).where(*mine).values(**wanted.touched, **changes))
        if changes_words(wanted.table, changes):
            await renew_words(self._connection, wanted.table, wanted.id, wanted.tenant_id)
        return RowResult.updated


async def _sealed(unit: Unit, wanted: RowToWrite, name: str) -> bytes | None:
    clear = wanted.sealed[name]
    return None if clear is None else await unit.seal(wanted.table, wanted.id, name, clear)
