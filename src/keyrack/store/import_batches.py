"""Imports from other systems: which there were, what each thing was made into, and which have been cut over."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, select, update

from keyrack.errors import AlreadyExists, RelatedNotFound
from keyrack.ids import new_id
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.schema import import_batches, import_entries

ENVIRONMENT = "env-vars"
"""The source of what was made of components' variables, which no other system renews: it has no cutover."""
PLATFORM = "platform"
"""The source of what awaited its cutover in another installation of Keyrack, and was moved here: it has no entries."""

_b, _e = import_batches.c, import_entries.c
_NAMED = TenantQuery(
    import_batches, select(*_b).where(_b.source == bindparam("system"), _b.name == bindparam("called"))
)
_HELD = TenantQuery(import_batches, select(*_b).where(_b.id == bindparam("id")).with_for_update())
_CUT_OVER = TenantChange(
    import_batches,
    update(import_batches)
    .where(_b.id == bindparam("id"), _b.cut_over_at.is_(None))
    .values(cut_over_at=bindparam("now", type_=_b.cut_over_at.type)),
)
_REMOVAL = TenantChange(import_batches, delete(import_batches).where(_b.id == bindparam("id")))
_ALL = Query(select(*_b).order_by(_b.id), scans=True)
_ONE = Query(select(*_b).where(_b.id == bindparam("id")))
_OWN = TenantQuery(import_batches, select(_b.id).where(_b.id.in_(bindparam("batches", expanding=True))))
_KNOWN = TenantQuery(
    import_entries,
    select(*_e).where(
        _e.source == bindparam("system"),
        _e.kind == bindparam("what"),
        _e.external_key.in_(bindparam("keys", expanding=True)),
    ),
    scans=True,
)
_IS_ENTRY = (
    _e.source == bindparam("system"),
    _e.kind == bindparam("what"),
    _e.external_key == bindparam("key"),
)
_RENEWAL = TenantChange(
    import_entries,
    update(import_entries)
    .where(*_IS_ENTRY)
    .values(
        batch_id=bindparam("batch"),
        resource_version=bindparam("version"),
        told_at=bindparam("told", type_=_e.told_at.type),
    ),
)
_FORGETTING = TenantChange(import_entries, delete(import_entries).where(*_IS_ENTRY))
_OF_BATCH = TenantQuery(
    import_entries,
    select(*_e)
    .where(_e.batch_id == bindparam("batch"), _e.kind == bindparam("what"), _e.external_key > bindparam("after"))
    .order_by(_e.external_key)
    .limit(bindparam("most")),
    scans=True,
)
_ANY = TenantQuery(import_entries, select(_e.external_key).where(_e.batch_id == bindparam("batch")).limit(1))


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """What is brought from one system into one tenant, and cut over as a whole.

    Attributes:
        source: the other system.
        name: tells imports from one system apart.
        cut_over_at: since when Keyrack renews what it brought, and takes nothing more into it; None: not yet.
    """

    id: str
    tenant_id: str
    source: str
    name: str
    created_at: datetime
    cut_over_at: datetime | None


@dataclass(frozen=True, slots=True)
class ImportEntry:
    """A thing of the other system, and what was made of it.

    Attributes:
        external_id: what the other system calls it.
        resource_id: what was made of it; it may be gone.
        resource_version: of the resource when the import wrote it last: another one now was written by somebody else.
        told_at: when the other system had changed it last; None if that was not told.
    """

    source: str
    kind: str
    external_id: str
    batch_id: str
    resource_id: str
    resource_version: int
    told_at: datetime | None

    @property
    def external_key(self) -> str:
        """What it is found by."""
        return external_key(self.external_id)


def external_key(external_id: str) -> str:
    """Return what an entry is found by: of the same length, however long the other system's id is."""
    return hashlib.sha256(external_id.encode()).hexdigest()


class ImportBatches(TenantTable):
    """The imports of the unit's tenant."""

    table = import_batches

    async def named(self, source: str, name: str) -> ImportBatch | None:
        """Return one, or None."""
        row = await self.ask_one(_NAMED, system=source, called=name)
        return None if row is None else _batch(row)

    async def obtain(self, source: str, name: str) -> ImportBatch:
        """Return one; it is made if there is none."""
        found = await self.named(source, name)
        if found is not None:
            return found
        made = ImportBatch(new_id(), self.unit.tenant_id, source, name, self.unit.clock(), None)
        try:
            await self.insert({"id": made.id, "source": source, "name": name, "created_at": made.created_at})
        except AlreadyExists:  # by somebody else, at this moment
            return await self.obtain(source, name)
        return made

    async def hold(self, batch_id: str) -> ImportBatch | None:
        """Return one, kept from being cut over or deleted until the transaction ends; or None."""
        row = await self.ask_one(_HELD, id=batch_id)
        return None if row is None else _batch(row)

    async def cut_over(self, batch_id: str) -> bool:
        """Have an import take nothing more; False if it did not before."""
        return await self.make(_CUT_OVER, id=batch_id, now=self.unit.clock()) == 1

    async def remove(self, batch_id: str) -> None:
        """Forget one, with its entries."""
        await self.make(_REMOVAL, id=batch_id)


class ImportEntries(TenantTable):
    """What imports of the unit's tenant have made of what."""

    table = import_entries

    async def known(self, source: str, kind: str, external_ids: Sequence[str]) -> Mapping[str, ImportEntry]:
        """Return those of some external ids, by these."""
        keys = [external_key(each) for each in external_ids]
        rows = await self.ask(_KNOWN, system=source, what=kind, keys=keys)
        return {row.external_id: _entry(row) for row in rows}

    async def add(self, brought: Sequence[ImportEntry]) -> None:
        """Write down what was made.

        Raises:
            RelatedNotFound: an import that is named is not there, or another tenant's.
        """
        batches = {each.batch_id for each in brought}
        if len(await self.ask(_OWN, batches=sorted(batches))) < len(batches):
            raise RelatedNotFound
        if brought:
            await self.insert_each([_columns(each) for each in brought])

    async def renew(self, entry: ImportEntry) -> None:
        """Write down that a resource was written again, by the same import or another of the tenant's."""
        await self.make(
            _RENEWAL,
            system=entry.source,
            what=entry.kind,
            key=entry.external_key,
            batch=entry.batch_id,
            version=entry.resource_version,
            told=entry.told_at,
        )

    async def forget(self, entry: ImportEntry) -> None:
        """Forget that something was brought, so that it is brought again."""
        await self.make(_FORGETTING, system=entry.source, what=entry.kind, key=entry.external_key)

    async def of_batch(self, batch_id: str, kind: str, after: str = "", limit: int = 500) -> Sequence[ImportEntry]:
        """List what an import made, by key.

        Args:
            batch_id: the import.
            kind: of what.
            after: the key after which the stretch begins.
            limit: how many at most.
        """
        rows = await self.ask(_OF_BATCH, batch=batch_id, what=kind, after=after, most=limit)
        return [_entry(row) for row in rows]

    async def has_any(self, batch_id: str) -> bool:
        """Tell whether an import has made anything that is not forgotten."""
        return await self.ask_one(_ANY, batch=batch_id) is not None


async def all_batches(unit: Unit) -> Sequence[ImportBatch]:
    """List the imports of all tenants; made from the unit of the installation."""
    return [_batch(row) for row in await _ALL.rows(unit.connection)]


async def batch_of_id(unit: Unit, batch_id: str) -> ImportBatch | None:
    """Return an import of whichever tenant, or None; made from the unit of the installation."""
    rows = await _ONE.rows(unit.connection, id=batch_id)
    return _batch(rows[0]) if rows else None


def _batch(row: Any) -> ImportBatch:
    return ImportBatch(row.id, row.tenant_id, row.source, row.name, row.created_at, row.cut_over_at)


def _entry(row: Any) -> ImportEntry:
    return ImportEntry(
        row.source, row.kind, row.external_id, row.batch_id, row.resource_id, row.resource_version, row.told_at
    )


def _columns(entry: ImportEntry) -> dict[str, Any]:
    return {
        "source": entry.source,
        "kind": entry.kind,
        "external_key": entry.external_key,
        "external_id": entry.external_id,
        "batch_id": entry.batch_id,
        "resource_id": entry.resource_id,
        "resource_version": entry.resource_version,
        "told_at": entry.told_at,
    }
