"""Events: written in the transaction of what they tell, so that neither happens without the other."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import Integer, Row, bindparam, select

from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.events import Event, EventType
from keyrack.store.core.paging import page_of
from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.store.deliveries import Deliveries
from keyrack.store.schema import events

_BY_ID = TenantQuery(events, select(*events.c).where(events.c.id == bindparam("id")))


class Outbox(TenantTable):
    """The events of the unit's tenant."""

    table = events

    async def add(self, kind: EventType, data: Json) -> None:
        """Tell that something happened, and put it on its way to every enabled webhook that wants to know.

        Args:
            kind: what.
            data: ids and facts for the receiver; never a secret.
        """
        await self.add_all([(kind, data)])

    async def add_all(self, happened: Sequence[tuple[EventType, Json]]) -> None:
        """Tell of several things in their order, as `add`."""
        if happened:
            ids = await self._record(happened)
            await Deliveries(self.unit).fan_out([(id_, kind) for id_, (kind, _) in zip(ids, happened, strict=True)])

    async def add_with_secret(self, kind: EventType, data: Json, for_receivers: Json) -> None:
        """As `add`, with members that only the webhooks are told that want the event now.

        Args:
            kind: what.
            data: ids and facts that may be listed.
            for_receivers: what only they may know; it is stored encrypted, and not at all if there are none.
        """
        wanted = await Deliveries(self.unit).is_wanted(kind)
        event_id = await self.record(kind, data, for_receivers if wanted else None)
        await Deliveries(self.unit).fan_out([(event_id, kind)])

    async def record(self, kind: EventType, data: Json, for_receivers: Json | None = None) -> str:
        """Store an event that nobody is told of yet; return its id."""
        if for_receivers is None:
            return (await self._record([(kind, data)]))[0]
        event_id = new_id()
        row: dict[str, Any] = {"id": event_id, "type": kind.value, "data": data, "created_at": self.unit.clock()}
        row["sealed_data"] = await self.unit.seal(events, event_id, "sealed_data", for_receivers)
        await self.insert(row)
        return event_id

    async def _record(self, happened: Sequence[tuple[EventType, Json]]) -> Sequence[str]:
        now = self.unit.clock()
        rows = [{"id": new_id(), "type": kind.value, "data": data, "created_at": now} for kind, data in happened]
        await self.insert_each(rows)
        return [str(row["id"]) for row in rows]

    async def find(self, event_id: str) -> Event | None:
        """Return an event, or None."""
        row = await self.ask_one(_BY_ID, id=event_id)
        return None if row is None else _event(row)

    async def page(self, kind: EventType | None, *, limit: int | None, offset: int = 0) -> tuple[Sequence[Event], int]:
        """List events, oldest first, optionally only those of a type; return a page and the number of all."""
        conditions = [] if kind is None else [events.c.type == kind.value]
        query = self.select().where(*conditions).order_by(events.c.id)
        rows, total = await page_of(self.unit.connection, query, events.c.id, limit=limit, offset=offset)
        return [_event(row) for row in rows], total

    async def stretch(
        self, kind: EventType | None, event_id: str | None, *, newest_first: bool, limit: int
    ) -> Sequence[Event]:
        """Read events in their order or the other way round.

        Args:
            kind: only those of this type, if given.
            event_id: of the event before the first one, in the direction of reading; None: begin at the end.
            newest_first: read from newer to older.
            limit: how many at most.
        """
        query = _stretch(of_type=kind is not None, goes_on=event_id is not None, newest_first=newest_first)
        given = {"type": None if kind is None else kind.value, "last": event_id}
        given = {name: value for name, value in given.items() if value is not None}
        return [_event(row) for row in await self.ask(query, most=limit, **given)]


@cache
def _stretch(*, of_type: bool, goes_on: bool, newest_first: bool) -> TenantQuery:
    c, conditions = events.c, []
    if of_type:
        conditions.append(c.type == bindparam("type"))
    if goes_on:
        conditions.append(c.id < bindparam("last") if newest_first else c.id > bindparam("last"))
    query = select(*c).where(*conditions).order_by(c.id.desc() if newest_first else c.id)
    return TenantQuery(events, query.limit(bindparam("most", type_=Integer)), scans=True)


def _event(row: "Row[Any]") -> Event:
    return Event(row.id, row.tenant_id, EventType(row.type), row.data, row.created_at)
