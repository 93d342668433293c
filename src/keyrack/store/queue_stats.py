"""Counts what is due and what is unsettled, of all tenants, for metrics.

Each is answered from an index made for the work itself and stops counting at `MOST`, so asking costs little however
much is stored or due.
"""

from dataclasses import dataclass

from sqlalchemy import func, select

from keyrack.clock import epoch_ms
from keyrack.store.core.unit import Unit
from keyrack.store.schema import attempts, auth_secrets

MOST = 10_000


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
    s, a, now = auth_secrets.c, attempts.c, unit.clock()
    due = select(s.due_at).where(s.due_at.is_not(None), s.due_at <= now).order_by(s.due_at).limit(MOST).subquery()
    left = select(a.id).where(a.settled_at.is_(None)).limit(MOST).subquery()
    found = (await unit.connection.execute(select(func.count(), func.min(due.c.due_at)).select_from(due))).one()
    unsettled = (await unit.connection.execute(select(func.count()).select_from(left))).scalar_one()
    age = 0.0 if found[1] is None else (epoch_ms(now) - epoch_ms(found[1])) / 1000
    return QueueStats(found[0], max(0.0, age), unsettled)
