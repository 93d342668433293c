"""Finds what hangs on an auth client in one tenant, within bounds: connections, open consents; flows: `flow_list`."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import bindparam, case, distinct, func, select

from keyrack.model.consents import ConsentStatus
from keyrack.model.secrets import SecretState
from keyrack.store import schema as t
from keyrack.store.core.unit import TENANT, TenantQuery, TenantTable

MOST = 10_000
"""Connections that are looked at; where there are more, numbers are of these."""

_s, _c, _w = t.auth_secrets.c, t.consents.c, t.workspaces.c


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


_SECRETS = (
    select(_s.workspace_id, _s.state)
    .where(_s.auth_client_id == bindparam("client"), _s.tenant_id == TENANT)
    .limit(MOST)
    .subquery()
)
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


_USERS = TenantQuery(
    t.auth_secrets,
    select(func.count(distinct(_s.user_id)).label("number")).where(_s.auth_client_id == bindparam("client")),
    scans=True,
)


class AuthClientUsages(TenantTable):
    """What hangs on auth clients in the unit's tenant; of a global client, what hangs on it there."""

    table = t.auth_secrets

    async def workspaces(self, auth_client_id: str) -> Sequence[UsingWorkspace]:
        """List the workspaces that have connections of a client, those with most of them first."""
        rows = await self.ask(_WORKSPACES, client=auth_client_id)
        return [UsingWorkspace(row.id, row.name, row.secrets, row.broken) for row in rows]

    async def users(self, auth_client_id: str) -> int:
        """Count the users who have connections of a client."""
        return int((await self.ask(_USERS, client=auth_client_id))[0].number)

    async def open_consents(self, auth_client_id: str) -> int:
        """Count the consents that were begun with a client and can still be finished."""
        rows = await self.ask(_OPEN_CONSENTS, client=auth_client_id, now=self.unit.clock())
        return int(rows[0].number)
