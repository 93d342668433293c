"""Deletes old rows of all tenants: events, and finished deliveries, revocations, attempts and consents."""

from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, CursorResult, Table, delete, exists, select, tuple_

from keyrack.store.core.unit import Unit
from keyrack.store.schema import attempts, consents, deliveries, events, revocations

BATCH = 1000


class ExpiredRows:
    """Looks across tenants, at times alone; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def forget_deliveries(self, before: datetime) -> int:
        """Delete at most `BATCH` deliveries that were finished before a time; return how many."""
        return await self._forget(deliveries, deliveries.c.finished_at < before)

    async def forget_revocations(self, before: datetime) -> int:
        """Delete at most `BATCH` revocations that were finished before a time; return how many."""
        return await self._forget(revocations, revocations.c.finished_at < before)

    async def forget_events(self, before: datetime) -> int:
        """Delete at most `BATCH` events from before a time that are on their way nowhere; return how many."""
        told = exists().where(deliveries.c.event_id == events.c.id)
        return await self._forget(events, (events.c.created_at < before) & ~told)

    async def forget_attempts(self, before: datetime) -> int:
        """Delete at most `BATCH` attempts at tokens whose fate was settled before a time; return how many."""
        return await self._forget(attempts, attempts.c.settled_at < before)

    async def forget_consents(self, before: datetime) -> int:
        """Delete at most `BATCH` consents that expired before a time and wait for nothing; return how many."""
        awaited = exists().where(attempts.c.subject_id == consents.c.id, attempts.c.settled_at.is_(None))
        return await self._forget(consents, (consents.c.expires_at < before) & ~awaited)

    async def _forget(self, table: Table, old: ColumnElement[bool]) -> int:
        key = tuple_(*table.primary_key.columns)
        chosen = select(*table.primary_key.columns).where(old).limit(BATCH)
        done = await self._unit.connection.execute(delete(table).where(key.in_(chosen)))
        return cast("CursorResult[object]", done).rowcount
