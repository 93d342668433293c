"""Finds what hangs on an auth client in one tenant, within bounds: connections, open consents, flows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Integer, Select, bindparam, case, func, select

from keyrack.model.consents import ConsentStatus
from keyrack.model.flows import FlowStatus, Reference
from keyrack.model.secrets import SecretState
from keyrack.store import schema as t
from keyrack.store.core.unit import TENANT, TenantQuery, TenantTable

MOST = 10_000
"""Connections that are looked at; where there are more, numbers are of these."""

_s, _c, _f, _w, _m = t.auth_secrets.c, t.consents.c, t.flows.c, t.workspaces.c, t.workspace_members.c
_LIMIT, _OVER = bindparam("most", type_=Integer), bindparam("over", type_=Integer)


@dataclass(frozen=True, slots=True)
class UsingWorkspace:
    """A workspace with connections of a client.

    Attributes:
        id: its id.
        name: its name.
        secrets: how many.
        broken: how many of these are in `error`.
    """

    id: str
    name: str
    secrets: int
    broken: int


def _some(*columns: Any) -> "Select[Any]":
    """Return the query of the first secrets of a client in the unit's tenant."""
    return select(*columns).where(_s.auth_client_id == bindparam("client"), _s.tenant_id == TENANT).limit(MOST)


_SECRETS = _some(_s.workspace_id, _s.state).subquery()
_BROKEN = func.count(case((_SECRETS.c.state == SecretState.error.value, 1))).label("broken")
_WORKSPACES = TenantQuery(
    t.workspaces,
    select(_w.id, _w.name, func.count().label("secrets"), _BROKEN)
    .join_from(_SECRETS, t.workspaces, _SECRETS.c.workspace_id == _w.id)
    .group_by(_w.id, _w.name)
    .order_by(func.count().desc(), _w.id),
    scans=True,
)
_OPEN_CONSENTS = TenantQuery(
    t.consents,
    select(func.count().label("number"))
    .select_from(t.consents)
    .where(
        _c.auth_client_id == bindparam("client"),
        _c.status.in_([ConsentStatus.pending.value, ConsentStatus.exchanging.value]),
        _c.expires_at > bindparam("now", type_=_c.expires_at.type),
    ),
    scans=True,
)


def _flows(*, own: bool) -> "Select[Any]":
    """Return the query of flows whose current graph names a secret of a client; own: of a user's workspaces."""
    named = select(t.flow_secrets.c.flow_id).where(
        t.flow_secrets.c.tenant_id == TENANT, t.flow_secrets.c.secret_id.in_(_some(_s.id).subquery().select())
    )
    query = select(_f.id, _f.name, _f.status, _f.workspace_id).where(_f.id.in_(named))
    mine = select(_m.workspace_id).where(_m.user_id == bindparam("user"), _m.tenant_id == TENANT)
    return query.where(_f.workspace_id.in_(mine)) if own else query


def _counted(query: "Select[Any]") -> TenantQuery:
    return TenantQuery(t.flows, query.with_only_columns(func.count().label("number")), scans=True)


def _paged(query: "Select[Any]") -> TenantQuery:
    return TenantQuery(t.flows, query.order_by(_f.id).limit(_LIMIT).offset(_OVER), scans=True)


_FLOWS, _FLOW_COUNT = _paged(_flows(own=False)), _counted(_flows(own=False))
_OWN_FLOWS, _OWN_FLOW_COUNT = _paged(_flows(own=True)), _counted(_flows(own=True))


class AuthClientUsages(TenantTable):
    """What hangs on auth clients in the unit's tenant; of a global client, what hangs on it there."""

    table = t.auth_secrets

    async def workspaces(self, auth_client_id: str) -> Sequence[UsingWorkspace]:
        """List the workspaces that have connections of a client, those with most of them first."""
        rows = await self.ask(_WORKSPACES, client=auth_client_id)
        return [UsingWorkspace(row.id, row.name, row.secrets, row.broken) for row in rows]

    async def open_consents(self, auth_client_id: str) -> int:
        """Count the consents that were begun with a client and can still be finished."""
        rows = await self.ask(_OPEN_CONSENTS, client=auth_client_id, now=self.unit.clock())
        return int(rows[0].number)

    async def flow_count(self, auth_client_id: str) -> int:
        """Count the flows whose current graph names a connection of a client."""
        return int((await self.ask(_FLOW_COUNT, client=auth_client_id))[0].number)

    async def flows_page(
        self, auth_client_id: str, user_id: str | None, *, limit: int, offset: int
    ) -> tuple[Sequence[Reference], int]:
        """List such flows by id; return a page and the total.

        Args:
            auth_client_id: the client.
            user_id: only those of the workspaces of this user; None: all.
            limit: how many at most.
            offset: how many to pass over.
        """
        given = {"client": auth_client_id, **({} if user_id is None else {"user": user_id})}
        page, count = (_FLOWS, _FLOW_COUNT) if user_id is None else (_OWN_FLOWS, _OWN_FLOW_COUNT)
        rows = await self.ask(page, most=limit, over=offset, **given)
        total = (await self.ask(count, **given))[0].number
        return [Reference(row.id, row.name, FlowStatus(row.status), row.workspace_id, ("graph",)) for row in rows], int(
            total
        )
