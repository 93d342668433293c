"""Deliveries: which event goes to which webhook, and how far that has come.

Those that are due are found across tenants by `keyrack.store.due_deliveries`.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Integer, Row, bindparam, func, literal, null, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from keyrack.model.events import Delivery, DeliveryState, EventType, wanted_types
from keyrack.store.core.paging import page_of
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import TENANT, TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import deliveries, events, webhooks
from keyrack.store.schema.base import Id, Moment

_PENDING = DeliveryState.pending.value
DISABLED = "disabled"

_d = deliveries.c
_ENDED: dict[str, Any] = {"due_at": null(), "claim": null(), "finished_at": bindparam("now")}


def _replay(*conditions: ColumnElement[bool]) -> Mapping[str, Change]:
    """Return, for each database, what delivers events of the tenant again that are not on their way already."""
    now = bindparam("now", type_=Moment)
    begun: dict[str, ColumnElement[Any]] = {
        "state": literal(_PENDING, _d.state.type),
        "attempts": literal(0, Integer),
        "due_at": now,
    }
    created = {
        "webhook_id": bindparam("webhook", type_=Id),
        "event_id": events.c.id,
        "tenant_id": events.c.tenant_id,
        **begun,
        "created_at": now,
    }
    chosen = select(*created.values()).where(events.c.tenant_id == TENANT, *conditions)
    made = {}
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite)):
        again = dialect.insert(deliveries).from_select(list(created), chosen)
        again = again.on_conflict_do_update(
            index_elements=[_d.webhook_id, _d.event_id],
            set_={**begun, "finished_at": None},
            where=_d.state != _PENDING,
        )
        made[name] = Change(again, scans=True)
    return made


_RECEIVERS = TenantQuery(
    webhooks,
    select(webhooks.c.id, webhooks.c.event_types)
    .where(webhooks.c.enabled)
    .with_for_update(read=True, key_share=True, skip_locked=True),
)
_REPLAY_ONE = _replay(events.c.id == bindparam("event"))
_UNTIL: ColumnElement[Any] = bindparam("until", type_=Moment)
_REPLAY_SINCE = _replay(
    events.c.type.in_(bindparam("kinds", expanding=True)),
    events.c.created_at >= bindparam("since"),
    or_(_UNTIL.is_(None), events.c.created_at < _UNTIL),
)
_GIVING_UP = TenantChange(
    deliveries,
    update(deliveries)
    .where(_d.webhook_id == bindparam("webhook"), _d.state == _PENDING)
    .values(state=DeliveryState.failed.value, last_error=DISABLED, **_ENDED),
    scans=True,
)
_WITH_TYPE = select(*_d, events.c.type.label("event_type")).join(events, events.c.id == _d.event_id)
_ONE = TenantQuery(
    deliveries, _WITH_TYPE.where(_d.webhook_id == bindparam("webhook"), _d.event_id == bindparam("event"))
)
_SOME_IN_STATE = (
    select(_d.event_id)
    .where(_d.tenant_id == TENANT, _d.webhook_id == bindparam("webhook"), _d.state == bindparam("state"))
    .limit(bindparam("most", type_=Integer))
)
_COUNT = Query(select(func.count().label("number")).select_from(_SOME_IN_STATE.subquery()))
_CLAIMED = update(deliveries).where(
    _d.webhook_id == bindparam("webhook"), _d.event_id == bindparam("event"), _d.claim == bindparam("held")
)
_ANSWERED = _CLAIMED.values(last_status=bindparam("answer"), last_error=bindparam("reason"))
_END = TenantChange(deliveries, _ANSWERED.values(state=bindparam("outcome"), **_ENDED))
_POSTPONEMENT = TenantChange(deliveries, _ANSWERED.values(claim=null(), due_at=bindparam("due")))


class Deliveries(TenantTable):
    """The deliveries of the unit's tenant."""

    table = deliveries

    async def fan_out(self, new: Sequence[tuple[str, EventType]]) -> None:
        """Put new events on their way to every enabled webhook that wants their types.

        One indexed query for a tenant without webhooks. A webhook that is being deleted at this moment is passed over
        instead of waited for: whoever tells of an event must neither wait nor fail because of a receiver.

        Args:
            new: ids and types.
        """
        for row in await self.ask(_RECEIVERS):
            for event_id, kind in new:
                if kind in wanted_types(row.event_types):
                    await self.add(row.id, event_id)

    async def is_wanted(self, kind: EventType) -> bool:
        """Tell whether an enabled webhook wants events of a type."""
        return any(kind in wanted_types(row.event_types) for row in await self.ask(_RECEIVERS))

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
        return await self._deliver_again(
            _REPLAY_SINCE, webhook=webhook_id, kinds=sorted(kinds), since=since, until=until
        )

    async def replay_one(self, webhook_id: str, event_id: str) -> int:
        """Deliver one event again; return 1, or 0 if it is on its way already."""
        return await self._deliver_again(_REPLAY_ONE, webhook=webhook_id, event=event_id)

    async def end_pending(self, webhook_id: str) -> None:
        """Give up what is on its way to a webhook that has been disabled."""
        await self.make(_GIVING_UP, webhook=webhook_id, now=self.unit.clock())

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
        mine = {"webhook": webhook_id, "event": event_id, "held": claim, "answer": status, "reason": error}
        if due_at is not None and not delivered:
            return await self.make(_POSTPONEMENT, **mine, due=due_at) == 1
        outcome = DeliveryState.delivered if delivered else DeliveryState.failed
        return await self.make(_END, **mine, outcome=outcome.value, now=self.unit.clock()) == 1

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

    async def stretch(
        self, webhook_id: str, state: DeliveryState | None, event_id: str | None, *, newest_first: bool, limit: int
    ) -> Sequence[Delivery]:
        """Read a webhook's deliveries in the order of the events or the other way round.

        Args:
            webhook_id: the webhook.
            state: only those in this state, if given.
            event_id: of the delivery before the first one, in the direction of reading; None: begin at the end.
            newest_first: read from newer to older.
            limit: how many at most.
        """
        query = _stretch(in_state=state is not None, goes_on=event_id is not None, newest_first=newest_first)
        given = {"webhook": webhook_id, "state": None if state is None else state.value, "last": event_id}
        given = {name: value for name, value in given.items() if value is not None}
        return [_delivery(row) for row in await self.ask(query, most=limit, **given)]

    async def find(self, webhook_id: str, event_id: str) -> Delivery | None:
        """Return the delivery of an event to a webhook, or None."""
        row = await self.ask_one(_ONE, webhook=webhook_id, event=event_id)
        return None if row is None else _delivery(row)

    async def count(self, webhook_id: str, state: DeliveryState, most: int) -> int:
        """Return how many deliveries of a webhook are in a state, counted no further than `most`."""
        given = {"webhook": webhook_id, "state": state.value, "most": most}
        (row,) = await _COUNT.rows(self.unit.connection, tenant_id=self.unit.tenant_id, **given)
        return int(row.number)

    async def _deliver_again(self, replay: Mapping[str, Change], **values: Any) -> int:
        connection = self.unit.connection
        made = replay[connection.dialect.name]
        return await made.run(connection, tenant_id=self.unit.tenant_id, now=self.unit.clock(), **values)


@cache
def _stretch(*, in_state: bool, goes_on: bool, newest_first: bool) -> TenantQuery:
    conditions = [_d.webhook_id == bindparam("webhook")]
    if in_state:
        conditions.append(_d.state == bindparam("state"))
    if goes_on:
        conditions.append(_d.event_id < bindparam("last") if newest_first else _d.event_id > bindparam("last"))
    query = _WITH_TYPE.where(*conditions).order_by(_d.event_id.desc() if newest_first else _d.event_id)
    return TenantQuery(deliveries, query.limit(bindparam("most", type_=Integer)), scans=True)


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
