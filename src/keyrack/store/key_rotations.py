"""Exchanges of keys: which is under way, the data keys of all owners, and what keeps an old data key from going."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.orm import aliased

from keyrack.ids import new_id
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit, deleting
from keyrack.store.schema import attempts, data_keys, installation, key_rotations

_r, _k, _a = key_rotations.c, data_keys.c, attempts.c
_newer = aliased(data_keys, name="newer")
_MOST = bindparam("most", type_=Integer)
_HELD = Query(deleting(select(installation.c.id)))
_OPEN = Query(select(*_r).where(_r.ended_at.is_(None)).order_by(_r.id.desc()).limit(1))
_BEGINNING = Change(insert(key_rotations).values(**{column.name: bindparam(column.name) for column in _r}))
_END = Change(update(key_rotations).where(_r.ended_at.is_(None)).values(ended_at=bindparam("now")))
_OWNERS = Query(
    select(_k.tenant_id, func.max(_k.id).label("newest"), func.max(_k.created_at, type_=_k.created_at.type).label("at"))
    .where(_k.tenant_id > bindparam("last"))
    .group_by(_k.tenant_id)
    .order_by(_k.tenant_id)
    .limit(_MOST),
    scans=True,
)
_INSTALLATION = Query(
    select(_k.tenant_id, _k.id.label("newest"), _k.created_at.label("at"))
    .where(_k.tenant_id == "")
    .order_by(_k.id.desc())
    .limit(1)
)
_COUNT = Query(select(func.count(_k.tenant_id.distinct()).label("number")), scans=True)
_UNDER_OTHERS = Query(
    select(_k.id, _k.tenant_id, _k.kek_id, _k.wrapped)
    .where(_k.kek_id != bindparam("current"), _k.id > bindparam("last"))
    .order_by(_k.id)
    .limit(_MOST)
)
_UNDER_OTHERS_COUNT = Query(select(func.count().label("number")).where(_k.kek_id != bindparam("current")), scans=True)
_REWRAPPING = Change(
    update(data_keys)
    .where(_k.id == bindparam("key"), _k.wrapped == bindparam("before"))
    .values(kek_id=bindparam("kek"), wrapped=bindparam("after"), wrapped_at=bindparam("now"))
)
_SUPERSEDED = Query(
    select(
        _k.id,
        _k.tenant_id,
        _k.created_at,
        select(func.min(_newer.c.created_at, type_=_k.created_at.type))
        .where(_newer.c.tenant_id == _k.tenant_id, _newer.c.id > _k.id)
        .scalar_subquery()
        .label("since"),
    )
    .where(exists().where(_newer.c.tenant_id == _k.tenant_id, _newer.c.id > _k.id))
    .order_by(_k.tenant_id, _k.id),
    scans=True,
)
_LOCKED = Query(deleting(select(_k.id).where(_k.id == bindparam("key"), _k.tenant_id == bindparam("tenant_id"))))
_REMOVAL = Change(delete(data_keys).where(_k.id == bindparam("key"), _k.tenant_id == bindparam("tenant_id")))
_AGES = Query(
    select(
        func.min(_k.created_at, type_=_k.created_at.type).label("oldest"),
        func.count().label("number"),
    ),
    scans=True,
)
_SINCE = Query(
    select(func.min(func.coalesce(_k.wrapped_at, _k.created_at), type_=_k.created_at.type).label("since")).where(
        _k.kek_id == bindparam("current")
    )
)
_OPEN_ATTEMPTS = Query(
    select(func.count().label("number")).where(
        _a.tenant_id == bindparam("tenant_id"),
        _a.settled_at.is_(None),
        _a.sealed_answer.is_(None),
        _a.started_at <= bindparam("before", type_=_a.started_at.type),
    )
)


@dataclass(frozen=True, slots=True)
class Rotation:
    """An exchange of keys that has begun.

    Attributes:
        id: its id.
        kek_id: what data keys are wrapped with from then on.
        started_at: data keys made before are exchanged.
    """

    id: str
    kek_id: str
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Owner:
    """Who has data keys. `tenant_id` is empty for the installation."""

    tenant_id: str
    newest: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SupersededKey:
    """A data key that is not its owner's newest; `since`: when the next one was made."""

    id: str
    tenant_id: str
    created_at: datetime
    since: datetime


@dataclass(frozen=True, slots=True)
class KeyAges:
    """How old keys are.

    Attributes:
        data_keys: how many there are.
        oldest: when the oldest of them was made; None: there is none.
        current_since: when the current key-encryption key first wrapped one that it still wraps; None: never.
    """

    data_keys: int
    oldest: datetime | None
    current_since: datetime | None


class KeyRotations:
    """Looks across tenants at data keys, whose material it never sees; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._connection = unit.connection

    async def hold(self) -> None:
        """Keep other commands from beginning an exchange or changing a key file until the transaction ends.

        What decides about keys is read after this. Needs a unit that writes.
        """
        await _HELD.rows(self._connection)

    async def under_way(self) -> Rotation | None:
        """Return the exchange that has begun and not ended, or None."""
        rows = await _OPEN.rows(self._connection)
        return Rotation(rows[0].id, rows[0].kek_id, rows[0].started_at) if rows else None

    async def begin(self, kek_id: str) -> Rotation:
        """Note that keys are being exchanged."""
        made = Rotation(new_id(), kek_id, self._unit.clock())
        await _BEGINNING.run(self._connection, id=made.id, kek_id=kek_id, started_at=made.started_at, ended_at=None)
        return made

    async def end(self) -> None:
        """Note that all keys are exchanged."""
        await _END.run(self._connection, now=self._unit.clock())

    async def owners(self, last: str | None, most: int) -> Sequence[Owner]:
        """List who has data keys, the installation first and then tenants by id.

        Args:
            last: the tenant after which to go on; None: from the first.
            most: how many at most.
        """
        if last is None:
            rows = list(await _INSTALLATION.rows(self._connection))
            rows += await _OWNERS.rows(self._connection, last="", most=most)
        else:
            rows = list(await _OWNERS.rows(self._connection, last=last, most=most))
        return [Owner(row.tenant_id, row.newest, row.at) for row in rows]

    async def count_owners(self) -> int:
        """Count who has data keys."""
        return int((await _COUNT.rows(self._connection))[0].number)

    async def under_others(self, current: str, last: str, most: int) -> Sequence[Any]:
        """List data keys that another key-encryption key wraps, by id after `last`, as they are stored."""
        return await _UNDER_OTHERS.rows(self._connection, current=current, last=last, most=most)

    async def count_under_others(self, current: str) -> int:
        """Count data keys that another key-encryption key wraps."""
        return int((await _UNDER_OTHERS_COUNT.rows(self._connection, current=current))[0].number)

    async def rewrap(self, key_id: str, before: bytes, kek_id: str, after: bytes) -> bool:
        """Store a data key as another key-encryption key wraps it; False if somebody else was first."""
        now = self._unit.clock()
        return await _REWRAPPING.run(self._connection, key=key_id, before=before, kek=kek_id, after=after, now=now) == 1

    async def superseded(self) -> Sequence[SupersededKey]:
        """List data keys that are not their owner's newest."""
        rows = await _SUPERSEDED.rows(self._connection)
        return [SupersededKey(row.id, row.tenant_id, row.created_at, row.since) for row in rows]

    async def ages(self, current: str) -> KeyAges:
        """Return how old keys are."""
        row = (await _AGES.rows(self._connection))[0]
        return KeyAges(row.number, row.oldest, (await _SINCE.rows(self._connection, current=current))[0].since)


class RetiringKey:
    """Deletes a data key of the unit's tenant that nothing needs; needs a unit that writes."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def lock(self, key_id: str) -> bool:
        """Wait until no transaction is storing a value under the key, and keep others from it; False: it is gone."""
        tenant = self._unit.tenant_id
        return bool(await _LOCKED.rows(self._unit.connection, key=key_id, tenant_id=tenant))

    async def open_attempts(self, before: datetime) -> int:
        """Count requests to providers that began before a time, and whose answer may still come, sealed already."""
        tenant = self._unit.tenant_id
        return int((await _OPEN_ATTEMPTS.rows(self._unit.connection, tenant_id=tenant, before=before))[0].number)

    async def remove(self, key_id: str) -> None:
        """Delete the key."""
        await _REMOVAL.run(self._unit.connection, key=key_id, tenant_id=self._unit.tenant_id)
