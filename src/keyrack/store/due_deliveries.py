"""Deliveries that are due, of all tenants, for a worker to claim."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, bindparam, or_, select, tuple_, update

from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import WrongKey
from keyrack.fair_share import Places
from keyrack.ids import new_id
from keyrack.model.events import Event, EventType, Webhook
from keyrack.store.core.claims import WINDOW, any_due, chosen_fairly, may_take, unlocked_due, with_keys
from keyrack.store.core.statements import Change
from keyrack.store.core.unit import Unit
from keyrack.store.schema import deliveries, events, webhooks
from keyrack.store.webhooks import read_webhook

_d = deliveries.c

_CLAIMING = Change(
    update(deliveries)
    .where(tuple_(_d.webhook_id, _d.event_id).in_(bindparam("pairs", expanding=True)))
    .values(claim=bindparam("name"), due_at=bindparam("until"), attempts=_d.attempts + 1)
)


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is ours until its lease ends.

    Attributes:
        tenant_id: whose it is.
        webhook_id: where it goes.
        event: what is told.
        webhook: where it goes, in clear; None if it, or what is told, cannot be opened.
        claim: proves that it is ours.
        attempts: how many there were, this one included.
        slow: it failed before, or others to its webhook did lately.
    """

    tenant_id: str
    webhook_id: str
    event: Event
    webhook: Webhook | None
    claim: str
    attempts: int
    slow: bool = False

    @property
    def target_id(self) -> str:
        """The webhook: what deliveries under way are counted by."""
        return self.webhook_id


class DueDeliveries:
    """Looks across tenants; made from the unit of the installation. What it finds is handed out by tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def any(self) -> bool:
        """Tell whether there is something to do."""
        return await any_due(self._unit, deliveries)

    async def claim(
        self, places: Places, per_webhook: int, under_way: Mapping[str, int], lease: timedelta, slow: Collection[str]
    ) -> Sequence[ClaimedDelivery]:
        """Take on what is due: the longest due first, of each tenant no more than its share.

        Args:
            places: how many can be worked on, and who holds how many of them; what is claimed takes its places there.
            per_webhook: how many may be under way to one webhook, so that a slow one cannot take every place.
            under_way: how many are, by webhook.
            lease: for how long nobody else takes them on.
            slow: webhooks that failed or hung lately; what failed before counts as slow in any case.
        """
        counts = Counter(under_way)
        opened: dict[str, Webhook | None] = {}
        claim = new_id()
        seen: list[tuple[str, str]] = []

        async def window() -> Sequence[Row[Any]]:
            full = [webhook_id for webhook_id, n in counts.items() if n >= per_webhook]
            rows = await self._window(places, full, slow, seen)
            seen.extend((row.id, row.event_id) for row in rows)
            return rows

        def takes(row: Row[Any]) -> bool:
            if counts[row.id] >= per_webhook or not places.take(row.tenant_id, slow=bool(row.slow)):
                return False
            counts[row.id] += 1
            return True

        chosen = await chosen_fairly(window, takes, places)
        if chosen:
            pairs = [(row.id, row.event_id) for row in chosen]
            await _CLAIMING.run(self._unit.connection, pairs=pairs, name=claim, until=self._unit.clock() + lease)
        chosen = await with_keys(self._unit, chosen, places)
        for row in chosen:
            if row.id not in opened:
                opened[row.id] = await self._open(row)
        return [
            ClaimedDelivery(
                row.tenant_id,
                row.id,
                *await self._event(row, opened[row.id]),
                claim,
                row.attempts + 1,
                slow=bool(row.slow),
            )
            for row in chosen
        ]

    async def _window(
        self, places: Places, full: Sequence[str], slow: Collection[str], seen: Sequence[tuple[str, str]]
    ) -> "Sequence[Row[Any]]":
        failed = or_(deliveries.c.attempts > 0, deliveries.c.webhook_id.in_(sorted(slow)))
        query = (
            select(
                *webhooks.c,
                deliveries.c.event_id,
                deliveries.c.attempts,
                events.c.type,
                events.c.data,
                events.c.sealed_data,
                events.c.created_at.label("event_created_at"),
                failed.label("slow"),
            )
            .select_from(deliveries)
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .join(events, events.c.id == deliveries.c.event_id)
        )
        if full:
            query = query.where(deliveries.c.webhook_id.not_in(full))
        if seen:
            query = query.where(tuple_(deliveries.c.webhook_id, deliveries.c.event_id).not_in(seen))
        query = query.where(*may_take(places, deliveries.c.tenant_id, failed))
        due = unlocked_due(query, deliveries, self._unit.clock(), WINDOW)
        rows: Sequence[Row[Any]] = (await self._unit.connection.execute(due)).all()
        return rows

    async def _open(self, row: "Row[Any]") -> Webhook | None:
        try:
            return await read_webhook(self._unit.of_tenant(row.tenant_id), row)
        except (DecryptionFailed, WrongKey):
            return None

    async def _event(self, row: "Row[Any]", webhook: Webhook | None) -> tuple[Event, Webhook | None]:
        """Return what is told and where it goes; nowhere if what is told cannot be opened."""
        event = Event(row.event_id, row.tenant_id, EventType(row.type), row.data, row.event_created_at)
        if row.sealed_data is None:
            return event, webhook
        unit = self._unit.of_tenant(row.tenant_id)
        try:
            secret = await unit.open(events, row.event_id, "sealed_data", row.sealed_data)
        except (DecryptionFailed, WrongKey):
            return event, None
        return replace(event, for_receivers=secret), webhook
