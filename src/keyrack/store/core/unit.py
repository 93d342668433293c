"""Units of work, bound to one tenant: one transaction, or reads without one. The only door to tenant data.

A `Unit` knows its tenant; every statement built by `TenantTable` carries it. What must look across tenants (finding
the owner of an id, signing in, blocking a deletion) is in `keyrack.store.directory` and returns no tenant's values.
"""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Delete,
    Executable,
    Row,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from keyrack.clock import Clock
from keyrack.crypto.envelope import EncryptionContext
from keyrack.errors import AlreadyExists, RelatedNotFound
from keyrack.store.core.connection import Connection
from keyrack.store.core.keyring import INSTALLATION, Keyring
from keyrack.store.core.references import PARENT_DELETED, own_parents
from keyrack.store.core.search_words import add_words, changes_words, renew_words
from keyrack.store.core.statements import Change, Query, parsed
from keyrack.store.schema.base import Id

TENANT: BindParameter[str] = bindparam("tenant_id", type_=Id)
"""The unit's tenant, in statements that are made once."""
_PARSED_AT_ONCE = 64 * 1024
"""Bytes of JSON that hold the event loop for a moment only, whatever they say."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of work bound to one tenant. Made by `Store.unit`; ends with its `async with` block.

    Attributes:
        connection: the database connection; in a transaction if the unit writes (decision 17).
        tenant_id: the tenant; empty in the unit of the installation itself.
        keyring: seals and opens values.
        clock: the time.
    """

    connection: Connection
    tenant_id: str
    keyring: Keyring
    clock: Clock

    # The three below are the only ways out of a tenant within a unit; which module may take which, and why, is
    # listed in `tests/tenancy/test_ways_across_tenants.py`.

    def of_tenant(self, tenant_id: str) -> "Unit":
        """Return this unit bound to another owner's rows.

        Allowed where the owner was read from a row or comes from the operator, never from what a caller sent: a
        component's or global client's owner, the caller's home tenant, an import or export.

        Args:
            tenant_id: the owner as it stands on the row; empty for what belongs to the installation.
        """
        return Unit(self.connection, tenant_id, self.keyring, self.clock)

    def of_installation(self) -> "Unit":
        """Return this unit bound to the rows that belong to no tenant; no tenant's row can be reached with it.

        Allowed for what all tenants share or what must outlive them: global auth clients, the installation's audit
        log, pending revocations of a deleted tenant.
        """
        return Unit(self.connection, INSTALLATION, self.keyring, self.clock)

    def across_tenants(self) -> "Unit":
        """Return this unit for a look across all tenants, as `keyrack.store.directory` does.

        Allowed where ids or numbers are wanted, never a tenant's values: what blocks a deletion, wherever it is.
        """
        return Unit(self.connection, INSTALLATION, self.keyring, self.clock)

    async def seal(self, table: Table, row: str, column: str, clear: object) -> bytes:
        """Encrypt a JSON value for one place of this tenant."""
        place = EncryptionContext(self.tenant_id, table.name, row, column)
        return await self.keyring.seal(self.connection, place, json.dumps(clear, separators=(",", ":")).encode())

    async def open(self, table: Table, row: str, column: str, sealed: bytes) -> Any:
        """Decrypt what `seal` made for the same place.

        Raises:
            DecryptionFailed: it was sealed for another place or is damaged.
            WrongKey: it was sealed under another tenant's key.
        """
        place = EncryptionContext(self.tenant_id, table.name, row, column)
        try:
            clear = self.keyring.open_now(place, sealed)
        except KeyError:  # its key has not been needed yet
            clear = await self.keyring.open(self.connection, place, sealed)
        return parsed(clear) if len(clear) <= _PARSED_AT_ONCE else await asyncio.to_thread(parsed, clear)


class TenantQuery(Query):
    """A query over the rows of one tenant: the unit's, whichever that is.

    Args:
        table: whose rows are the tenant's; the condition is added here.
        select: the rest of the query; all its values are named bound parameters.
    """

    def __init__(self, table: Table, select: "Select[Any]", *, scans: bool = False) -> None:
        super().__init__(select.where(self.condition(table)), scans=scans)

    @classmethod
    def condition(cls, table: Table) -> ColumnElement[bool]:
        """Return the condition that a row is the tenant's."""
        return table.c.tenant_id == TENANT


class TenantChange(Change):
    """An update or deletion of rows of one tenant: the unit's, whichever that is.

    Args:
        table: whose rows are the tenant's; the condition is added here.
        change: the rest of it; what differs from one use to the next are named bound parameters.
    """

    def __init__(self, table: Table, change: Update | Delete, *, scans: bool = False) -> None:
        super().__init__(change.where(table.c.tenant_id == TENANT), scans=scans)


class TenantTable:
    """Base of all tables with tenant data: every statement it makes is limited to the unit's tenant."""

    table: ClassVar[Table]
    columns: ClassVar[Sequence[ColumnElement[Any]] | None] = None
    """What `select` reads where no columns are named; by default all of the table."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit

    @property
    def mine(self) -> ColumnElement[bool]:
        """The condition that a row belongs to the unit's tenant."""
        return self.table.c.tenant_id == self.unit.tenant_id

    def select(self, *columns: ColumnElement[Any]) -> "Select[Any]":
        """Begin a query over this tenant's rows."""
        return select(*(columns or self.columns or self.table.c)).where(self.mine)

    async def lock_to_change(self, row_id: str) -> None:
        """Make others who want to change or delete a row wait until the transaction ends: read it after this."""
        await self.ask(_lock(self.table, changing), id=row_id)

    async def lock_to_delete(self, row_id: str) -> None:
        """Make others who want to change, delete or refer to a row wait until the transaction ends.

        What would forbid the deletion is looked up after this: who refers to the row holds it with `referring`, so
        either the reference is seen here, or the other finds the row gone.
        """
        await self.ask(_lock(self.table, deleting), id=row_id)

    async def insert(self, values: Mapping[str, Any]) -> None:
        """Add a row to this tenant, as `insert_into`; if it has a name, it is found by that from now on."""
        await self.insert_into(self.table, values)
        await add_words(self.unit.connection, self.table, [{**values, "tenant_id": self.unit.tenant_id}])

    async def insert_each(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add rows with the same columns to this tenant; for a table whose rows belong to nothing but the tenant."""
        insertion, _ = _insertion(self.table, (*rows[0], "tenant_id"), ())
        mine = {"tenant_id": self.unit.tenant_id}
        connection = self.unit.connection
        await insertion[connection.dialect.name].run_each(connection, [{**row, **mine} for row in rows])

    async def insert_into(self, table: Table, values: Mapping[str, Any]) -> None:
        """Add a row of another table to this tenant.

        Raises:
            AlreadyExists: a unique index forbids it; the transaction goes on as if nothing had been tried.
            RelatedNotFound: something that the row belongs to is not there, or another tenant's.
        """
        row = {**values, "tenant_id": self.unit.tenant_id}
        await insert_row(self.unit.connection, table, row, owned=True)

    async def ask(self, query: TenantQuery, **values: Any) -> Sequence[Any]:
        """Run a query that was made once, for this tenant; return its rows."""
        return await query.rows(self.unit.connection, tenant_id=self.unit.tenant_id, **values)

    async def ask_one(self, query: TenantQuery, **values: Any) -> Any | None:
        """As `ask`, for a query that finds one row at most: return it, or None."""
        return next(iter(await self.ask(query, **values)), None)

    async def make(self, change: TenantChange, **values: Any) -> int:
        """Make a change that was made once to this tenant's rows; return how many rows it touched."""
        return await change.run(self.unit.connection, tenant_id=self.unit.tenant_id, **values)

    async def make_one(self, change: TenantChange, **values: Any) -> Any | None:
        """As `make`, of one row at most: return what its RETURNING says of it, or None."""
        rows = await change.rows(self.unit.connection, tenant_id=self.unit.tenant_id, **values)
        return next(iter(rows), None)

    async def set_columns(self, row_id: str, values: Mapping[str, Any]) -> int:
        """Set columns of the row with an id; return how many rows that touched: 1, or 0 if there is none."""
        touched = await self.make(_setting(self.table, tuple(values)), row=row_id, **values)
        if touched and changes_words(self.table, values):
            await renew_words(self.unit.connection, self.table, row_id, self.unit.tenant_id)
        return touched

    async def all(self, statement: Executable) -> Sequence[Row[Any]]:
        """Run a query and return its rows."""
        return (await self.unit.connection.execute(statement)).all()

    async def value(self, statement: Executable) -> Any:
        """Run a query of one column and return the first value, or None."""
        return (await self.unit.connection.execute(statement)).scalar()


def changing(query: "Select[Any]") -> "Select[Any]":
    """Return a query that locks the rows it finds against changes until the transaction ends.

    PostgreSQL only, like the two below: on SQLite a unit that writes has the whole database to itself.
    """
    return query.with_for_update(key_share=True)


def deleting(query: "Select[Any]") -> "Select[Any]":
    """Return a query that locks the rows it finds against changes and against `referring`."""
    return query.with_for_update()


def referring(query: "Select[Any]", table: Table) -> "Select[Any]":
    """Return a query that keeps a table's rows that it finds from being deleted until the transaction ends.

    Give the query an order, so that two units lock the same rows in the same order.
    """
    return query.with_for_update(read=True, key_share=True, of=table)


@cache
def _lock(table: Table, locking: "Callable[[Select[Any]], Select[Any]]") -> TenantQuery:
    """Return the query that locks the row with an id, made once for each table and kind of lock."""
    return TenantQuery(table, locking(select(table.c.id).where(table.c.id == bindparam("id"))))


@cache
def _setting(table: Table, columns: tuple[str, ...]) -> TenantChange:
    """Return the change of these columns of the row with an id, made once for each set of columns."""
    given: dict[str, ColumnElement[Any]] = {name: bindparam(name) for name in columns}
    return TenantChange(table, update(table).where(table.c.id == bindparam("row")).values(**given))


async def insert_row(connection: Connection, table: Table, values: Mapping[str, Any], *, owned: bool = False) -> None:
    """Insert a row; a clash with a unique index becomes an error that leaves the transaction usable.

    Args:
        connection: in a transaction that writes.
        table: the row's.
        values: of its columns.
        owned: whether what the row belongs to must be its tenant's or the installation's (`own_parents`).

    Raises:
        AlreadyExists: a row with the same unique values exists (also when another transaction commits it meanwhile).
        RelatedNotFound: something that it belongs to is not there, or another tenant's.
    """
    parents = tuple(name for name, value in values.items() if value is not None) if owned else ()
    insertion, has_parents = _insertion(table, tuple(values), parents)
    if await insertion[connection.dialect.name].run(connection, **values) == 0:
        if has_parents is not None and not (await has_parents.rows(connection, **values))[0][0]:
            raise RelatedNotFound(PARENT_DELETED)
        raise AlreadyExists


@cache
def _insertion(
    table: Table, columns: tuple[str, ...], named: tuple[str, ...]
) -> tuple[Mapping[str, Change], Query | None]:
    """Return the insertion of a row with these columns for each database, and what asks for its parents, if any."""
    given = own_parents(table, named)
    values = {name: bindparam(name, type_=table.c[name].type) for name in columns}
    made = {}
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite)):
        insertion = dialect.insert(table)
        if given:
            insertion = insertion.from_select(list(columns), select(*values.values()).where(*given))
        else:
            insertion = insertion.values(**values)
        made[name] = Change(insertion.on_conflict_do_nothing())
    return made, Query(select(and_(*given).label("there"))) if given else None
