"""Sends the entries of the audit logs to a collector, each at least once and in the order of its log.

How far each log has been sent is kept in the database. A batch is sent without a transaction, and the position moved on
when the collector has taken it: who is killed in between, or gets no answer, sends it again. Nothing else waits for it.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Protocol

import structlog

from keyrack.service.audit.ocsf import ocsf_event
from keyrack.store.audit_chain import AuditChain
from keyrack.store.audit_sent import AuditSent, LogsToSend
from keyrack.store.core.store import Store

AT_ONCE = 200
"""Entries of a batch."""
_LOGS = 50
_CLAIMED_FOR = timedelta(seconds=90)
"""Longer than sending a batch takes."""
_TRIED_AGAIN_AFTER = timedelta(seconds=5)

log = structlog.get_logger()


class Collector(Protocol):
    """Takes events of OCSF."""

    async def send(self, events: Sequence[Mapping[str, Any]]) -> bool:
        """Send events; tell whether they were taken. Never raises, and ends within a minute."""


class AuditSink:
    """Sends.

    Args:
        store: all data.
        collector: where to.
    """

    def __init__(self, store: Store, collector: Collector) -> None:
        self._store = store
        self._collector = collector
        self._is_away = False

    async def tick(self) -> int:
        """Send a batch of each log that has entries to send; return in how many logs there may be more.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        async with self._store.installation() as unit:
            owners = await LogsToSend(unit).behind(_LOGS)
        unfinished = 0
        for owner in owners:
            sent = await self._send(owner)
            if sent is None:
                return 0  # the collector is away for the others too
            unfinished += sent == AT_ONCE
        return unfinished

    async def _send(self, tenant_id: str) -> int | None:
        """Send a batch of a log; return how many entries, or None: they were not taken."""
        async with self._store.unit(tenant_id, writes=True) as unit:
            after = await AuditSent(unit).claim(unit.clock() + _CLAIMED_FOR)
            if after is None:
                return 0  # somebody else is sending it
            head = await AuditChain(unit).head()
            entries = await AuditChain(unit).entries(after, head.sequence, AT_ONCE)
        reached = entries[-1].sequence if entries else head.sequence  # else all of it has been removed
        if entries and entries[0].sequence > after + 1:
            log.warning(
                "audit entries were removed before they were sent",
                tenant_id=tenant_id,
                entries=entries[0].sequence - after - 1,
            )
        if entries and not await self._collector.send([ocsf_event(tenant_id, entry) for entry in entries]):
            if not self._is_away:
                log.warning("the collector does not take audit entries; they are sent when it does")
            self._is_away = True
            async with self._store.unit(tenant_id, writes=True) as unit:
                await AuditSent(unit).release(unit.clock() + _TRIED_AGAIN_AFTER)
            return None
        if self._is_away:
            log.info("the collector takes audit entries again")
        self._is_away = False
        async with self._store.unit(tenant_id, writes=True) as unit:
            await AuditSent(unit).sent(reached)
        return len(entries)
