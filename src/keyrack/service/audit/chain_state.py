"""Tells how the chains of audit logs stand: where they end, what waits for its place, whether their ends are ours."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from keyrack.model.audit import Checkpoint
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.store.audit_chain import AuditChain, AuditChains
from keyrack.store.core.store import Store

_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class ChainState:
    """How one chain stands.

    Attributes:
        tenant_id: whose log; empty: the installation's own.
        sequence: the number of the last entry; 0: there is none.
        checkpoint: of the last entry; None: there is none.
        cut: of the last entry that retention removed; None: it removed none.
        is_genuine: whether these two are signed with our keys.
        waiting: events that have no place in it yet, 10,000 at most.
        oldest_waiting: the time of the oldest of these.
    """

    tenant_id: str
    sequence: int
    checkpoint: Checkpoint | None
    cut: Checkpoint | None
    is_genuine: bool
    waiting: int
    oldest_waiting: datetime | None


class ChainStates:
    """Looks at chains.

    Args:
        store: all data.
        keys: the keys that are ours.
    """

    def __init__(self, store: Store, keys: SigningKeys) -> None:
        self._store = store
        self._keys = keys

    async def of(self, tenant_id: str) -> ChainState:
        """Return how the chain of a log stands."""
        async with self._store.unit(tenant_id) as unit:
            chain = AuditChain(unit)
            head = await chain.head()
            waiting, oldest = await chain.waiting()
            genuine = await self._keys.are_ours(unit, head)
        return ChainState(tenant_id, head.sequence, head.checkpoint, head.cut, genuine, waiting, oldest)

    async def all(self) -> AsyncIterator[ChainState]:
        """Yield the chains of the installation, its own first."""
        last: str | None = None
        while True:
            async with self._store.installation() as unit:
                owners = await AuditChains(unit).owners(last, _AT_ONCE)
            for owner in owners:
                yield await self.of(owner)
            if len(owners) < _AT_ONCE:
                return
            last = owners[-1]
