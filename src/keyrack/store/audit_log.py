"""The audit log: who did what, written in the transaction that did it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select

from keyrack.ids import new_id
from keyrack.model.audit import AuditEvent
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.store.core.paging import page_of
from keyrack.store.core.unit import TenantTable
from keyrack.store.schema import audit_events

_ADDRESS_LENGTH, _REQUEST_ID_LENGTH = 64, 128


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
                "address": who.address[:_ADDRESS_LENGTH] if who.address else None,
                "request_id": who.request_id[:_REQUEST_ID_LENGTH] if who.request_id else None,
            }
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
        return [_event(row) for row in rows], total

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
        return [_event(row) for row in await self.all(query.limit(limit))]

    def _matching(self, equal: Mapping[str, str], since: datetime | None, until: datetime | None) -> "Select[Any]":
        conditions = [self.table.c[name] == value for name, value in equal.items()]
        if since is not None:
            conditions.append(self.table.c.at >= since)
        if until is not None:
            conditions.append(self.table.c.at < until)
        return self.select().where(*conditions)


def _event(row: "Row[Any]") -> AuditEvent:
    return AuditEvent(
        row.id, row.at, row.actor, PrincipalKind(row.actor_kind), row.action, row.target_type, row.target_id,
        row.outcome, row.address, row.request_id,
    )  # fmt: skip
