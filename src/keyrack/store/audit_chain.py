"""The hash chain over an audit log: its end, its entries and its checkpoints."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Integer, LargeBinary, bindparam, delete, func, select, update

from keyrack.crypto.audit_chain import BEFORE_THE_FIRST
from keyrack.errors import AlreadyExists
from keyrack.model.audit import AuditChainHead, AuditEvent, ChainedEvent, Checkpoint
from keyrack.store.audit_log import event_of
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit, deleting
from keyrack.store.schema import audit_chains, audit_checkpoints, audit_events
from keyrack.store.schema.base import Id, Moment

_c, _e, _p = audit_chains.c, audit_events.c, audit_checkpoints.c
_MOST = bindparam("most", type_=Integer)
_HEAD = TenantQuery(audit_chains, select(*_c))
_HELD = TenantQuery(audit_chains, deleting(select(*_c)))
_TAIL = TenantQuery(
    audit_events, select(*_e).where(_e.sequence.is_(None)).order_by(_e.at, _e.id).limit(_MOST), scans=True
)
_PLACING = TenantChange(
    audit_events,
    update(audit_events)
    .where(_e.id == bindparam("event"), _e.sequence.is_(None))
    .values(sequence=bindparam("place", type_=BigInteger), entry_hash=bindparam("hashed", type_=LargeBinary)),
)
_MOVING = TenantChange(
    audit_chains,
    update(audit_chains).values(
        sequence=bindparam("reached", type_=BigInteger),
        hash=bindparam("hashed", type_=LargeBinary),
        at=bindparam("moment", type_=Moment),
        key_id=bindparam("key", type_=Id),
        signature=bindparam("signed", type_=LargeBinary),
    ),
)
_KEPT = TenantChange(
    audit_chains,
    update(audit_chains).values(
        kept_sequence=bindparam("reached", type_=BigInteger), kept_at=bindparam("moment", type_=Moment)
    ),
)
_CUTTING = TenantChange(
    audit_chains,
    update(audit_chains).values(
        cut_sequence=bindparam("reached", type_=BigInteger),
        cut_hash=bindparam("hashed", type_=LargeBinary),
        cut_at=bindparam("moment", type_=Moment),
        cut_key_id=bindparam("key", type_=Id),
        cut_signature=bindparam("signed", type_=LargeBinary),
    ),
)
_AFTER = bindparam("after", type_=BigInteger)
_REACHED = bindparam("reached", type_=BigInteger)
_ENTRIES = TenantQuery(
    audit_events,
    select(*_e).where(_e.sequence > _AFTER, _e.sequence <= _REACHED).order_by(_e.sequence).limit(_MOST),
    scans=True,
)
_CHECKPOINTS = TenantQuery(
    audit_checkpoints,
    select(*_p).where(_p.sequence > _AFTER, _p.sequence <= _REACHED).order_by(_p.sequence),
    scans=True,
)
_REMOVAL = TenantChange(audit_events, delete(audit_events).where(_e.sequence <= _REACHED), scans=True)
_CHECKPOINT_REMOVAL = TenantChange(
    audit_checkpoints, delete(audit_checkpoints).where(_p.sequence <= _REACHED), scans=True
)
_NUMBER = func.count().label("number")
_WAITING_MOST = 10_000
_WAITING = TenantQuery(
    audit_events, select(_e.at).where(_e.sequence.is_(None)).order_by(_e.at).limit(_WAITING_MOST), scans=True
)

_UNCHAINED = select(_e.tenant_id).where(_e.sequence.is_(None), _e.tenant_id > bindparam("last", type_=Id))
_FIRST_WITH_TAIL = Query(select(_e.tenant_id).where(_e.sequence.is_(None)).order_by(_e.tenant_id).limit(1), scans=True)
_NEXT_WITH_TAIL = Query(_UNCHAINED.order_by(_e.tenant_id).limit(1), scans=True)
_CHAINS = Query(
    select(_c.tenant_id).where(_c.tenant_id > bindparam("last", type_=Id)).order_by(_c.tenant_id).limit(_MOST),
    scans=True,
)
_FIRST_CHAINS = Query(select(_c.tenant_id).order_by(_c.tenant_id).limit(_MOST), scans=True)
_all_waiting = select(_e.at).where(_e.sequence.is_(None)).limit(_WAITING_MOST).subquery()
_ALL_WAITING = Query(
    select(_NUMBER, func.min(_all_waiting.c.at, type_=Moment()).label("oldest")).select_from(_all_waiting), scans=True
)


class AuditChain(TenantTable):
    """The chain over the log of the unit's tenant, or over the installation's own."""

    table = audit_chains

    async def head(self) -> AuditChainHead:
        """Return where it begins and ends."""
        row = await self.ask_one(_HEAD)
        return _NO_HEAD if row is None else _head_of(row)

    async def hold(self) -> AuditChainHead:
        """Return where it begins and ends, and keep others from changing that until the transaction ends."""
        row = await self.ask_one(_HELD)
        if row is None:
            first = {"sequence": 0, "hash": BEFORE_THE_FIRST, "kept_sequence": 0, "cut_sequence": 0}
            with suppress(AlreadyExists):  # by somebody else, at this moment
                await self.insert(first)
            row = await self.ask_one(_HELD)
        return _head_of(row)

    async def tail(self, limit: int) -> Sequence[AuditEvent]:
        """Return events that have no place in the chain yet, oldest first.

        Whatever is committed when this is asked is among them, however late its transaction came to an end.

        Args:
            limit: how many at most.
        """
        return [event_of(row) for row in await self.ask(_TAIL, most=limit)]

    async def place(self, entries: Sequence[ChainedEvent]) -> None:
        """Give events their places in the chain."""
        rows = [
            {"tenant_id": self.unit.tenant_id, "event": each.event.id, "place": each.sequence, "hashed": each.hash}
            for each in entries
        ]
        await _PLACING.run_each(self.unit.connection, rows)

    async def move(self, checkpoint: Checkpoint) -> None:
        """Say where the chain ends now."""
        await self.make(_MOVING, **_values(checkpoint))

    async def keep(self, checkpoint: Checkpoint) -> None:
        """Keep a checkpoint for as long as the entry it is about."""
        values = {
            "sequence": checkpoint.sequence,
            "hash": checkpoint.hash,
            "at": checkpoint.at,
            "key_id": checkpoint.key_id,
            "signature": checkpoint.signature,
        }
        await self.insert_into(audit_checkpoints, values)
        await self.make(_KEPT, reached=checkpoint.sequence, moment=checkpoint.at)

    async def cut(self, checkpoint: Checkpoint) -> int:
        """Remove all entries up to a checkpoint, which stays in their place; return how many entries."""
        await self.make(_CUTTING, **_values(checkpoint))
        await self.make(_CHECKPOINT_REMOVAL, reached=checkpoint.sequence)
        return await self.make(_REMOVAL, reached=checkpoint.sequence)

    async def entries(self, after: int, reached: int, limit: int) -> Sequence[ChainedEvent]:
        """Return entries in order.

        Args:
            after: the number of the entry before the first one.
            reached: the number of the last one.
            limit: how many at most.
        """
        rows = await self.ask(_ENTRIES, after=after, reached=reached, most=limit)
        return [ChainedEvent(event_of(row), row.sequence, bytes(row.entry_hash or b"")) for row in rows]

    async def checkpoints(self, after: int, reached: int) -> Sequence[Checkpoint]:
        """Return kept checkpoints of entries after one and up to another, in order."""
        return [_checkpoint_of(row) for row in await self.ask(_CHECKPOINTS, after=after, reached=reached)]

    async def waiting(self) -> tuple[int, datetime | None]:
        """Return how many events have no place in the chain yet, 10,000 at most, and since when the oldest waits."""
        rows = await self.ask(_WAITING)
        return len(rows), rows[0].at if rows else None


class AuditChains:
    """All chains; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def with_tail(self, last: str | None) -> str | None:
        """Return a tenant with events that have no place in its chain; empty: the installation itself; None: no more.

        Args:
            last: the one before; None: begin.
        """
        connection = self._unit.connection
        rows = await (
            _FIRST_WITH_TAIL.rows(connection) if last is None else _NEXT_WITH_TAIL.rows(connection, last=last)
        )
        return rows[0].tenant_id if rows else None

    async def owners(self, last: str | None, limit: int) -> Sequence[str]:
        """Return tenants that have a chain, by id, after one; None: begin."""
        connection = self._unit.connection
        if last is None:
            rows = await _FIRST_CHAINS.rows(connection, most=limit)
        else:
            rows = await _CHAINS.rows(connection, last=last, most=limit)
        return [row.tenant_id for row in rows]

    async def waiting(self) -> tuple[int, datetime | None]:
        """Return how many events of all logs have no place in a chain yet, 10,000 at most, and since when."""
        (row,) = await _ALL_WAITING.rows(self._unit.connection)
        return row.number, row.oldest


_NO_HEAD = AuditChainHead(0, BEFORE_THE_FIRST, None, None, 0, None)


def _head_of(row: Any) -> AuditChainHead:
    checkpoint = cut = None
    if row.signature is not None:
        checkpoint = Checkpoint(row.sequence, bytes(row.hash), row.at, row.key_id, bytes(row.signature))
    if row.cut_signature is not None:
        cut = Checkpoint(row.cut_sequence, bytes(row.cut_hash), row.cut_at, row.cut_key_id, bytes(row.cut_signature))
    return AuditChainHead(row.sequence, bytes(row.hash), checkpoint, cut, row.kept_sequence, row.kept_at)


def _checkpoint_of(row: Any) -> Checkpoint:
    return Checkpoint(row.sequence, bytes(row.hash), row.at, row.key_id, bytes(row.signature))


def _values(checkpoint: Checkpoint) -> dict[str, Any]:
    return {
        "reached": checkpoint.sequence,
        "hashed": checkpoint.hash,
        "moment": checkpoint.at,
        "key": checkpoint.key_id,
        "signed": checkpoint.signature,
    }
