"""Reads everything of some tenants page by page, as of one moment, for an export.

An export crosses tenants on purpose; what is encrypted is opened as the tenant's whose row it is.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, func, select

from keyrack.store.core.unit import Unit

_AT_ONCE = 500


class Dump:
    """All rows of the given tenants, or of all; made from `Store.snapshot`, or else not of one moment."""

    def __init__(self, unit: Unit, tenants: Sequence[str]) -> None:
        self._unit = unit
        self._connection = unit.connection
        self._tenants = tenants

    async def count(self, table: Table) -> int:
        """Count the rows of a table."""
        query = select(func.count()).select_from(table).where(*self._mine(table))
        return int((await self._connection.execute(query)).scalar_one())

    async def pages(self, table: Table) -> AsyncIterator[Sequence["Row[Any]"]]:
        """Go through the rows of a table by id."""
        last = ""
        while True:
            query = select(table).where(table.c.id > last, *self._mine(table)).order_by(table.c.id).limit(_AT_ONCE)
            rows = (await self._connection.execute(query)).all()
            if not rows:
                return
            yield rows
            last = rows[-1].id

    async def under(
        self, column: ColumnElement[Any], ids: Sequence[str], order: ColumnElement[Any]
    ) -> dict[str, list["Row[Any]"]]:
        """Return rows by the parent that a column names."""
        query = select(column.table).where(column.in_(ids)).order_by(column, order)
        found: dict[str, list[Row[Any]]] = {}
        for row in (await self._connection.execute(query)).all():
            found.setdefault(row._asdict()[str(column.key)], []).append(row)
        return found

    async def clear(self, table: Table, row: "Row[Any]", column: str) -> Any:
        """Decrypt a column of a row."""
        unit, values = self._unit.of_tenant(row.tenant_id), row._asdict()
        return await unit.open(table, values[str(next(iter(table.primary_key)).key)], column, values[column])

    def _mine(self, table: Table) -> list[ColumnElement[bool]]:
        if not self._tenants:
            return []
        owner = table.c.tenant_id if "tenant_id" in table.c else table.c.id
        return [owner.in_(self._tenants)]
