"""Data keys of all tenants for the operator: under which key-encryption key each is kept. Nothing is unwrapped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Integer, bindparam, case, func, select

from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import data_keys, tenants

_k = data_keys.c
_VERSIONS = Query(
    select(
        _k.kek_id,
        func.count().label("number"),
        func.min(_k.created_at, type_=_k.created_at.type).label("first"),
        func.max(_k.created_at, type_=_k.created_at.type).label("last"),
    )
    .group_by(_k.kek_id)
    .order_by(func.max(_k.created_at).desc(), _k.kek_id),
    scans=True,
)
_OF_CURRENT = case((_k.kek_id == bindparam("current"), func.coalesce(_k.wrapped_at, _k.created_at)))
_OLDEST = Query(
    select(
        func.min(_k.created_at, type_=_k.created_at.type).label("data"),
        func.min(_OF_CURRENT, type_=_k.created_at.type).label("encryption"),
    ).select_from(data_keys),
    scans=True,
)
_PAGE = Query(
    select(_k.id, _k.tenant_id, _k.kek_id, _k.created_at, func.coalesce(tenants.c.name, "").label("tenant_name"))
    .join_from(data_keys, tenants, _k.tenant_id == tenants.c.id, isouter=True)
    .where(_k.kek_id == bindparam("version"))
    .order_by(_k.id)
    .limit(bindparam("most", type_=Integer))
    .offset(bindparam("over", type_=Integer)),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """A key-encryption key that data keys are kept under.

    Attributes:
        id: its fingerprint, as it stands with the data keys.
        data_keys: how many.
        first, last: when the first and the last of them were made.
    """

    id: str
    data_keys: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class ListedDataKey:
    """A data key, without the key. `tenant_id` is empty for the installation's own."""

    id: str
    tenant_id: str
    tenant_name: str
    created_at: datetime


class DataKeyList:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def versions(self) -> Sequence[KeyVersion]:
        """List the key-encryption keys in use, the one that a data key was made under last first."""
        rows = await _VERSIONS.rows(self._unit.connection)
        return [KeyVersion(row.kek_id, row.number, row.first, row.last) for row in rows]

    async def ages(self, current: str) -> Mapping[str, float]:
        """Return how old the oldest keys are, in seconds, by kind; a kind that there is none of is missing.

        `data`: the oldest data key. `encryption`: the current key-encryption key, at the least: so long ago it wrapped
        the first of the data keys that it wraps now.

        Args:
            current: the id of the current key-encryption key.
        """
        (row,) = await _OLDEST.rows(self._unit.connection, current=current)
        now, found = self._unit.clock(), {"data": row.data, "encryption": row.encryption}
        return {kind: max(0.0, (now - since).total_seconds()) for kind, since in found.items() if since is not None}

    async def page(self, version: str, *, limit: int, offset: int) -> Sequence[ListedDataKey]:
        """List a page of the data keys under a key-encryption key, by id."""
        rows = await _PAGE.rows(self._unit.connection, version=version, most=limit, over=offset)
        return [ListedDataKey(row.id, row.tenant_id, row.tenant_name, row.created_at) for row in rows]
