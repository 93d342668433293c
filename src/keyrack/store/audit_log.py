"""The audit log: who did what, written in the transaction that did it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Integer, Select, bindparam, select, tuple_

from keyrack.ids import first_id_at, new_id
from keyrack.model.audit import AuditEvent, AuditFilter, AuditPosition, CountedEvent
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.store.core.paging import page_of
from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.store.schema import audit_events
from keyrack.store.schema.base import Id, Moment

ADDRESS_LENGTH, _REQUEST_ID_LENGTH = 64, 128
_EQUAL = ("actor", "action", "target_type", "target_id", "outcome", "address", "request_id")

_e = audit_events.c


class AuditLog(TenantTable):
    """A tenant's audit events; the installation's own in the unit of the installation."""

    table = audit_events

    async def append(self, who: Principal, action: str, target: tuple[str, str | None], outcome: str) -> None:
        """Write down that `who` did `action` to `target` (type and id), with what outcome."""
        await self.insert(
            {
                "id": new_id(),
                "at": self.unit.clock(),
                "actor": who.name,
                "actor_kind": who.kind.value,
                "action": action,
                "target_type": target[0],
                "target_id": target[1],
                "outcome": outcome,
                "address": who.address[:ADDRESS_LENGTH] if who.address else None,
                "request_id": who.request_id[:_REQUEST_ID_LENGTH] if who.request_id else None,
            }
        )

    async def append_counted(self, events: Sequence[CountedEvent]) -> None:
        """Write down what was counted."""
        await self.insert_each(
            [
                {
                    "id": new_id(),
                    "at": each.last_at,
                    "actor": each.what.actor,
                    "actor_kind": each.what.actor_kind.value,
                    "action": each.what.action,
                    "target_type": each.what.target_type,
                    "target_id": each.what.target_id,
                    "outcome": each.what.outcome,
                    "address": each.what.address,
                    "times": each.times,
                    "first_at": each.first_at,
                }
                for each in events
            ]
        )

    async def page(
        self,
        equal: Mapping[str, str],
        since: datetime | None,
        until: datetime | None,
        *,
        limit: int | None,
        offset: int = 0,
    ) -> tuple[Sequence[AuditEvent], int]:
        """List events, oldest first.

        Args:
            equal: values that `actor`, `action`, `target_id`, `target_type`, `outcome` or `request_id` must have.
            since: only events at or after this time.
            until: only events before this time.
            limit: how many at most; None for all.
            offset: how many to pass over.

        Returns:
            The events of the page and the number of all that match.
        """
        query = self._matching(equal, since, until).order_by(self.table.c.at, self.table.c.id)
        rows, total = await page_of(self.unit.connection, query, self.table.c.id, limit=limit, offset=offset)
        return [event_of(row) for row in rows], total

    async def newest(
        self, equal: Mapping[str, str], since: datetime | None, *, limit: int | None
    ) -> Sequence[AuditEvent]:
        """List events, newest first, without counting all there are.

        Args:
            equal: as in `page`.
            since: only events at or after this time.
            limit: how many at most; None for all.
        """
        query = self._matching(equal, since, None).order_by(self.table.c.at.desc(), self.table.c.id.desc())
        return [event_of(row) for row in await self.all(query.limit(limit))]

    async def written_since(self, equal: Mapping[str, str], since: datetime) -> Sequence[AuditEvent]:
        """List events that were written at or after a time, whatever time they tell, newest first.

        Args:
            equal: as in `page`.
            since: the time; ids sort by the time they were made.
        """
        query = self._matching(equal, None, None).where(_e.id >= first_id_at(since))
        return [event_of(row) for row in await self.all(query.order_by(_e.at.desc(), _e.id.desc()))]

    async def stretch(
        self, wanted: AuditFilter, begin: AuditPosition | None, *, newest_first: bool, limit: int
    ) -> Sequence[AuditEvent]:
        """Read events in their order or the other way round, from anywhere in the log as quickly as from its end.

        Args:
            wanted: which.
            begin: where the event before the first one is, in the direction of reading; None: begin at the end.
            newest_first: read from newer to older.
            limit: how many at most.
        """
        equal = {name: value for name in _EQUAL if (value := getattr(wanted, name)) is not None}
        times = {name: value for name in ("since", "until") if (value := getattr(wanted, name)) is not None}
        query = _stretch(frozenset({*equal, *times}), goes_on=begin is not None, newest_first=newest_first)
        last = {} if begin is None else {"last_at": begin.at, "last_id": begin.id}
        return [event_of(row) for row in await self.ask(query, most=limit, **equal, **times, **last)]

    def _matching(self, equal: Mapping[str, str], since: datetime | None, until: datetime | None) -> "Select[Any]":
        conditions = [self.table.c[name] == value for name, value in equal.items()]
        if since is not None:
            conditions.append(self.table.c.at >= since)
        if until is not None:
            conditions.append(self.table.c.at < until)
        return self.select().where(*conditions)


@cache
def _stretch(given: frozenset[str], *, goes_on: bool, newest_first: bool) -> TenantQuery:
    """Return the query for events that are narrowed by these members of `AuditFilter`, made once for each set."""
    conditions = [_e[name] == bindparam(name) for name in _EQUAL if name in given]
    if "since" in given:
        conditions.append(_e.at >= bindparam("since"))
    if "until" in given:
        conditions.append(_e.at < bindparam("until"))
    here, last = tuple_(_e.at, _e.id), tuple_(bindparam("last_at", type_=Moment), bindparam("last_id", type_=Id))
    if goes_on:
        conditions.append(here < last if newest_first else here > last)
    order = (_e.at.desc(), _e.id.desc()) if newest_first else (_e.at, _e.id)
    query = select(*_e).where(*conditions).order_by(*order).limit(bindparam("most", type_=Integer))
    return TenantQuery(audit_events, query, scans=True)


def event_of(row: Any) -> AuditEvent:
    """Return a row of `audit_events` as a value."""
    return AuditEvent(
        row.id, row.at, row.actor, PrincipalKind(row.actor_kind), row.action, row.target_type, row.target_id,
        row.outcome, row.address, row.request_id, row.times, row.first_at, row.sequence,
        None if row.entry_hash is None else bytes(row.entry_hash),
    )  # fmt: skip
