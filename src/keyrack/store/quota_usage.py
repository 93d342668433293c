"""Counts what a tenant has stored of what quotas limit (contract 0.25)."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Select, Text, cast, func, literal, select, union_all

from keyrack.model.consents import ConsentStatus
from keyrack.store.core.unit import Unit
from keyrack.store.schema import (
    api_keys,
    auth_secrets,
    component_env,
    component_versions,
    components,
    consents,
    contracts,
    credentials,
    flow_versions,
    flows,
    tenants,
    users,
    webhooks,
    workspaces,
)


class Quota(StrEnum):
    """What of a tenant is limited."""

    pending_consents = "pending_consents"
    api_keys = "api_keys"
    webhooks = "webhooks"
    secrets = "secrets"
    credentials = "credentials"
    flows = "flows"
    document_bytes = "document_bytes"


class QuotaUsage:
    """Counts what the unit's tenant has stored, each in an index that leads by the tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def used(self, quota: Quota) -> int:
        """Return how much there is: a number of rows, or bytes as they are stored."""
        query = self._bytes() if quota is Quota.document_bytes else self._rows(quota)
        return int((await self._unit.connection.execute(query)).scalar() or 0)

    def _rows(self, quota: Quota) -> "Select[Any]":
        tenant_id = self._unit.tenant_id
        count = select(func.count())
        workspace_ids = select(workspaces.c.id).where(workspaces.c.tenant_id == tenant_id)
        queries: Mapping[Quota, Select[Any]] = {
            Quota.pending_consents: count.select_from(consents).where(
                consents.c.tenant_id == tenant_id,
                consents.c.status == ConsentStatus.pending.value,
                consents.c.expires_at > self._unit.clock(),
            ),
            Quota.api_keys: count.select_from(api_keys)
            .join(users, users.c.id == api_keys.c.user_id)
            .where(users.c.tenant_id == tenant_id),
            Quota.webhooks: count.select_from(webhooks).where(webhooks.c.tenant_id == tenant_id),
            Quota.secrets: count.select_from(auth_secrets).where(auth_secrets.c.tenant_id == tenant_id),
            Quota.credentials: count.select_from(credentials).where(credentials.c.tenant_id == tenant_id),
            Quota.flows: count.select_from(flows).where(
                flows.c.workspace_id.in_(workspace_ids), flows.c.tenant_id == tenant_id
            ),
        }
        return queries[quota]

    def _bytes(self) -> "Select[Any]":
        """Return the query that adds up documents: what a caller can make large."""
        tenant_id = self._unit.tenant_id
        in_workspaces = flows.join(workspaces, workspaces.c.id == flows.c.workspace_id)
        parts = [
            select(self._size(tenants.c.attributes)).where(tenants.c.id == tenant_id),
            select(self._size(contracts.c.custom_data, contracts.c.attributes)).where(
                contracts.c.tenant_id == tenant_id
            ),
            select(self._size(workspaces.c.attributes)).where(workspaces.c.tenant_id == tenant_id),
            select(self._size(components.c.attributes)).where(components.c.tenant_id == tenant_id),
            select(self._size(component_versions.c.descriptor))
            .select_from(component_versions.join(components, components.c.id == component_versions.c.component_id))
            .where(components.c.tenant_id == tenant_id),
            select(self._size(component_env.c.sealed_vars))
            .select_from(component_env.join(components, components.c.id == component_env.c.component_id))
            .where(components.c.tenant_id == tenant_id),
            select(self._size(credentials.c.sealed_keys)).where(credentials.c.tenant_id == tenant_id),
            select(self._size(auth_secrets.c.sealed_credentials)).where(auth_secrets.c.tenant_id == tenant_id),
            select(self._size(flows.c.graph, flows.c.draft, flows.c.attributes, flows.c.description))
            .select_from(in_workspaces)
            .where(workspaces.c.tenant_id == tenant_id),
            select(self._size(flow_versions.c.graph))
            .select_from(in_workspaces.join(flow_versions, flow_versions.c.flow_id == flows.c.id))
            .where(workspaces.c.tenant_id == tenant_id),
        ]
        every = union_all(*parts).subquery()
        return select(func.sum(every.c[0]))

    def _size(self, *columns: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the bytes that columns take, together, of all rows."""
        if self._unit.connection.dialect.name == "postgresql":
            sizes = [func.coalesce(func.pg_column_size(column), 0) for column in columns]  # reads no large value
        else:
            sizes = [func.coalesce(func.length(cast(cast(column, Text), LargeBinary)), 0) for column in columns]
        total: ColumnElement[Any] = literal(0)
        for size in sizes:
            total = total + size
        return func.coalesce(func.sum(total), 0).label("bytes")
