"""The queue of refreshes of all tenants for the operator: what is due, what comes next, and what is under way.

What is due is found by the index that the background itself uses, and counted up to `MOST`. Leases have no index of
their own, which would cost each refresh a write: found are those of secrets that are due, and of requests under way.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, bindparam, func, select

from keyrack.store.attempts import AttemptKind
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.store.installation_grants import ListedGrant, grant_columns, listed_grant, with_owners
from keyrack.store.lease_clock import LEASE_NOW, since_boot_ms
from keyrack.store.leases import LONGEST_MS
from keyrack.store.queue_stats import MOST
from keyrack.store.schema import IS_SCHEDULED, attempts, auth_secrets, tenants

LEASES = 500
"""Leases and requests that are read at most."""

_s, _a = auth_secrets.c, attempts.c
_IS_DUE = (IS_SCHEDULED, _s.due_at <= bindparam("now"))
_PAGE = Query(
    select(*grant_columns())
    .select_from(with_owners())
    .where(*_IS_DUE)
    .order_by(_s.due_at, _s.id)
    .limit(bindparam("most", type_=Integer))
    .offset(bindparam("over", type_=Integer)),
    scans=True,
)
_UNTIL: ColumnElement[Any] = bindparam("until", type_=_s.due_at.type)
_IS_NEXT = (IS_SCHEDULED, _s.due_at > bindparam("now"), _s.due_at <= _UNTIL)
_NEXT_PAGE = Query(
    select(*grant_columns())
    .select_from(with_owners())
    .where(*_IS_NEXT)
    .order_by(_s.due_at, _s.id)
    .limit(bindparam("most", type_=Integer))
    .offset(bindparam("over", type_=Integer)),
    scans=True,
)
_SOON = Query(
    select(func.count().label("number")).select_from(select(_s.due_at).where(*_IS_NEXT).limit(MOST).subquery()),
    scans=True,
)
_HELD = (
    _s.lease_owner.is_not(None),
    _s.lease_until > LEASE_NOW,
    _s.lease_until <= LEASE_NOW + LONGEST_MS,
)
_LEASED = (_s.id, _s.tenant_id, _s.workspace_id, _s.name, _s.lease_owner, _s.lease_until, LEASE_NOW.label("shown"))
_OWNERS: ColumnElement[Any] = bindparam("owners", expanding=True)
_ALL_DUE_LEASES = select(*_LEASED).where(*_IS_DUE, *_HELD).order_by(_s.due_at).limit(LEASES)
_ALL_REQUEST_LEASES = (
    select(*_LEASED)
    .join_from(attempts, auth_secrets, _a.subject_id == _s.id)
    .where(_a.settled_at.is_(None), *_HELD)
    .order_by(_a.id)
    .limit(LEASES)
)
_ALL_REQUESTS = (
    select(
        _a.id,
        _a.kind,
        _a.subject_id,
        _a.tenant_id,
        _a.owner,
        _a.started_at,
        _a.answered_at,
        tenants.c.name.label("tenant_name"),
    )
    .join_from(attempts, tenants, _a.tenant_id == tenants.c.id)
    .where(_a.settled_at.is_(None))
    .order_by(_a.id)
    .limit(LEASES)
)
_DUE_LEASES, _REQUEST_LEASES, _REQUESTS = (
    {narrowed: Query(query.where(owner.in_(_OWNERS)) if narrowed else query, scans=True) for narrowed in (False, True)}
    for query, owner in (
        (_ALL_DUE_LEASES, _s.lease_owner),
        (_ALL_REQUEST_LEASES, _s.lease_owner),
        (_ALL_REQUESTS, _a.owner),
    )
)
"""Each as it is, and narrowed to some processes."""


@dataclass(frozen=True, slots=True)
class HeldLease:
    """A lease that a process holds now.

    Attributes:
        secret_id, tenant_id, workspace_id, name: of the secret.
        owner: the process, as `RunningProcess.id`.
        ends_in: seconds, unless it is extended.
    """

    secret_id: str
    tenant_id: str
    workspace_id: str
    name: str
    owner: str
    ends_in: float


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A token request whose fate is not settled yet.

    Attributes:
        id: of the attempt in the journal.
        kind: a refresh, or the exchange of a consent's code.
        subject_id: the secret, or the consent.
        tenant_id, tenant_name: whose it is.
        owner: the process that sent it.
        started_at: when it was about to be sent.
        answered_at: when the answer came, if that is known.
    """

    id: str
    kind: AttemptKind
    subject_id: str
    tenant_id: str
    tenant_name: str
    owner: str
    started_at: datetime
    answered_at: datetime | None


class RefreshQueueRows:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def due(self, *, limit: int, offset: int) -> Sequence[ListedGrant]:
        """List a page of the secrets whose refresh is due, the longest due first."""
        now = self._unit.clock()
        rows = await _PAGE.rows(self._unit.connection, now=now, most=limit, over=offset)
        return [listed_grant(row) for row in rows]

    async def next_due(self, time: timedelta, *, limit: int, offset: int) -> Sequence[ListedGrant]:
        """List a page of those that `due_within` counts, the next one first."""
        now = self._unit.clock()
        rows = await _NEXT_PAGE.rows(self._unit.connection, now=now, until=now + time, most=limit, over=offset)
        return [listed_grant(row) for row in rows]

    async def due_within(self, time: timedelta) -> int:
        """Count the secrets that are not due yet but will be within a time, up to `MOST`."""
        now = self._unit.clock()
        (row,) = await _SOON.rows(self._unit.connection, now=now, until=now + time)
        return int(row.number)

    async def leases(self, owners: Sequence[str] | None = None) -> Sequence[HeldLease]:
        """List the leases of secrets that are due or have a request under way, at most `LEASES` of each.

        Args:
            owners: only those that these processes hold, as `RunningProcess.id`; None: all.
        """
        given: dict[str, Any] = {"lease_now": since_boot_ms(), **({} if owners is None else {"owners": owners})}
        connection, narrowed = self._unit.connection, owners is not None
        rows = [
            *await _DUE_LEASES[narrowed].rows(connection, now=self._unit.clock(), **given),
            *await _REQUEST_LEASES[narrowed].rows(connection, **given),
        ]
        found = {
            row.id: HeldLease(
                row.id, row.tenant_id, row.workspace_id, row.name, row.lease_owner, (row.lease_until - row.shown) / 1000
            )
            for row in rows
        }
        return list(found.values())

    async def requests(self, owners: Sequence[str] | None = None) -> Sequence[OpenRequest]:
        """List the requests under way or not settled yet, the oldest first, at most `LEASES`.

        Args:
            owners: only those that these processes have sent, as `RunningProcess.id`; None: all.
        """
        given = {} if owners is None else {"owners": owners}
        return [
            OpenRequest(
                id=row.id,
                kind=AttemptKind(row.kind),
                subject_id=row.subject_id,
                tenant_id=row.tenant_id,
                tenant_name=row.tenant_name,
                owner=row.owner,
                started_at=row.started_at,
                answered_at=row.answered_at,
            )
            for row in await _REQUESTS[owners is not None].rows(self._unit.connection, **given)
        ]
