"""Leases on auth secrets: one refresh at a time in the whole installation (design, invariant 3).

A lease has a fence, a number that grows with every lease of the secret. Whoever holds a lease writes only where the
fence is still its own, so one that comes late can never overwrite the winner.

Lease times are taken from the lease clock, never from a process's own: the database server's clock on PostgreSQL, and
the machine's time since boot on SQLite. So no clock that jumps on a machine that runs Keyrack makes two processes
refresh one grant.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import ceil, floor, inf
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, cast, func, literal, or_, select, update

from keyrack.errors import KeyrackError
from keyrack.fair_share import Places
from keyrack.model.secrets import AuthSecret
from keyrack.store.auth_secrets import read_secret, secret_columns
from keyrack.store.core.claims import WINDOW, chosen_fairly, may_take
from keyrack.store.core.process_id import node_id
from keyrack.store.core.unit import TenantTable, Unit
from keyrack.store.schema import auth_secrets

LONGEST_MS = 10 * 60 * 1000
"""No lease is longer. One that seems to be comes from before a reboot, or the lease clock stepped back."""

_DEAD_ASKED = 50
_LOOKS, _NARROW_MS, _KNOWN_SECONDS = 3, 5.0, 10.0


class LeaseLost(KeyrackError):
    """Somebody else has taken over the refreshing of this secret."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to refresh one secret. `secret` is how the secret was when the lease began."""

    tenant_id: str
    secret_id: str
    fence: int
    secret: AuthSecret


@dataclass(frozen=True, slots=True)
class Due:
    """A leased secret whose refresh is due; `slow` if it failed the last time."""

    tenant_id: str
    secret_id: str
    fence: int
    slow: bool = False


class Leases(TenantTable):
    """Leases on secrets of the unit's tenant. Every change needs a unit that writes."""

    table = auth_secrets

    async def acquire(self, secret_id: str, length_ms: int, dead: Sequence[str] = ()) -> Lease | None:
        """Take the lease of a secret, if it is free.

        A lease that this process itself holds counts as free: the caller knows that nobody here uses it any more.

        Args:
            secret_id: the secret.
            length_ms: how long the lease lasts unless it is extended, milliseconds.
            dead: processes that are known to be gone; their leases are free.

        Returns:
            The lease, or None if another process holds it or there is no such secret.
        """
        now = lease_clock(self.unit)
        taken = (
            self.update()
            .where(auth_secrets.c.id == secret_id, _free(now, [*dead, node_id()]))
            .values(lease_owner=node_id(), lease_until=now + length_ms, fence=auth_secrets.c.fence + 1)
            .returning(*auth_secrets.c)
        )
        row = await self.first(taken)
        return None if row is None else await self._lease(row)

    async def holder(self, secret_id: str) -> str | None:
        """Return which process holds the lease of a secret, if any."""
        s, now = auth_secrets.c, lease_clock(self.unit)
        query = self.select(s.lease_owner).where(s.id == secret_id, s.lease_until > now)
        holder: str | None = await self.value(query)
        return holder

    async def read(self, due: Due) -> Lease | None:
        """Return the lease that `claim_due` took, with its secret; None if it was lost meanwhile."""
        s = auth_secrets.c
        row = await self.first(self.select().where(s.id == due.secret_id, s.fence == due.fence))
        return None if row is None else await self._lease(row)

    async def extend(self, lease: Lease, length_ms: int) -> None:
        """Make a lease last from now.

        Raises:
            LeaseLost: another process has the lease by now.
        """
        until = lease_clock(self.unit) + length_ms
        await self._write(lease, lease_owner=node_id(), lease_until=until)

    async def release(self, lease: Lease | Due, **values: Any) -> None:
        """End a lease, changing nothing else but the given columns; a lost one is left alone."""
        await self.run(self._mine(lease).values(lease_owner=None, lease_until=None, **values))

    async def current(self, lease: Lease) -> AuthSecret:
        """Return the secret as it is now, kept from changing until the transaction ends.

        Raises:
            LeaseLost: another process has the lease by now, or the secret is gone.
        """
        s = auth_secrets.c
        row = await self.first(self.select().where(s.id == lease.secret_id, s.fence == lease.fence).with_for_update())
        if row is None:
            raise LeaseLost
        return await read_secret(self.unit, row)

    async def finish(self, lease: Lease, secret: AuthSecret) -> None:
        """Write what became of a refresh and end the lease.

        Raises:
            LeaseLost: another process has the lease by now; nothing is written.
        """
        await self._write(lease, **await secret_columns(self.unit, secret), lease_owner=None, lease_until=None)

    async def keep(self, lease: Lease, secret: AuthSecret) -> None:
        """Write a secret in the middle of a refresh; the lease goes on.

        Raises:
            LeaseLost: another process has the lease by now; nothing is written.
        """
        await self._write(lease, **await secret_columns(self.unit, secret))

    async def _write(self, lease: Lease, **values: Any) -> None:
        if await self.run(self._mine(lease).values(**values)) != 1:
            raise LeaseLost

    def _mine(self, lease: Lease | Due) -> Any:
        return self.update().where(auth_secrets.c.id == lease.secret_id, auth_secrets.c.fence == lease.fence)

    async def _lease(self, row: "Row[Any]") -> Lease:
        return Lease(row.tenant_id, row.id, row.fence, await read_secret(self.unit, row))


async def claim_due(
    unit: Unit, now: datetime, places: Places, length_ms: int, dead: Sequence[str] = ()
) -> Sequence[Due]:
    """Take the leases of secrets whose refresh is due: the longest due first, of each tenant no more than its share.

    Several workers that claim at once get different ones (SKIP LOCKED on PostgreSQL; SQLite has one writer).

    Args:
        unit: the installation's, writing.
        now: the time that `due_at` is measured against.
        places: how many can be worked on, and who holds how many of them; what is claimed takes its places there.
        length_ms: how long the leases last, milliseconds.
        dead: processes that are known to be gone; their leases are free.
    """
    s, lease_now = auth_secrets.c, lease_clock(unit)
    failed = s.failed_at.is_not(None)
    seen: list[str] = []

    async def window() -> Sequence[Row[Any]]:
        query = (
            select(s.id, s.tenant_id, failed.label("slow"))
            .where(s.due_at.is_not(None), s.due_at <= now, _free(lease_now, dead), s.id.not_in(seen))
            .where(*may_take(places, s.tenant_id, failed))
            .order_by(s.due_at)
            .limit(WINDOW)
            .with_for_update(skip_locked=True)
        )
        rows = (await unit.connection.execute(query)).all()
        seen.extend(row.id for row in rows)
        return rows

    def takes(row: Row[Any]) -> bool:
        return places.take(row.tenant_id, slow=bool(row.slow))

    chosen = {row.id: bool(row.slow) for row in await chosen_fairly(window, takes, places)}
    if not chosen:
        return []
    taken = (
        update(auth_secrets)
        .where(s.id.in_(list(chosen)))
        .values(lease_owner=node_id(), lease_until=lease_now + length_ms, fence=s.fence + 1)
        .returning(s.tenant_id, s.id, s.fence)
    )
    return [
        Due(row.tenant_id, row.id, row.fence, chosen[row.id]) for row in (await unit.connection.execute(taken)).all()
    ]


async def lease_holders(unit: Unit, now: datetime) -> Sequence[str]:
    """Return the processes that hold leases of due secrets; asked to find out which of them are dead."""
    s = auth_secrets.c
    query = select(s.lease_owner).where(s.due_at <= now, s.lease_owner.is_not(None)).distinct().limit(_DEAD_ASKED)
    return [str(row.lease_owner) for row in (await unit.connection.execute(query)).all()]


class LeaseTime:
    """Puts moments of this process on the lease clock, so that what happened in several processes can be ordered.

    A moment is a reading of `time.monotonic`. How far both clocks are apart is known only as well as one question to
    the database is quick, so it is known as a range, which further questions narrow, and which is forgotten after a
    while, or when the lease clock has stepped.
    """

    def __init__(self) -> None:
        self._apart: tuple[float, float] = (-inf, inf)
        self._since = -inf

    async def earliest(self, unit: Unit, moment: float) -> int:
        """Return what the lease clock showed at a moment, at the least; whole milliseconds."""
        await self._look(unit)
        return floor(moment * 1000 + self._apart[0])

    async def is_before(self, unit: Unit, moment: float, answered_ms: int | None) -> bool:
        """Tell whether a moment was certainly before an answer.

        Args:
            unit: any of the database in force.
            moment: of this process.
            answered_ms: when the answer came, as `earliest` returned it in whichever process; None: none is known. One
                from the future is from before a reboot, or the lease clock stepped back; it counts as none.
        """
        await self._look(unit)
        at_most = ceil(moment * 1000 + self._apart[1])
        now = time.monotonic() * 1000 + self._apart[1]
        return answered_ms is not None and at_most <= answered_ms <= now

    async def _look(self, unit: Unit) -> None:
        for _ in range(_LOOKS):
            before = time.monotonic()
            shown = await _shown(unit)
            after = time.monotonic()
            low, high = shown - after * 1000, shown + 1 - before * 1000
            known = self._apart if after - self._since < _KNOWN_SECONDS else (-inf, inf)
            if known == (-inf, inf) or not (max(low, known[0]) < min(high, known[1])):
                self._apart, self._since = (low, high), after
            else:
                self._apart = max(low, known[0]), min(high, known[1])
            if self._apart[1] - self._apart[0] <= _NARROW_MS:
                return


async def _shown(unit: Unit) -> int:
    """Return what the lease clock shows now."""
    if unit.connection.dialect.name != "postgresql":
        return _since_boot_ms()
    shown: int = (await unit.connection.execute(select(lease_clock(unit)))).scalar_one()
    return shown


def lease_clock(unit: Unit) -> ColumnElement[int]:
    """Return the time of the lease clock, whole milliseconds, as an expression of the unit's database."""
    if unit.connection.dialect.name == "postgresql":
        return cast(func.extract("epoch", func.clock_timestamp()) * 1000, BigInteger)
    return literal(_since_boot_ms(), BigInteger)


def _since_boot_ms() -> int:
    """Return the milliseconds since this machine started, sleep included where it can be known."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(clock) // 1_000_000


def _free(now: ColumnElement[int], dead: Sequence[str]) -> ColumnElement[bool]:
    s = auth_secrets.c
    free = [s.lease_until.is_(None), s.lease_until <= now, s.lease_until > now + LONGEST_MS]
    if dead:
        free.append(s.lease_owner.in_(dead))
    return or_(*free)
