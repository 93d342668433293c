"""Counts what is due and what is unsettled, of all tenants, for metrics.

Each is answered from an index made for the work itself and stops counting at `MOST`, so asking costs little however
much is stored or due.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from keyrack.clock import epoch_ms
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import IS_SCHEDULED, attempts, auth_secrets

MOST = 10_000

_s, _a = auth_secrets.c, attempts.c
_due = select(_s.due_at).where(IS_SCHEDULED, _s.due_at <= bindparam("now")).order_by(_s.due_at).limit(MOST).subquery()
_NUMBER = func.count().label("number")
_OLDEST: ColumnElement[Any] = func.min(_due.c.due_at).label("oldest")
_DUE = Query(select(_NUMBER).add_columns(_OLDEST).select_from(_due), scans=True)
_OPEN = Query(
    select(_NUMBER).select_from(select(_a.id).where(_a.settled_at.is_(None)).limit(MOST).subquery()),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class QueueStats:
    """Work that waits.

    Attributes:
        due: secrets whose refresh is due.
        oldest_due_seconds: for how long the oldest has been; 0 if none is.
        open_attempts: token requests that are not settled.
    """

    due: int
    oldest_due_seconds: float
    open_attempts: int


async def queue_stats(unit: Unit) -> QueueStats:
    """Return what waits; made from the unit of the installation."""
    now = unit.clock()
    (due,) = await _DUE.rows(unit.connection, now=now)
    (unsettled,) = await _OPEN.rows(unit.connection)
    age = 0.0 if due.oldest is None else (epoch_ms(now) - epoch_ms(due.oldest)) / 1000
    return QueueStats(due.number, max(0.0, age), unsettled.number)
