"""The keys that sign checkpoints of audit chains: the one in use, those from before, and their exchange."""

from collections.abc import Sequence

from keyrack.crypto.audit_chain import AuditKey, is_signed
from keyrack.errors import AlreadyExists
from keyrack.model.audit import AuditChainHead, Checkpoint
from keyrack.model.identity import Principal
from keyrack.service.audit.chain_records import CHECKPOINT, CUT, checkpoint_record
from keyrack.store.audit_keys import AuditKeys, StoredAuditKey
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit

_ROTATE = "audit-key.rotate"


class SigningKeys:
    """Keeps keys in memory that have been opened.

    Args:
        store: where they are, sealed for the installation.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, AuditKey] = {}

    async def all(self) -> Sequence[StoredAuditKey]:
        """Return all keys, the oldest first; the last one signs.

        Raises:
            DecryptionFailed, WrongKey: one was not sealed here.
        """
        async with self._store.installation() as unit:
            return await self._load(unit)

    async def current(self) -> AuditKey:
        """Return the key that signs; the first one is made when it is needed."""
        async with self._store.installation() as unit:
            key_id = await AuditKeys(unit).in_use()
        if key_id is None:
            return await self._first()
        if key_id not in self._known:
            await self.all()
        return self._known[key_id]

    async def rotate(self, who: Principal) -> AuditKey:
        """Let a new key sign from now on, which the installation's audit log tells; return it.

        A process that is signing at this moment may sign once more with the one before.

        Raises:
            AlreadyExists: somebody else is doing the same at this moment.
        """
        await self.current()  # what was signed before there was a key has none to name
        key = AuditKey.generate()
        async with self._store.installation(writes=True) as unit:
            await AuditKeys(unit).replace(key)
            await AuditLog(unit).append(who, _ROTATE, ("audit-key", key.id), "allowed")
        return key

    async def are_ours(self, unit: Unit, head: AuditChainHead) -> bool:
        """Tell whether the end of a chain was signed with one of our keys, and where it was cut.

        Nothing is added to one that was not, nor is it signed anew.

        Args:
            unit: in which the head was read.
            head: of the chain of the unit's tenant.
        """
        if head.checkpoint is None and head.sequence > 0:
            return False
        for kind, checkpoint in ((CHECKPOINT, head.checkpoint), (CUT, head.cut)):
            if checkpoint is not None and not await self._is_ours(unit, kind, checkpoint):
                return False
        return True

    async def _is_ours(self, unit: Unit, kind: str, checkpoint: Checkpoint) -> bool:
        if checkpoint.key_id not in self._known:
            await self._load(unit.of_installation())
        key = self._known.get(checkpoint.key_id)
        record = checkpoint_record(kind, unit.tenant_id, checkpoint)
        return key is not None and is_signed(record, checkpoint.signature, key.public)

    async def _load(self, unit: Unit) -> Sequence[StoredAuditKey]:
        found = await AuditKeys(unit).all()
        self._known = {stored.key.id: stored.key for stored in found}
        return found

    async def _first(self) -> AuditKey:
        try:
            async with self._store.installation(writes=True) as unit:
                if await AuditKeys(unit).in_use() is None:
                    await AuditKeys(unit).replace(AuditKey.generate())
        except AlreadyExists:
            pass  # another process was first
        return (await self.all())[-1].key
