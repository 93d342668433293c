"""Removes old audit events, and signs where a log was cut, so that the rest can still be verified (docs/audit.md)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

from keyrack.crypto.audit_chain import AuditKey
from keyrack.service.audit.chain_records import CUT, signed_checkpoint
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.store.audit_chain import AuditChain, AuditChains
from keyrack.store.core.store import Store

_AT_ONCE = 500
_OWNERS = 200


class AuditRetention:
    """Cuts logs at their beginnings.

    Args:
        store: all data.
        keys: sign the cuts.
        days: how long events are kept (`KEYRACK_AUDIT_RETENTION_DAYS`); 0: for ever.
    """

    def __init__(self, store: Store, keys: SigningKeys, days: int) -> None:
        self._store = store
        self._keys = keys
        self._kept = timedelta(days=days) if days else None

    async def reap(self) -> int:
        """Remove what is old enough from all logs, in small transactions; return how many events.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        if self._kept is None:
            return 0
        before, total, last = self._store.clock() - self._kept, 0, None
        while owners := await self._owners(last):
            for owner in owners:
                key = await self._keys.current()
                removed = _AT_ONCE
                while removed == _AT_ONCE:
                    removed = await self._cut(owner, key, before)
                    total += removed
            last = owners[-1]
        return total

    async def _owners(self, last: str | None) -> Sequence[str]:
        async with self._store.installation() as unit:
            return await AuditChains(unit).owners(last, _OWNERS)

    async def _cut(self, tenant_id: str, key: AuditKey, before: datetime) -> int:
        """Remove some entries from before a time, up to the first one that is newer; return how many."""
        async with self._store.unit(tenant_id, writes=True) as unit:
            chain = AuditChain(unit)
            head = await chain.hold()
            if not await self._keys.are_ours(unit, head):
                return 0  # what somebody has changed is evidence
            begin = 0 if head.cut is None else head.cut.sequence
            old = list(
                takewhile(lambda entry: entry.event.at < before, await chain.entries(begin, head.sequence, _AT_ONCE))
            )
            if not old:
                return 0
            await chain.cut(signed_checkpoint(key, CUT, tenant_id, old[-1], unit.clock()))
        return len(old)
