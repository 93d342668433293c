"""Finds who uses a component, a credential or an OAuth client (its blast radius)."""

from collections.abc import Sequence
from typing import Any, get_args

from sqlalchemy import ColumnElement, Row, Table, func, select

from keyrack.model.clients import OAuthClient
from keyrack.model.flows import FlowPlace, FlowStatus, Reference, Usage
from keyrack.store import schema as t
from keyrack.store.core.unit import TenantTable

_PLACES: tuple[FlowPlace, ...] = get_args(FlowPlace)


class Usages(TenantTable):
    """Looks up references inside the unit's tenant."""

    table = t.flow_references

    async def flows_of(self, component_id: str, revision: str | None = None) -> Sequence[Reference]:
        """List the tenant's flows that name a component (or one revision of it), with the places where they do."""
        r, f = t.flow_references.c, t.flows.c
        query = (
            self.select(f.id, f.name, f.status, f.workspace_id, r.place)
            .join_from(t.flow_references, t.flows, r.flow_id == f.id)
            .where(r.component_id == component_id)
            .order_by(f.id)
        )
        if revision is not None:
            query = query.where(r.revision == revision)
        return _references(await self.all(query))

    async def flows_of_contract(self, contract_id: str) -> Sequence[Reference]:
        """List the tenant's flows outside of a contract that name a component of it."""
        r, f, c, w = t.flow_references.c, t.flows.c, t.components.c, t.workspaces.c
        query = (
            self.select(f.id, f.name, f.status, f.workspace_id, r.place)
            .select_from(t.flow_references)
            .join(t.flows, r.flow_id == f.id)
            .join(t.components, r.component_id == c.id)
            .join(t.workspaces, f.workspace_id == w.id)
            .where(c.contract_id == contract_id, w.contract_id != contract_id)
            .order_by(f.id)
        )
        return _references(await self.all(query))

    async def of_oauth_client(self, client: OAuthClient) -> Usage:
        """Count what depends on a client: flows, credentials and the workspaces they are in (contract 0.15)."""
        c, x = t.credentials.c, t.oauth_clients.c
        flows = tuple(await self.flows_of(client.component_id))
        rows = await self.all(
            select(c.workspace_id, func.count().label("credentials"))
            .where(c.tenant_id == self.unit.tenant_id, c.component_id == client.component_id)
            .group_by(c.workspace_id)
        )
        workspaces = {row.workspace_id for row in rows} | {flow.workspace_id for flow in flows}
        own = (x.id == client.id, x.tenant_id == self.unit.tenant_id)
        last_used_at = await self.value(select(x.last_used_at).where(*own))
        return Usage(flows, sum(row.credentials for row in rows), len(workspaces), last_used_at)

    async def active_flows_with_credential(self, credential_id: str) -> Sequence[Reference]:
        """List the tenant's active flows whose current graph names a credential (contract section 16)."""
        return await self._active_flows(t.flow_credentials, t.flow_credentials.c.credential_id == credential_id)

    async def active_flows_with_secret(self, secret_id: str) -> Sequence[Reference]:
        """List the tenant's active flows whose current graph names an auth secret (contract 15.2)."""
        return await self._active_flows(t.flow_secrets, t.flow_secrets.c.secret_id == secret_id)

    async def _active_flows(self, index: Table, condition: ColumnElement[bool]) -> Sequence[Reference]:
        f = t.flows.c
        query = (
            select(f.id, f.name, f.status, f.workspace_id)
            .join_from(index, t.flows, index.c.flow_id == f.id)
            .where(index.c.tenant_id == self.unit.tenant_id, condition)
            .where(f.status == FlowStatus.active.value)
            .order_by(f.id)
        )
        return [
            Reference(row.id, row.name, FlowStatus(row.status), row.workspace_id, ("graph",))
            for row in await self.all(query)
        ]

    async def workspaces_of(self, user_id: str) -> frozenset[str]:
        """Return the ids of the workspaces a user is a member of."""
        m = t.workspace_members.c
        query = select(m.workspace_id).where(m.user_id == user_id, m.tenant_id == self.unit.tenant_id)
        return frozenset(row.workspace_id for row in await self.all(query))


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
