"""Encrypts stored values anew with their tenant's newest data key, in batches, while others read and write them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import Integer, Table, and_, bindparam, func, or_, select, update
from sqlalchemy.orm import aliased

from keyrack.crypto.envelope import DecryptionFailed, EncryptionContext
from keyrack.errors import WrongKey
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import TENANT, Unit
from keyrack.store.schema import data_keys
from keyrack.store.sealed_columns import SEALED_COLUMNS, named_key


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of a batch of rows.

    Attributes:
        resealed: values that were encrypted anew.
        unreadable: values that cannot be opened, and stay as they are.
        last: the last row's id; None: there is no further row.
    """

    resealed: int
    unreadable: int
    last: str | int | None


class Resealing:
    """The encrypted values of the unit's tenant, or in the unit of the installation, the installation's own."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    @property
    def tables(self) -> Sequence[Table]:
        """The tables that may have values of the tenant."""
        return [table for table in SEALED_COLUMNS if "tenant_id" in table.c or self._unit.tenant_id == INSTALLATION]

    async def batch(self, table: Table, newest: str, last: str | int | None, most: int) -> Batch:
        """Encrypt the next values of a table anew that are not encrypted with the newest data key.

        On PostgreSQL rows that somebody else has locked are passed over, so that nobody waits for anybody in a circle;
        a further round finds them. Needs a unit that writes.

        Args:
            table: one of `tables`.
            newest: the id of the tenant's newest data key.
            last: the row after which to go on; None: from the first.
            most: rows at most.
        """
        (key,) = table.primary_key.columns
        stale, change = _statements(table)
        first: str | int = "" if key.type.python_type is str else -1
        rows = await stale.rows(
            self._unit.connection,
            tenant_id=self._unit.tenant_id,
            newest=newest,
            last=first if last is None else last,
            most=most,
        )
        resealed = unreadable = 0
        for row in rows:
            values: dict[str, Any] = {}
            for column in SEALED_COLUMNS[table]:
                sealed = values[column.name] = getattr(row, column.name)
                if sealed is None:
                    continue
                place = EncryptionContext(self._unit.tenant_id, table.name, str(row.row), column.name)
                keyring, connection = self._unit.keyring, self._unit.connection
                try:
                    clear = await keyring.open(connection, place, sealed)
                except (DecryptionFailed, WrongKey):
                    unreadable += 1
                    continue
                values[column.name] = await keyring.seal(connection, place, clear)
                resealed += 1
            await change.run(self._unit.connection, tenant_id=self._unit.tenant_id, row=row.row, **values)
        return Batch(resealed, unreadable, rows[-1].row if len(rows) == most else None)

    async def count_under(self, key_id: str) -> Mapping[str, int]:
        """Count the tenant's values that are encrypted with a data key, by table; those without any are left out."""
        found = {}
        for table in self.tables:
            rows = await _under(table).rows(self._unit.connection, tenant_id=self._unit.tenant_id, key=key_id)
            if rows[0].number:
                found[table.name] = int(rows[0].number)
        return found


class SupersededValues:
    """Looks across tenants for values under superseded data keys; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def count(self) -> Mapping[str, Mapping[str, int]]:
        """Count them by table, and by the id of the data key."""
        found: dict[str, dict[str, int]] = {}
        for table in SEALED_COLUMNS:
            counts = found.setdefault(table.name, {})
            for query in _superseded(table):
                for row in await query.rows(self._unit.connection):
                    counts[row.key] = counts.get(row.key, 0) + int(row.number)
        return {table: counts for table, counts in found.items() if counts}


@cache
def _statements(table: Table) -> tuple[Query, Change]:
    (key,) = table.primary_key.columns
    mine = [table.c.tenant_id == TENANT] if "tenant_id" in table.c else []
    columns = SEALED_COLUMNS[table]
    stale = or_(*(and_(column.is_not(None), named_key(column) != bindparam("newest")) for column in columns))
    query = (
        select(key.label("row"), *columns)
        .where(*mine, stale, key > bindparam("last", type_=key.type))
        .order_by(key)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    change = update(table).where(*mine, key == bindparam("row", type_=key.type))
    return Query(query), Change(change.values({column.name: bindparam(column.name) for column in columns}))


@cache
def _under(table: Table) -> Query:
    mine = [table.c.tenant_id == TENANT] if "tenant_id" in table.c else []
    used = or_(*(named_key(column) == bindparam("key") for column in SEALED_COLUMNS[table]))
    return Query(select(func.count().label("number")).select_from(table).where(*mine, used), scans=True)


@cache
def _superseded(table: Table) -> Sequence[Query]:
    newer, older = aliased(data_keys, name="newer"), aliased(data_keys, name="older")
    ids = select(older.c.id).where(
        select(newer.c.id).where(newer.c.tenant_id == older.c.tenant_id, newer.c.id > older.c.id).exists()
    )
    return [
        Query(
            select(named_key(column).label("key"), func.count().label("number"))
            .where(column.is_not(None), named_key(column).in_(ids))
            .group_by(named_key(column)),
            scans=True,
        )
        for column in SEALED_COLUMNS[table]
    ]
