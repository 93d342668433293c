"""Leases on auth secrets: one refresh at a time in the whole installation (design, invariant 3).

A lease has a fence, a number that grows with every lease of the secret. Whoever holds a lease writes only where the
fence is still its own, so one that comes late can never overwrite the winner.

Lease times are those of `keyrack.store.lease_clock`.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, bindparam, func, insert, or_, select, update

from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import KeyrackError, KeyServiceUnavailable, WrongKey
from keyrack.fair_share import Places
from keyrack.model.secrets import AuthSecret
from keyrack.store.attempts import ATTEMPT_COLUMNS, Attempt, Attempts, attempt_columns
from keyrack.store.auth_secrets import read_secret, secret_columns
from keyrack.store.core.claims import WINDOW, chosen_fairly, may_take
from keyrack.store.core.process_id import node_id
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, Unit
from keyrack.store.lease_clock import LEASE_NOW, LeaseTime, since_boot_ms
from keyrack.store.schema import IS_SCHEDULED, attempts, auth_secrets
from keyrack.store.wakeups import CHANNEL

LONGEST_MS = 10 * 60 * 1000
"""No lease is longer. One that seems to be comes from before a reboot, or the lease clock stepped back."""

_DEAD_ASKED = 50
_FEW, _FOR_ONE_PLACE = 16, 4
"""Rows that are looked at in one round of a claim, and for each place that is free: most of them can be taken."""


def _free(now: ColumnElement[int]) -> ColumnElement[bool]:
    return or_(
        _s.lease_until.is_(None),
        _s.lease_until <= now,
        _s.lease_until > now + LONGEST_MS,
        _s.lease_owner.in_(bindparam("dead", expanding=True)),
    )


_s = auth_secrets.c
_UNTIL = LEASE_NOW + bindparam("length_ms", type_=BigInteger)
_MINE = (_s.id == bindparam("secret"), _s.fence == bindparam("held"))
_TAKEN = {"lease_owner": bindparam("node"), "lease_until": _UNTIL, "fence": _s.fence + 1}
_TAKING = TenantChange(
    auth_secrets,
    update(auth_secrets)
    .where(_s.id == bindparam("secret"), _free(LEASE_NOW), _s.cutover_batch_id.is_(None))
    .values(**_TAKEN)
    .returning(*_s),
)
_HOLDER = TenantQuery(
    auth_secrets, select(_s.lease_owner).where(_s.id == bindparam("secret"), _s.lease_until > LEASE_NOW)
)
_LOCKED = TenantQuery(auth_secrets, select(*_s).where(*_MINE).with_for_update())
_ALL_LOCKED = TenantQuery(
    auth_secrets,
    select(*_s, LEASE_NOW.label("shown"))
    .where(_s.id.in_(bindparam("secrets", expanding=True)))
    .order_by(_s.id)
    .with_for_update(),
)
_EXTENDED = update(auth_secrets).where(*_MINE).values(lease_owner=bindparam("node"), lease_until=_UNTIL)
_EXTENSION = TenantChange(auth_secrets, _EXTENDED)
_ALL_HELD = TenantQuery(auth_secrets, select(*_s).where(_s.id.in_(bindparam("secrets", expanding=True))), scans=True)
_CLAIMING = Change(
    update(auth_secrets)
    .where(_s.id.in_(bindparam("secrets", expanding=True)))
    .values(**_TAKEN)
    .returning(_s.tenant_id, _s.id, _s.fence)
)
_HOLDERS = Query(
    select(_s.lease_owner)
    .where(IS_SCHEDULED, _s.due_at <= bindparam("now"), _s.lease_owner.is_not(None))
    .distinct()
    .limit(_DEAD_ASKED)
)


def _intent() -> Change:
    """Return what extends a lease and writes down what is sent under it, at once; nothing, if the lease is lost."""
    held = _EXTENDED.where(TenantQuery.condition(auth_secrets)).returning(_s.tenant_id).cte("held")
    given = [bindparam(f"attempt_{name}", type_=attempts.c[name].type) for name in ATTEMPT_COLUMNS]
    row = select(*given, held.c.tenant_id).select_from(held)
    return Change(insert(attempts).from_select([*ATTEMPT_COLUMNS, "tenant_id"], row))


_INTENT = {"postgresql": _intent()}


@cache
def _writing(columns: tuple[str, ...], *, tells: bool) -> TenantChange:
    """Return the change of these columns of a leased secret, made once for each set of columns.

    Args:
        columns: their names.
        tells: whether those who wait for the secret, in whichever process, are told when the transaction commits.
    """
    change = update(auth_secrets).where(*_MINE).values(**{name: bindparam(name) for name in columns})
    return TenantChange(auth_secrets, change.returning(func.pg_notify(CHANNEL, _s.id)) if tells else change)


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
            The lease, or None if another process holds it, there is no such secret, or it awaits its cutover.
        """
        row = await self.make_one(_TAKING, secret=secret_id, dead=[*dead, node_id()], **_lasting(length_ms))
        return None if row is None else await self._lease(row)

    async def holder(self, secret_id: str) -> str | None:
        """Return which process holds the lease of a secret, if any."""
        row = await self.ask_one(_HOLDER, secret=secret_id, lease_now=since_boot_ms())
        return None if row is None else row.lease_owner

    async def claimed(self, dues: Sequence[Due]) -> Mapping[str, Lease]:
        """Return the leases that `claim_due` took, with their secrets, by secret; those lost meanwhile are missing."""
        fences = {due.secret_id: due.fence for due in dues}
        rows = await self.ask(_ALL_HELD, secrets=list(fences))
        return {row.id: await self._lease(row) for row in rows if row.fence == fences[row.id]}

    async def extend(self, lease: Lease, length_ms: int) -> None:
        """Make a lease last from now.

        Raises:
            LeaseLost: another process has the lease by now.
        """
        if await self.make(_EXTENSION, **_held(lease), **_lasting(length_ms)) != 1:
            raise LeaseLost

    async def intend(self, lease: Lease, length_ms: int, attempt: Attempt) -> None:
        """Make a lease last from now, and write down that a request is about to be sent under it; both or neither.

        Raises:
            LeaseLost: another process has the lease by now; nothing is written.
        """
        intent = _INTENT.get(self.unit.connection.dialect.name)
        if intent is None:  # SQLite changes one table with one statement; a unit is always one transaction there
            await self.extend(lease, length_ms)
            await Attempts(self.unit).begin(attempt)
            return
        values = {f"attempt_{name}": value for name, value in attempt_columns(attempt).items()}
        mine = {"tenant_id": self.unit.tenant_id, **_held(lease), **_lasting(length_ms)}
        if await intent.run(self.unit.connection, **mine, **values) != 1:
            raise LeaseLost

    async def release(self, lease: Lease | Due, **values: Any) -> None:
        """End a lease, changing nothing else but the given columns; a lost one is left alone."""
        await self._change(lease, {**values, **_ENDED}, tells=False)

    async def current(self, lease: Lease) -> AuthSecret:
        """Return the secret as it is now, kept from changing until the transaction ends.

        Raises:
            LeaseLost: another process has the lease by now, or the secret is gone.
        """
        row = await self.ask_one(_LOCKED, **_held(lease))
        if row is None:
            raise LeaseLost
        return await read_secret(self.unit, row)

    async def current_of(self, leases: Sequence[Lease], lease_time: LeaseTime) -> "Sequence[AuthSecret | Exception]":
        """Return several secrets as they are now, kept from changing until the transaction ends.

        Args:
            leases: the secrets', which are different ones.
            lease_time: learns what the lease clock shows.

        Returns:
            One for each lease; in its place, what `current` would raise, or what opening its credentials has raised.
        """
        before = time.monotonic()
        secrets = [lease.secret_id for lease in leases]
        rows = {row.id: row for row in await self.ask(_ALL_LOCKED, secrets=secrets, lease_now=since_boot_ms())}
        after, found = time.monotonic(), list[AuthSecret | Exception]()
        for lease in leases:
            row = rows.get(lease.secret_id)
            if row is None or row.fence != lease.fence:
                found.append(LeaseLost())
                continue
            lease_time.learn(row.shown, before, after)
            try:
                found.append(await read_secret(self.unit, row))
            except (DecryptionFailed, KeyServiceUnavailable, WrongKey, ValueError) as error:
                found.append(error)
        return found

    async def finish(self, ended: Sequence[tuple[Lease, AuthSecret]]) -> None:
        """Write what became of refreshes, end their leases, and wake those who wait for the secrets.

        Raises:
            LeaseLost: another process has one of the leases by now; the transaction is not to be committed.
        """
        tells = self.unit.connection.dialect.name == "postgresql"
        written = [{**await secret_columns(self.unit, secret), **_ENDED} for _, secret in ended]
        rows = [
            {"tenant_id": self.unit.tenant_id, **_held(lease), **values}
            for (lease, _), values in zip(ended, written, strict=True)
        ]
        if await _writing(tuple(written[0]), tells=tells).run_each(self.unit.connection, rows) != len(rows):
            raise LeaseLost

    async def keep(self, lease: Lease, secret: AuthSecret) -> None:
        """Write a secret in the middle of a refresh; the lease goes on.

        Raises:
            LeaseLost: another process has the lease by now; nothing is written.
        """
        if await self._change(lease, await secret_columns(self.unit, secret), tells=False) != 1:
            raise LeaseLost

    async def _change(self, lease: Lease | Due, values: Mapping[str, Any], *, tells: bool) -> int:
        return await self.make(_writing(tuple(values), tells=tells), **_held(lease), **values)

    async def _lease(self, row: "Row[Any]") -> Lease:
        return Lease(row.tenant_id, row.id, row.fence, await read_secret(self.unit, row))


_ENDED = {"lease_owner": None, "lease_until": None}


def _held(lease: Lease | Due) -> dict[str, Any]:
    """Return the parameters that say which lease is meant."""
    return {"secret": lease.secret_id, "held": lease.fence}


def _lasting(length_ms: int) -> dict[str, Any]:
    """Return the parameters that say whose lease it is from now on, and how long."""
    return {"node": node_id(), "length_ms": length_ms, "lease_now": since_boot_ms()}


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
    s = auth_secrets.c
    failed = s.failed_at.is_not(None)
    seen: list[str] = []
    size = min(WINDOW, _FEW + _FOR_ONE_PLACE * places.free)

    async def window() -> Sequence[Row[Any]]:
        query = (
            select(s.id, s.tenant_id, failed.label("slow"))
            .where(IS_SCHEDULED, s.due_at <= now, _free(LEASE_NOW), s.id.not_in(seen))
            .where(*may_take(places, s.tenant_id, failed))
            .order_by(s.due_at)
            .limit(size)
            .with_for_update(skip_locked=True)
        )
        rows = (await unit.connection.execute(query, {"dead": list(dead), "lease_now": since_boot_ms()})).all()
        seen.extend(row.id for row in rows)
        return rows

    def takes(row: Row[Any]) -> bool:
        return places.take(row.tenant_id, slow=bool(row.slow))

    chosen = {row.id: bool(row.slow) for row in await chosen_fairly(window, takes, places, size)}
    if not chosen:
        return []
    taken = await _CLAIMING.rows(unit.connection, secrets=list(chosen), **_lasting(length_ms))
    return [Due(row.tenant_id, row.id, row.fence, chosen[row.id]) for row in taken]


async def lease_holders(unit: Unit, now: datetime) -> Sequence[str]:
    """Return the processes that hold leases of due secrets; asked to find out which of them are dead."""
    return [str(row.lease_owner) for row in await _HOLDERS.rows(unit.connection, now=now)]
