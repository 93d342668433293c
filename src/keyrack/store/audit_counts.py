"""Counts of what is written into the audit logs by the hour: all processes add to them until it is over."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from keyrack.model.audit import CountedAct, CountedEvent
from keyrack.model.identity import PrincipalKind
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import audit_counts
from keyrack.store.schema.base import Moment

BATCH = 500
HOUR = timedelta(hours=1)

_c = audit_counts.c
_KEY = [_c[column.name] for column in audit_counts.primary_key.columns]


def _addition() -> dict[str, Change]:
    values = {column.name: bindparam(column.name, type_=column.type) for column in _c}
    made = {}
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite)):
        insertion = dialect.insert(audit_counts).values(**values)
        given = insertion.excluded
        later = func.greatest if name == "postgresql" else func.max
        earlier = func.least if name == "postgresql" else func.min
        made[name] = Change(
            insertion.on_conflict_do_update(
                index_elements=_KEY,
                set_={
                    "times": _c.times + given.times,
                    "first_at": earlier(_c.first_at, given.first_at),
                    "last_at": later(_c.last_at, given.last_at),
                },
            )
        )
    return made


_ADDITION = _addition()
_OVER = Query(
    select(*_c)
    .where(_c.hour < bindparam("before", type_=Moment))
    .order_by(_c.hour)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True),
    scans=True,
)
_OF_TENANT = Query(
    select(*_c)
    .where(_c.tenant_id == bindparam("tenant_id"))
    .order_by(*_KEY)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(),
    scans=True,
)
_REMOVAL = Change(
    delete(audit_counts).where(*(column == bindparam(f"of_{column.name}", type_=column.type) for column in _KEY))
)


class AuditCounts:
    """Counts of all logs; made from the unit of the installation, in which it writes."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def add(self, counted: Sequence[CountedEvent]) -> None:
        """Add to what is counted already, whichever process has.

        Args:
            counted: at most `BATCH`.
        """
        rows = sorted((_row(each) for each in counted), key=lambda row: [row[column.name] for column in _KEY])
        connection = self._unit.connection  # all lock in one order
        await _ADDITION[connection.dialect.name].run_each(connection, rows)

    async def take_over(self, now: datetime) -> Sequence[CountedEvent]:
        """Take out what was counted in hours that are over, `BATCH` at most; others are not taking the same.

        Args:
            now: hours that began more than an hour before are over.
        """
        return await self._taken(await _OVER.rows(self._unit.connection, before=now - HOUR, most=BATCH))

    async def take_all(self, tenant_id: str) -> Sequence[CountedEvent]:
        """Take out what was counted for one log, also in the hour that goes on, `BATCH` at most."""
        return await self._taken(await _OF_TENANT.rows(self._unit.connection, tenant_id=tenant_id, most=BATCH))

    async def _taken(self, rows: Sequence[Any]) -> Sequence[CountedEvent]:
        if rows:
            keys = [{f"of_{column.name}": getattr(row, column.name) for column in _KEY} for row in rows]
            await _REMOVAL.run_each(self._unit.connection, keys)
        return [_event(row) for row in rows]


def _row(counted: CountedEvent) -> dict[str, Any]:
    what = counted.what._asdict()
    return {
        **what,
        "actor_kind": counted.what.actor_kind.value,
        "target_id": counted.what.target_id or "",
        "address": counted.what.address or "",
        "hour": counted.first_at.replace(minute=0, second=0, microsecond=0),
        "times": counted.times,
        "first_at": counted.first_at,
        "last_at": counted.last_at,
    }


def _event(row: Any) -> CountedEvent:
    what = CountedAct(
        row.tenant_id, row.actor, PrincipalKind(row.actor_kind), row.action, row.target_type, row.target_id or None,
        row.outcome, row.address or None,
    )  # fmt: skip
    return CountedEvent(what, row.times, row.first_at, row.last_at)
