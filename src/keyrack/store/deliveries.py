"""Deliveries: which event goes to which webhook, and how far that has come.

Those that are due are found across tenants by `keyrack.store.due_deliveries`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, String, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from keyrack.model.events import Delivery, DeliveryState, EventType, wanted_types
from keyrack.store.core.paging import page_of
from keyrack.store.core.unit import TenantTable
from keyrack.store.schema import deliveries, events, webhooks
from keyrack.store.schema.base import Moment

_PENDING = DeliveryState.pending.value
DISABLED = "disabled"


class Deliveries(TenantTable):
    """The deliveries of the unit's tenant."""

    table = deliveries

    async def fan_out(self, event_id: str, kind: EventType) -> None:
        """Put a new event on its way to every enabled webhook that wants its type.

        One indexed query for a tenant without webhooks. A webhook that is being deleted at this moment is passed over
        instead of waited for: whoever tells of an event must neither wait nor fail because of a receiver.
        """
        asked = select(webhooks.c.id, webhooks.c.event_types).where(
            webhooks.c.tenant_id == self.unit.tenant_id, webhooks.c.enabled
        )
        for row in await self.all(asked.with_for_update(read=True, key_share=True, skip_locked=True)):
            if kind in wanted_types(row.event_types):
                await self.add(row.id, event_id)

    async def add(self, webhook_id: str, event_id: str) -> None:
        """Put an event on its way to a webhook, at once."""
        now = self.unit.clock()
        await self.insert(
            {
                "webhook_id": webhook_id, "event_id": event_id, "state": _PENDING, "attempts": 0, "due_at": now,
                "created_at": now,
            }
        )  # fmt: skip

    async def replay_since(
        self, webhook_id: str, kinds: Iterable[EventType], since: datetime, until: datetime | None
    ) -> int:
        """Deliver again what happened from `since` on and before `until`; return how many events go out."""
        conditions = [events.c.type.in_(sorted(kinds)), events.c.created_at >= since]
        if until is not None:
            conditions.append(events.c.created_at < until)
        return await self._replay(webhook_id, *conditions)

    async def replay_one(self, webhook_id: str, event_id: str) -> int:
        """Deliver one event again; return 1, or 0 if it is on its way already."""
        return await self._replay(webhook_id, events.c.id == event_id)

    async def end_pending(self, webhook_id: str) -> None:
        """Give up what is on its way to a webhook that has been disabled."""
        d = deliveries.c
        pending = self.update().where(d.webhook_id == webhook_id, d.state == _PENDING)
        await self.run(pending.values(_ended(DeliveryState.failed, self.unit.clock()) | {"last_error": DISABLED}))

    async def settle(
        self,
        webhook_id: str,
        event_id: str,
        claim: str,
        *,
        delivered: bool,
        due_at: datetime | None,
        status: int | None,
        error: str | None,
    ) -> bool:
        """Note what came of an attempt, unless somebody else has taken the delivery over.

        Args:
            webhook_id: where it went.
            event_id: what went there.
            claim: the claim under which the attempt was made.
            delivered: the receiver took it.
            due_at: when to try again; None to leave it at that.
            status: HTTP status of the answer, if there was one.
            error: why it failed, in a word.

        Returns:
            Whether the claim still held.
        """
        values: dict[str, Any] = {"last_status": status, "last_error": error, "claim": None, "due_at": due_at}
        if delivered:
            values |= _ended(DeliveryState.delivered, self.unit.clock())
        elif due_at is None:
            values |= _ended(DeliveryState.failed, self.unit.clock())
        d = deliveries.c
        mine = self.update().where(d.webhook_id == webhook_id, d.event_id == event_id, d.claim == claim)
        return await self.run(mine.values(values)) == 1

    async def page(
        self, webhook_id: str, state: DeliveryState | None, *, limit: int | None, offset: int = 0
    ) -> tuple[Sequence[Delivery], int]:
        """List a webhook's deliveries in the order of the events; return a page and the number of all."""
        d = deliveries.c
        conditions = [d.webhook_id == webhook_id]
        if state is not None:
            conditions.append(d.state == state.value)
        query = (
            self.select(*d, events.c.type.label("event_type"))
            .join(events, events.c.id == d.event_id)
            .where(*conditions)
            .order_by(d.event_id)
        )
        rows, total = await page_of(self.unit.connection, query, d.event_id, limit=limit, offset=offset)
        return [_delivery(row) for row in rows], total

    async def _replay(self, webhook_id: str, *conditions: ColumnElement[bool]) -> int:
        now = self.unit.clock()
        begun: dict[str, ColumnElement[Any]] = {
            "state": literal(_PENDING, String),
            "attempts": literal(0, Integer),
            "due_at": literal(now, Moment),
        }
        created = {
            "webhook_id": literal(webhook_id, String),
            "event_id": events.c.id,
            "tenant_id": events.c.tenant_id,
            **begun,
            "created_at": literal(now, Moment),
        }
        chosen = select(*created.values()).where(events.c.tenant_id == self.unit.tenant_id, *conditions)
        dialect = postgresql if self.unit.connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(deliveries).from_select(list(created), chosen)
        again = statement.on_conflict_do_update(
            index_elements=[deliveries.c.webhook_id, deliveries.c.event_id],
            set_={**begun, "finished_at": None},
            where=deliveries.c.state != _PENDING,
        )
        return await self.run(again)


def _ended(state: DeliveryState, now: datetime) -> dict[str, Any]:
    return {"state": state.value, "due_at": None, "claim": None, "finished_at": now}


def _delivery(row: "Row[Any]") -> Delivery:
    return Delivery(
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        event_type=EventType(row.event_type),
        state=DeliveryState(row.state),
        attempts=row.attempts,
        due_at=row.due_at,
        last_status=row.last_status,
        last_error=row.last_error,
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
