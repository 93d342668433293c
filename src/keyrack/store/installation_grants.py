"""Grants of all tenants for the operator: counted by state and provider, and listed; nothing secret is read.

The state is worked out by the database, by the rule of `keyrack.service.secrets.status.current_status`; a test holds
both to the same answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    String,
    and_,
    bindparam,
    case,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
)
from sqlalchemy.sql.selectable import FromClause

from keyrack.model.clients import AuthClient
from keyrack.model.operations import GrantState
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.oauth.failure_classes import FailureClass
from keyrack.store.auth_secrets import SEALED, secret_of
from keyrack.store.concerned_grants import concerned_at_origin, patterns
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import auth_clients, auth_secrets, tenants, workspaces

MOST = 10_000
"""How far a narrowed list is counted."""

_s, _c = auth_secrets.c, auth_clients.c
_REFUSALS = sorted(kind.value for kind in FailureClass if kind is not FailureClass.TEMPORARY)


_WAITS = _s.cutover_batch_id.is_not(None)


def _told() -> ColumnElement[Any]:
    """The `GrantState` of a secret joined with its auth client."""
    failure = and_(_s.failure.is_not(None), _s.failed_at.is_not(None))
    refused = and_(
        _s.failure["kind"].as_string().in_([literal(kind, String) for kind in _REFUSALS]),
        _s.failure["status"].as_string().is_not(None),
    )
    expired = and_(_s.expires_at.is_not(None), _s.expires_at <= bindparam("now"))
    rejected = and_(_s.refreshable, _c.rejected_at.is_not(None))
    state = GrantState
    return case(
        (_s.state == SecretState.error.value, func.coalesce(_s.error_code, literal(state.other.value, String))),
        (
            and_(expired, _WAITS, or_(_s.refreshable, not_(_s.lifetime_guessed))),
            literal(state.awaiting_cutover.value, String),
        ),
        (and_(expired, not_(or_(_s.refreshable, _s.lifetime_guessed))), literal(state.token_expired.value, String)),
        (and_(expired, rejected), literal(state.client_rejected.value, String)),
        (and_(expired, _s.refreshable, failure, refused), literal(state.provider_refused.value, String)),
        (and_(expired, _s.refreshable, failure), literal(state.provider_unavailable.value, String)),
        (rejected, literal(state.paused.value, String)),
        (and_(_s.refreshable, failure), literal(state.failing.value, String)),
        else_=literal(state.ready.value, String),
    )


_TOLD = _told().label("told")
_ORIGIN = func.coalesce(_c.origin, "").label("origin")
_COUNTED = (
    select(_ORIGIN, _TOLD, func.count().label("grants"))
    .join_from(auth_secrets, auth_clients, _s.auth_client_id == _c.id)
    .group_by(_ORIGIN, _TOLD)
)
_COUNTS = Query(_COUNTED, scans=True)

_IN_TROUBLE: ColumnElement[bool] = literal_column(
    "(auth_secrets.state = 'error' OR auth_secrets.failed_at IS NOT NULL)", Boolean
)
"""As the index of them says it, in its words: else it would not be used."""
_STATE = _told() == bindparam("state", type_=String)
_CONDITIONS: dict[str, ColumnElement[bool]] = {
    "ready": _STATE,
    "token_expired": and_(_s.expires_at <= bindparam("now"), not_(_s.refreshable), _STATE),
    "of_rejected_client": and_(_c.rejected_at.is_not(None), _STATE),
    "awaiting_cutover": and_(_WAITS, _STATE),
    "in_trouble": and_(_IN_TROUBLE, _STATE),
    "origin": _c.origin == bindparam("origin"),
    "no_origin": _c.origin.is_(None),
    "tenant": _s.tenant_id == bindparam("tenant"),
    "client": _s.auth_client_id == bindparam("client"),
}


@dataclass(frozen=True, slots=True)
class GrantFilter:
    """What a list of grants is narrowed to; None narrows nothing. An empty origin: of clients that name none."""

    state: GrantState | None = None
    origin: str | None = None
    tenant_id: str | None = None
    auth_client_id: str | None = None


@dataclass(frozen=True, slots=True)
class ListedGrant:
    """A grant as it is stored, without credentials, and whose it is.

    Attributes:
        secret: its `credentials` are empty.
        client: its auth client, as far as the grant's state depends on it.
        origin: of its provider; empty for clients that refresh nothing.
        tenant_name, workspace_name: where it is.
        lease_owner: the process that is refreshing it, if any has leased it.
    """

    secret: AuthSecret
    client: AuthClient
    origin: str
    tenant_name: str
    workspace_name: str
    lease_owner: str | None


class InstallationGrants:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def counts(self) -> Sequence[tuple[str, GrantState, int]]:
        """Count all grants, by their provider's origin (empty: none) and state. Reads the whole table."""
        rows = await _COUNTS.rows(self._unit.connection, now=self._unit.clock())
        return [(row.origin, grant_state(row.told), row.grants) for row in rows]

    async def made_before(self, origin: str, before: datetime, scopes: Sequence[str]) -> int:
        """Count the grants at a provider that a dated rule concerns, up to `MOST`; see `ConcernedGrants.at_origin`."""
        rows = await _made_before(len(scopes)).rows(
            self._unit.connection, origin=origin, before=before, **patterns(scopes)
        )
        return int(rows[0].number)

    async def page(self, wanted: GrantFilter, *, limit: int, offset: int) -> tuple[Sequence[ListedGrant], int]:
        """List grants by id; return a page and how many there are, counted up to `MOST`."""
        names, values = _narrowed_by(wanted)
        if wanted.state is not None:
            values["now"] = self._unit.clock()
        page, count = _listing(names)
        rows = await page.rows(self._unit.connection, most=limit, over=offset, **values)
        if 0 < len(rows) < limit or (not rows and not offset):
            return [listed_grant(row) for row in rows], offset + len(rows)
        (counted,) = await count.rows(self._unit.connection, **values)
        return [listed_grant(row) for row in rows], counted.number


@cache
def _made_before(scopes: int) -> Query:
    limited = concerned_at_origin(scopes).limit(MOST).subquery()
    return Query(select(func.count().label("number")).select_from(limited), scans=True)


def grant_state(told: str) -> GrantState:
    """Return what the database has worked out; causes of other versions are `other`."""
    return GrantState(told) if told in _KNOWN else GrantState.other


_KNOWN = frozenset(state.value for state in GrantState)


def grant_columns() -> list[ColumnElement[Any]]:
    """Return the columns of which `listed_grant` makes a grant, from `with_owners`."""
    own = [column for column in _s if column.name != SEALED]
    return [
        *own,
        _c.name.label("client_name"),
        _c.type.label("client_type"),
        _c.tenant_id.label("client_tenant"),
        _c.rejected_at.label("client_rejected_at"),
        _ORIGIN,
        tenants.c.name.label("tenant_name"),
        workspaces.c.name.label("workspace_name"),
    ]


def with_owners() -> FromClause:
    """Return secrets with their auth clients, tenants and workspaces."""
    joined = auth_secrets.join(auth_clients, _s.auth_client_id == _c.id)
    joined = joined.join(tenants, _s.tenant_id == tenants.c.id)
    return joined.join(workspaces, _s.workspace_id == workspaces.c.id)


def listed_grant(row: Any) -> ListedGrant:
    """Return a row of `grant_columns` as a value."""
    client = AuthClient(
        id=row.auth_client_id,
        tenant_id=row.client_tenant,
        contract_id=None,
        workspace_id=None,
        name=row.client_name,
        type=row.client_type,
        credentials={},
        rejected_at=row.client_rejected_at,
    )
    names = row.tenant_name, row.workspace_name
    return ListedGrant(secret_of(row, {}), client, row.origin, *names, row.lease_owner)


_FOUND_BY = {
    GrantState.ready: "ready",
    GrantState.paused: "of_rejected_client",
    GrantState.client_rejected: "of_rejected_client",
    GrantState.token_expired: "token_expired",
    GrantState.awaiting_cutover: "awaiting_cutover",
}
"""The condition that finds the grants of a state; all others are found among those in trouble."""


def _narrowed_by(wanted: GrantFilter) -> tuple[tuple[str, ...], dict[str, Any]]:
    values: dict[str, Any] = {}
    names = list[str]()
    if wanted.state is not None:
        names.append(_FOUND_BY.get(wanted.state, "in_trouble"))
        values["state"] = wanted.state.value
    if wanted.origin:
        names.append("origin")
        values["origin"] = wanted.origin
    elif wanted.origin is not None:
        names.append("no_origin")
    if wanted.tenant_id is not None:
        names.append("tenant")
        values["tenant"] = wanted.tenant_id
    if wanted.auth_client_id is not None:
        names.append("client")
        values["client"] = wanted.auth_client_id
    return tuple(names), values


@cache
def _listing(names: tuple[str, ...]) -> tuple[Query, Query]:
    """Return the list that is narrowed so, and its count; a page is found by ids first, and only its rows are read."""
    joined = auth_secrets.join(auth_clients, _s.auth_client_id == _c.id)
    ids = select(_s.id).select_from(joined).where(*(_CONDITIONS[name] for name in names)).order_by(_s.id)
    chosen = ids.limit(bindparam("most", type_=Integer)).offset(bindparam("over", type_=Integer))
    page = select(*grant_columns()).select_from(with_owners()).where(_s.id.in_(chosen)).order_by(_s.id)
    counted = select(func.count().label("number")).select_from(ids.order_by(None).limit(MOST).subquery())
    return Query(page, scans=True), Query(counted, scans=True)
