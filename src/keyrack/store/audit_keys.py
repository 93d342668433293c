"""Keys that sign the audit chains' checkpoints, sealed for the installation."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, select, update

from keyrack.crypto.audit_chain import AuditKey
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit, insert_row
from keyrack.store.schema import audit_keys
from keyrack.store.schema.base import Moment

_k = audit_keys.c
_ALL = Query(select(*_k).order_by(_k.created_at, _k.id))
_IN_USE = Query(select(_k.id).where(_k.in_use.is_not(None)))
_RETIREMENT = Change(
    update(audit_keys).where(_k.in_use.is_not(None)).values(in_use=None, retired_at=bindparam("moment", type_=Moment))
)


@dataclass(frozen=True, slots=True)
class StoredAuditKey:
    """A key, and since when and until when it signs; `retired_at` is None of the one that does."""

    key: AuditKey
    created_at: datetime
    retired_at: datetime | None


class AuditKeys:
    """All of them; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def all(self) -> Sequence[StoredAuditKey]:
        """Return all keys, the oldest first.

        A key whose id is another one's has been put there by somebody else, and is left out.

        Raises:
            DecryptionFailed: one was not sealed here.
        """
        found = []
        for row in await _ALL.rows(self._unit.connection):
            clear = await self._unit.open(audit_keys, row.id, "sealed_key", row.sealed_key)
            key = AuditKey.load(bytes.fromhex(clear))
            if key.id == row.id:
                found.append(StoredAuditKey(key, row.created_at, row.retired_at))
        return found

    async def in_use(self) -> str | None:
        """Return the id of the key that signs; None: there is none yet."""
        rows = await _IN_USE.rows(self._unit.connection)
        return rows[0].id if rows else None

    async def replace(self, key: AuditKey) -> None:
        """Let a new key sign from now on; the one before stays, for what it has signed.

        Raises:
            AlreadyExists: another process was first.
        """
        now = self._unit.clock()
        await _RETIREMENT.run(self._unit.connection, moment=now)
        sealed = await self._unit.seal(audit_keys, key.id, "sealed_key", key.private_bytes().hex())
        row = {"id": key.id, "sealed_key": sealed, "created_at": now, "in_use": 1}
        await insert_row(self._unit.connection, audit_keys, row)
