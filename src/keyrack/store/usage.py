"""Finds who uses a component, a credential or an OAuth client (its blast radius)."""

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import Row, Table, bindparam, func, select

from keyrack.model.clients import OAuthClient
from keyrack.model.flows import FlowPlace, FlowStatus, Reference, Usage
from keyrack.store import schema as t
from keyrack.store.core.unit import TenantQuery, TenantTable

_PLACES: tuple[FlowPlace, ...] = get_args(FlowPlace)

_r, _f, _c, _w = t.flow_references.c, t.flows.c, t.components.c, t.workspaces.c

_NAMING = (
    select(_f.id, _f.name, _f.status, _f.workspace_id, _r.place)
    .select_from(t.flow_references)
    .join(t.flows, _r.flow_id == _f.id)
    .order_by(_f.id)
)
_NAMING_COMPONENT = _NAMING.where(_r.component_id == bindparam("component"))
_FLOWS_OF = TenantQuery(t.flow_references, _NAMING_COMPONENT, scans=True)
_FLOWS_OF_BUILD = TenantQuery(t.flow_references, _NAMING_COMPONENT.where(_r.revision == bindparam("build")), scans=True)
_FLOWS_OF_CONTRACT = TenantQuery(
    t.flow_references,
    _NAMING.join(t.components, _r.component_id == _c.id)
    .join(t.workspaces, _f.workspace_id == _w.id)
    .where(_c.contract_id == bindparam("contract"), _w.contract_id != bindparam("contract")),
    scans=True,
)
_CREDENTIALS_OF = TenantQuery(
    t.credentials,
    select(t.credentials.c.workspace_id, func.count().label("credentials"))
    .where(t.credentials.c.component_id == bindparam("component"))
    .group_by(t.credentials.c.workspace_id),
    scans=True,
)
_LAST_USE = TenantQuery(
    t.oauth_clients, select(t.oauth_clients.c.last_used_at).where(t.oauth_clients.c.id == bindparam("id"))
)
_WORKSPACES_OF = TenantQuery(
    t.workspace_members,
    select(t.workspace_members.c.workspace_id).where(t.workspace_members.c.user_id == bindparam("user")),
    scans=True,
)


def _active_flows(index: Table, used: str) -> TenantQuery:
    """Return the query for active flows whose current graph names something, by an index of what graphs name."""
    query = select(_f.id, _f.name, _f.status, _f.workspace_id).join_from(index, t.flows, index.c.flow_id == _f.id)
    active = (index.c[used] == bindparam("used"), _f.status == FlowStatus.active.value)
    return TenantQuery(index, query.where(*active).order_by(_f.id), scans=True)


_FLOWS_WITH_CREDENTIAL = _active_flows(t.flow_credentials, "credential_id")
_FLOWS_WITH_SECRET = _active_flows(t.flow_secrets, "secret_id")


class Usages(TenantTable):
    """Looks up references inside the unit's tenant."""

    table = t.flow_references

    async def flows_of(self, component_id: str, revision: str | None = None) -> Sequence[Reference]:
        """List the tenant's flows that name a component (or one revision of it), with the places where they do."""
        if revision is None:
            return _references(await self.ask(_FLOWS_OF, component=component_id))
        return _references(await self.ask(_FLOWS_OF_BUILD, component=component_id, build=revision))

    async def flows_of_contract(self, contract_id: str) -> Sequence[Reference]:
        """List the tenant's flows outside of a contract that name a component of it."""
        return _references(await self.ask(_FLOWS_OF_CONTRACT, contract=contract_id))

    async def of_oauth_client(self, client: OAuthClient) -> Usage:
        """Count what depends on a client: flows, credentials and the workspaces they are in (contract 0.15)."""
        flows = tuple(await self.flows_of(client.component_id))
        rows = await self.ask(_CREDENTIALS_OF, component=client.component_id)
        workspaces = {row.workspace_id for row in rows} | {flow.workspace_id for flow in flows}
        own = await self.ask_one(_LAST_USE, id=client.id)
        last_used_at = None if own is None else own.last_used_at
        return Usage(flows, sum(row.credentials for row in rows), len(workspaces), last_used_at)

    async def active_flows_with_credential(self, credential_id: str) -> Sequence[Reference]:
        """List the tenant's active flows whose current graph names a credential (contract section 16)."""
        return _in_graph(await self.ask(_FLOWS_WITH_CREDENTIAL, used=credential_id))

    async def active_flows_with_secret(self, secret_id: str) -> Sequence[Reference]:
        """List the tenant's active flows whose current graph names an auth secret (contract 15.2)."""
        return _in_graph(await self.ask(_FLOWS_WITH_SECRET, used=secret_id))

    async def workspaces_of(self, user_id: str) -> frozenset[str]:
        """Return the ids of the workspaces a user is a member of."""
        return frozenset(row.workspace_id for row in await self.ask(_WORKSPACES_OF, user=user_id))


def _in_graph(rows: Sequence[Row[Any]]) -> Sequence[Reference]:
    return [Reference(row.id, row.name, FlowStatus(row.status), row.workspace_id, ("graph",)) for row in rows]


def _references(rows: Sequence[Row[Any]]) -> Sequence[Reference]:
    """Make one of all rows of a flow, each of which has another place."""
    places: dict[str, set[str]] = {}
    for row in rows:
        places.setdefault(row.id, set()).add(row.place)
    flows = {row.id: row for row in rows}
    return [
        Reference(
            row.id,
            row.name,
            FlowStatus(row.status),
            row.workspace_id,
            tuple(place for place in _PLACES if place in places[row.id]),
        )
        for row in flows.values()
    ]
