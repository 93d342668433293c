"""Puts committed audit events into the hash chain of their log, a moment after they were written.

Events are written in the transactions that they tell of, side by side, and have no place in the chain at first. Here
they get it, in small transactions of their own: what is committed and has no place is put at the end, in the order of
time, and the new end is signed. An event whose transaction ends late has no place yet and so is found, whatever its
id or time; an event has its place once, since whoever gives places holds the chain's row.
"""

from collections.abc import Sequence
from datetime import timedelta

import structlog

from keyrack.crypto.audit_chain import AuditKey
from keyrack.model.audit import AuditChainHead, AuditEvent, ChainedEvent
from keyrack.service.audit.chain_records import CHECKPOINT, chained, signed_checkpoint
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.store.audit_chain import AuditChain, AuditChains
from keyrack.store.core.store import Store

AT_ONCE = 500
"""Events that are given their places in one transaction."""
_KEPT_ENTRIES = 1000
_KEPT_FOR = timedelta(hours=1)

log = structlog.get_logger()


class AuditChainBroken(Exception):
    """The end of a chain is not what was signed: somebody else has changed it."""


class Chainer:
    """Gives events their places.

    Args:
        store: all data.
        keys: sign.
    """

    def __init__(self, store: Store, keys: SigningKeys) -> None:
        self._store = store
        self._keys = keys
        self._broken: set[str] = set()

    async def tick(self) -> int:
        """Give places to events of all logs, `AT_ONCE` of each; return in how many logs more may be waiting.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        key, owner, unfinished = None, await self._next(None), 0
        while owner is not None:
            key = key or await self._keys.current()
            try:
                unfinished += await self._chain(owner, key) == AT_ONCE
                self._broken.discard(owner)
            except AuditChainBroken:
                if owner not in self._broken:
                    self._broken.add(owner)
                    log.critical("the end of an audit chain was changed by somebody else", tenant_id=owner)
            owner = await self._next(owner)
        return unfinished

    async def finish(self, tenant_id: str) -> None:
        """Give places to all events of one log.

        Raises:
            AuditChainBroken: its end is not what was signed.
            DatabaseUnavailable: the database cannot be reached.
        """
        key = await self._keys.current()
        while await self._chain(tenant_id, key) == AT_ONCE:
            pass

    async def _next(self, last: str | None) -> str | None:
        async with self._store.installation() as unit:
            return await AuditChains(unit).with_tail(last)

    async def _chain(self, tenant_id: str, key: AuditKey) -> int:
        """Give places to some events of a log, all in one transaction; return to how many."""
        async with self._store.unit(tenant_id, writes=True) as unit:
            chain = AuditChain(unit)
            head = await chain.hold()
            if not await self._keys.are_ours(unit, head):
                raise AuditChainBroken
            entries = _placed(tenant_id, head, await chain.tail(AT_ONCE))
            if entries:
                now = unit.clock()
                checkpoint = signed_checkpoint(key, CHECKPOINT, tenant_id, entries[-1], now)
                await chain.place(entries)
                await chain.move(checkpoint)
                enough = checkpoint.sequence - head.kept_sequence >= _KEPT_ENTRIES
                if enough or head.kept_at is None or now - head.kept_at >= _KEPT_FOR:
                    await chain.keep(checkpoint)
        return len(entries)


def _placed(tenant_id: str, head: AuditChainHead, events: Sequence[AuditEvent]) -> list[ChainedEvent]:
    entries: list[ChainedEvent] = []
    sequence, previous = head.sequence, head.hash
    for event in events:
        entry = chained(tenant_id, event, sequence + 1, previous)
        entries.append(entry)
        sequence, previous = entry.sequence, entry.hash
    return entries
