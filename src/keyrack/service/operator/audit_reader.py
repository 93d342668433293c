"""Reads the audit log for an operator on the command line, and follows it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from keyrack.errors import NotFound
from keyrack.model.audit import AuditEvent
from keyrack.service.audit.log import EXPORT
from keyrack.service.authz.access import ALLOWED
from keyrack.service.authz.operator import operator
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory

_POLL_SECONDS = 1.0
_LATE = timedelta(seconds=60)
"""How much later than its time an event may appear: its transaction took that long, or a server's clock is behind."""


class AuditReader:
    """The audit events of one tenant, or of the installation itself.

    Args:
        store: all data.
        tenant_id: the tenant; None for the installation.
        equal: values that events must have, as `AuditLog.newest` takes them.
    """

    def __init__(self, store: Store, tenant_id: str | None, equal: Mapping[str, str]) -> None:
        self._store = store
        self._tenant_id = tenant_id
        self._equal = equal

    async def newest(self, since: datetime | None, limit: int) -> Sequence[AuditEvent]:
        """Return the latest events, newest first.

        Args:
            since: only events at or after this time.
            limit: how many at most.

        Raises:
            NotFound: there is no such tenant, and there never was one: the log of a tenant outlives it.
        """
        await self._require_tenant()
        return await self._read(since, limit)

    async def follow(self, since: datetime | None, limit: int) -> AsyncIterator[Sequence[AuditEvent]]:
        """Yield the latest events, oldest first, and then, for as long as they are asked for, new ones as they come.

        Looks once a second, and again at the last minute, as events of that time may appear late.

        Args:
            since: only events at or after this time.
            limit: how many to begin with.

        Raises:
            NotFound: as `newest`.
        """
        await self._require_tenant()
        start = self._store.clock() - _LATE
        seen = {event.id for event in await self._written(start)}
        first = await self._read(since, limit)
        seen |= {event.id for event in first}
        yield first[::-1]
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            found = await self._written(start)
            new = [event for event in reversed(found) if event.id not in seen]
            start = max(start, self._store.clock() - _LATE)
            seen = {event.id for event in found}
            if new:
                yield new

    async def note_export(self) -> None:
        """Write down in the log that it is going to be exported.

        Raises:
            NotFound: as `newest`.
        """
        await self._require_tenant()
        tenant_id = self._tenant_id or ""
        async with self._store.unit(tenant_id, writes=True) as unit:
            await AuditLog(unit).append(operator(), EXPORT, ("audit-log", self._tenant_id), ALLOWED)

    async def _read(self, since: datetime | None, limit: int | None) -> Sequence[AuditEvent]:
        async with self._store.unit(self._tenant_id) if self._tenant_id else self._store.installation() as unit:
            return await AuditLog(unit).newest(self._equal, since, limit=limit)

    async def _written(self, since: datetime) -> Sequence[AuditEvent]:
        async with self._store.unit(self._tenant_id) if self._tenant_id else self._store.installation() as unit:
            return await AuditLog(unit).written_since(self._equal, since)

    async def _require_tenant(self) -> None:
        if not self._tenant_id:
            return
        async with self._store.installation() as unit:
            if await Directory(unit).tenant(self._tenant_id) is not None:
                return
        async with self._store.unit(self._tenant_id) as unit:
            if not await AuditLog(unit).newest({}, None, limit=1):
                raise NotFound("there is no such tenant")
