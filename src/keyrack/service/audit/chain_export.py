"""Writes an audit log with its chain and checkpoints as JSON lines, a few at a time (docs/audit.md)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

from keyrack.crypto.audit_chain import BEFORE_THE_FIRST
from keyrack.model.audit import AuditChainHead, Checkpoint
from keyrack.service.audit.chain_records import (
    CHECKPOINT,
    CUT,
    END,
    checkpoint_line,
    entry_line,
    header_line,
    key_line,
    signed_checkpoint,
)
from keyrack.service.audit.chainer import AuditChainBroken, Chainer
from keyrack.service.audit.counted_acts import AuditHours
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.store.audit_chain import AuditChain
from keyrack.store.core.store import Store

_AT_ONCE = 500
"""Entries that are in memory at a time."""


class ChainExport:
    """Exports whole logs.

    Args:
        store: all data.
        keys: sign the end of a file.
        chainer: gives events their places first, so that all there are until now are in the file.
        hours: writes down first what was counted until now.
    """

    def __init__(self, store: Store, keys: SigningKeys, chainer: Chainer, hours: AuditHours) -> None:
        self._store = store
        self._keys = keys
        self._chainer = chainer
        self._hours = hours

    async def lines(
        self, tenant_id: str, may_read: Callable[[], Awaitable[None]] | None = None
    ) -> AsyncIterator[bytes]:
        """Yield the lines of a file, several at a time.

        What the database has is written as it is. Whoever reads it finds out whether it is right; only its end is
        signed here, and only if it is one that we signed before. If it is not, or entries are missing at the end, the
        file has no end either.

        Args:
            tenant_id: whose log; empty: the installation's own.
            may_read: asked before each stretch, raises if the caller may no longer read the log.
        """
        await self._hours.write_now(tenant_id)
        with suppress(AuditChainBroken):  # what there is is written all the same
            await self._chainer.finish(tenant_id)
        async with self._store.unit(tenant_id) as unit:
            head = await AuditChain(unit).head()
            is_ours = await self._keys.are_ours(unit, head)
            now = unit.clock()
        current = await self._keys.current()
        keys = await self._keys.all()
        begin = [header_line(tenant_id), *(key_line(stored.key.id, stored.key.public) for stored in keys)]
        if head.cut is not None:  # signed by the key in use, which is the one that whoever verifies has
            cut = signed_checkpoint(current, CUT, tenant_id, head.cut, head.cut.at) if is_ours else head.cut
            begin.append(checkpoint_line(CUT, tenant_id, cut))
        yield b"".join(begin)
        last = Checkpoint(0, BEFORE_THE_FIRST, now, "", b"") if head.cut is None else head.cut
        reached, hashed = last.sequence, last.hash
        while reached < head.sequence:
            if may_read is not None:
                await may_read()
            lines, reached_now, hashed = await self._stretch(tenant_id, head, reached, hashed)
            yield lines
            if reached_now == reached:
                return  # entries are gone that were there
            reached = reached_now
        if is_ours:
            kept = head.checkpoint or last
            yield checkpoint_line(END, tenant_id, signed_checkpoint(current, END, tenant_id, kept, now))

    async def _stretch(
        self, tenant_id: str, head: AuditChainHead, reached: int, hashed: bytes
    ) -> tuple[bytes, int, bytes]:
        async with self._store.unit(tenant_id) as unit:
            chain = AuditChain(unit)
            entries = await chain.entries(reached, head.sequence, _AT_ONCE)
            upto = entries[-1].sequence if entries else reached
            checkpoints = await chain.checkpoints(reached, upto)
        lines, waiting = list[bytes](), list(reversed(checkpoints))
        for entry in entries:
            lines.append(entry_line(tenant_id, entry, hashed))
            hashed = entry.hash
            while waiting and waiting[-1].sequence <= entry.sequence:
                lines.append(checkpoint_line(CHECKPOINT, tenant_id, waiting.pop()))
        return b"".join(lines), upto, hashed
