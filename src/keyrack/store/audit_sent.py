"""How far each audit log has been sent to a collector, and who is sending more of it."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import BigInteger, Integer, bindparam, func, or_, select, update

from keyrack.errors import AlreadyExists
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantTable, Unit
from keyrack.store.schema import audit_chains, audit_sent
from keyrack.store.schema.base import Moment

_s, _c = audit_sent.c, audit_chains.c
_BEHIND = Query(
    select(_c.tenant_id)
    .join_from(audit_chains, audit_sent, _c.tenant_id == _s.tenant_id, isouter=True)
    .where(_c.sequence > func.coalesce(_s.sequence, 0))
    .where(or_(_s.claimed_until.is_(None), _s.claimed_until <= bindparam("now", type_=Moment)))
    .order_by(_s.claimed_until, _c.tenant_id)
    .limit(bindparam("most", type_=Integer)),
    scans=True,
)
_CLAIM = TenantChange(
    audit_sent,
    update(audit_sent)
    .where(_s.claimed_until <= bindparam("now", type_=Moment))
    .values(claimed_until=bindparam("until", type_=Moment))
    .returning(_s.sequence),
)
_RELEASE = TenantChange(audit_sent, update(audit_sent).values(claimed_until=bindparam("until", type_=Moment)))
_SENT = TenantChange(
    audit_sent,
    update(audit_sent)
    .where(_s.sequence < bindparam("reached", type_=BigInteger))
    .values(sequence=bindparam("reached", type_=BigInteger), claimed_until=bindparam("until", type_=Moment)),
)


class AuditSent(TenantTable):
    """How far the log of the unit's tenant has been sent, or the installation's own."""

    table = audit_sent

    async def claim(self, until: datetime) -> int | None:
        """Claim the log; return the number of the last entry that was sent, or None: somebody else has it.

        Args:
            until: when others may claim it, if nothing comes of it.
        """
        row = await self.make_one(_CLAIM, now=self.unit.clock(), until=until)
        if row is not None:
            return int(row.sequence)
        with suppress(AlreadyExists):  # somebody has claimed it
            await self.insert({"sequence": 0, "claimed_until": until})
            return 0
        return None

    async def release(self, until: datetime) -> None:
        """Say that nothing came of it; others may claim it after a time."""
        await self.make(_RELEASE, until=until)

    async def sent(self, reached: int) -> None:
        """Say how far it has been sent, and leave it to whoever comes next."""
        await self.make(_SENT, reached=reached, until=self.unit.clock())


class LogsToSend:
    """All logs; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def behind(self, limit: int) -> Sequence[str]:
        """Return whose logs have entries that were not sent and that nobody has claimed, the longest waiting first."""
        rows = await _BEHIND.rows(self._unit.connection, now=self._unit.clock(), most=limit)
        return [row.tenant_id for row in rows]
