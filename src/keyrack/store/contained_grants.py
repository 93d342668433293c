"""The grants that a freeze is about: how many, which of them are to be dealt with, and what became of each."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from sqlalchemy import BindParameter, ColumnElement, Integer, String, bindparam, delete, distinct, func, or_, select

from keyrack.errors import AlreadyExists
from keyrack.model.containment import (
    BlastRadius,
    ContainedGrant,
    Freeze,
    FreezeKind,
    GrantStatus,
    TargetedGrant,
)
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantTable, Unit
from keyrack.store.schema import (
    auth_clients,
    auth_secrets,
    contained_grants,
    credentials,
    flow_secrets,
    oauth_clients,
)

_PAGE = 500
_s, _c, _o, _k, _g = auth_secrets.c, auth_clients.c, oauth_clients.c, credentials.c, contained_grants.c
_TARGET: BindParameter[str] = bindparam("target", type_=String)

_GRANTS: Mapping[FreezeKind, ColumnElement[bool]] = {
    FreezeKind.client: _s.auth_client_id == _TARGET,
    FreezeKind.provider: _s.auth_client_id.in_(select(_c.id).where(_c.origin == _TARGET)),
    FreezeKind.tenant: _s.tenant_id == _TARGET,
}
_CLIENTS: Mapping[FreezeKind, ColumnElement[bool]] = {
    FreezeKind.client: _c.id == _TARGET,
    FreezeKind.provider: _c.origin == _TARGET,
    FreezeKind.tenant: _c.tenant_id == _TARGET,
}
_OAUTH_CLIENTS: Mapping[FreezeKind, ColumnElement[bool]] = {
    FreezeKind.client: _o.id == _TARGET,
    FreezeKind.tenant: _o.tenant_id == _TARGET,
}


def _counts(kind: FreezeKind) -> Query:
    named = select(func.count(distinct(flow_secrets.c.flow_id))).where(
        flow_secrets.c.secret_id.in_(select(_s.id).where(_GRANTS[kind]))
    )
    return Query(
        select(
            func.count().label("grants"),
            func.count(distinct(_s.tenant_id)).label("tenants"),
            func.count(distinct(_s.workspace_id)).label("workspaces"),
            func.count(distinct(_s.user_id)).label("users"),
            named.scalar_subquery().label("flows"),
            select(func.count()).select_from(auth_clients).where(_CLIENTS[kind]).scalar_subquery().label("clients"),
        )
        .select_from(auth_secrets)
        .where(_GRANTS[kind]),
        scans=True,
    )


def _first_generation(kind: FreezeKind) -> Query:
    of = select(_o.tenant_id, _o.component_id).where(_OAUTH_CLIENTS[kind]).subquery()
    counted = (
        select(func.count())
        .select_from(credentials)
        .join(of, (of.c.tenant_id == _k.tenant_id) & (of.c.component_id == _k.component_id))
    )
    if kind is FreezeKind.tenant:
        counted = select(func.count()).select_from(credentials).where(_k.tenant_id == _TARGET)
    clients = select(func.count()).select_from(oauth_clients).where(_OAUTH_CLIENTS[kind])
    return Query(
        select(clients.scalar_subquery().label("clients"), counted.scalar_subquery().label("credentials")), scans=True
    )


def _left(kind: FreezeKind) -> Query:
    """The grants that were not known to be done before, of each tenant one, then of each another one, and so on."""
    done = select(_g.secret_id).where(
        _g.freeze_id == bindparam("freeze"),
        _g.status.in_(bindparam("done", expanding=True)),
        _g.at < bindparam("before", type_=_g.at.type),  # so that numbers stay as they are from page to page
    )
    in_turn = func.row_number().over(partition_by=_s.tenant_id, order_by=_s.id).label("turn")
    listed = (
        select(_s.tenant_id, _s.workspace_id, _s.auth_client_id, _s.id, in_turn)
        .where(_GRANTS[kind], _s.id.not_in(done))
        .subquery()
    )
    after = or_(
        listed.c.turn > bindparam("turn", type_=Integer),
        (listed.c.turn == bindparam("turn", type_=Integer)) & (listed.c.tenant_id > bindparam("tenant")),
    )
    return Query(
        select(listed).where(after).order_by(listed.c.turn, listed.c.tenant_id).limit(_PAGE),
        scans=True,
    )


_COUNTS = {kind: _counts(kind) for kind in FreezeKind}
_FIRST_GENERATION = {kind: _first_generation(kind) for kind in _OAUTH_CLIENTS}
_LEFT = {kind: _left(kind) for kind in FreezeKind}
_FORGETTING = TenantChange(
    contained_grants,
    delete(contained_grants).where(_g.freeze_id == bindparam("freeze"), _g.secret_id == bindparam("secret")),
)
_OF_FREEZE = Query(select(*_g).where(_g.freeze_id == bindparam("freeze")).order_by(_g.tenant_id, _g.secret_id))


class ContainedGrants(TenantTable):
    """What became of grants of the unit's tenant."""

    table = contained_grants

    async def note(self, freeze_id: str, grant: ContainedGrant) -> None:
        """Write down what became of a grant, in place of what was known before."""
        await self.make(_FORGETTING, freeze=freeze_id, secret=grant.secret_id)
        noted = {
            "freeze_id": freeze_id,
            "secret_id": grant.secret_id,
            "status": grant.status.value,
            "facts": grant.facts,
            "at": grant.at,
        }
        with suppress(AlreadyExists):  # another command that deals with the same freeze has just written it down
            await self.insert(noted)


class TargetedGrants:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def blast_radius(self, kind: FreezeKind, target: str) -> BlastRadius:
        """Count what hangs on a client, a provider or a tenant."""
        (row,) = await _COUNTS[kind].rows(self._unit.connection, target=target)
        clients, old = row.clients, 0
        if kind in _FIRST_GENERATION:
            (first,) = await _FIRST_GENERATION[kind].rows(self._unit.connection, target=target)
            clients, old = clients + first.clients, first.credentials
        return BlastRadius(clients, row.grants, old, row.tenants, row.workspaces, row.users, row.flows)

    async def left(
        self, freeze: Freeze, done: Collection[GrantStatus], before: datetime, turn: int, tenant: str
    ) -> Sequence[tuple[int, TargetedGrant]]:
        """Return a page of the grants that are to be dealt with, tenants in turn, after a turn of a tenant.

        Args:
            freeze: which grants it is about.
            done: those of a status among these are left out,
            before: where they had it before this.
            turn: of the last one of the page before; 0 for the first page.
            tenant: whose that was.
        """
        given = {"target": freeze.target, "freeze": freeze.id, "done": sorted(done), "before": before}
        rows = await _LEFT[freeze.kind].rows(self._unit.connection, **given, turn=turn, tenant=tenant)
        return [(row.turn, TargetedGrant(row.tenant_id, row.workspace_id, row.auth_client_id, row.id)) for row in rows]

    async def contained(self, freeze_id: str) -> Sequence[ContainedGrant]:
        """Return what became of the grants of a freeze, by tenant."""
        return [
            ContainedGrant(row.tenant_id, row.secret_id, GrantStatus(row.status), row.facts, row.at)
            for row in await _OF_FREEZE.rows(self._unit.connection, freeze=freeze_id)
        ]
