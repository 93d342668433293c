"""Deliveries that are due, of all tenants: what a worker takes on."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, select, tuple_, update

from keyrack.crypto.envelope import Unsealable
from keyrack.errors import WrongKey
from keyrack.events import Event, EventType, Webhook
from keyrack.ids import new_id
from keyrack.store.claims import any_due, unlocked_due
from keyrack.store.schema import deliveries, events, webhooks
from keyrack.store.unit import Unit
from keyrack.store.webhooks import read_webhook

_WINDOW = 200
_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is ours until its lease ends.

    Attributes:
        tenant_id: whose it is.
        webhook_id: where it goes.
        event: what is told.
        webhook: where it goes, in clear; None if it cannot be opened.
        claim: proves that it is ours.
        attempts: how many there were, this one included.
    """

    tenant_id: str
    webhook_id: str
    event: Event
    webhook: Webhook | None
    claim: str
    attempts: int


class DueDeliveries:
    """Looks across tenants; made from the unit of the installation. What it finds is handed out by tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def any(self) -> bool:
        """Tell whether there is something to do."""
        return await any_due(self._unit, deliveries)

    async def claim(
        self, most: int, per_webhook: int, under_way: Mapping[str, int], lease: timedelta
    ) -> Sequence[ClaimedDelivery]:
        """Take on what is due, the longest due first.

        Args:
            most: how many at most.
            per_webhook: how many may be under way to one webhook, so that a slow one cannot take every place.
            under_way: how many are, by webhook.
            lease: for how long nobody else takes them on.
        """
        taken: list[ClaimedDelivery] = []
        counts = Counter(under_way)
        opened: dict[str, Webhook | None] = {}
        claim = new_id()
        for _ in range(_ROUNDS):
            rows = await self._window([webhook_id for webhook_id, n in counts.items() if n >= per_webhook])
            chosen: list[Row[Any]] = []
            for row in rows:
                if len(taken) + len(chosen) < most and counts[row.id] < per_webhook:
                    counts[row.id] += 1
                    chosen.append(row)
            if chosen:
                await self._mark([(row.id, row.event_id) for row in chosen], claim, lease)
            for row in chosen:
                if row.id not in opened:
                    opened[row.id] = await self._open(row)
                event = Event(row.event_id, row.tenant_id, EventType(row.type), row.data, row.event_created_at)
                taken.append(ClaimedDelivery(row.tenant_id, row.id, event, opened[row.id], claim, row.attempts + 1))
            if len(rows) < _WINDOW or len(taken) >= most:
                break
        return taken

    async def _window(self, full: Sequence[str]) -> "list[Row[Any]]":
        query = (
            select(
                *webhooks.c,
                deliveries.c.event_id,
                deliveries.c.attempts,
                events.c.type,
                events.c.data,
                events.c.created_at.label("event_created_at"),
            )
            .select_from(deliveries)
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .join(events, events.c.id == deliveries.c.event_id)
        )
        if full:
            query = query.where(deliveries.c.webhook_id.not_in(full))
        due = unlocked_due(query, deliveries, self._unit.clock(), _WINDOW)
        return list((await self._unit.connection.execute(due)).all())

    async def _mark(self, pairs: Sequence[tuple[str, str]], claim: str, lease: timedelta) -> None:
        d = deliveries.c
        marked = update(deliveries).where(tuple_(d.webhook_id, d.event_id).in_(pairs))
        values = {"claim": claim, "due_at": self._unit.clock() + lease, "attempts": d.attempts + 1}
        await self._unit.connection.execute(marked.values(values))

    async def _open(self, row: "Row[Any]") -> Webhook | None:
        try:
            return await read_webhook(self._unit.of(row.tenant_id), row)
        except (Unsealable, WrongKey):
            return None
