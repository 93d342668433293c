"""Counts what a tenant has stored of what quotas limit (contract 0.25)."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Table, Text, bindparam, cast, func, literal, select, union_all

from keyrack.model.consents import OPEN_LINKS, ConsentStatus
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TENANT, TenantQuery, Unit
from keyrack.store.schema import (
    api_keys,
    auth_clients,
    auth_secrets,
    component_env,
    component_versions,
    components,
    connect_links,
    consents,
    contract_invites,
    contracts,
    credentials,
    flow_versions,
    flows,
    mails,
    oauth_clients,
    teams,
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
    mails = "mails"
    other_rows = "other_rows"


def _rows(table: Table, *conditions: ColumnElement[bool]) -> TenantQuery:
    return TenantQuery(table, select(func.count().label("used")).select_from(table).where(*conditions), scans=True)


def _stored_on_postgresql(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.pg_column_size(column)  # reads no large value


def _stored_on_sqlite(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.length(cast(cast(column, Text), LargeBinary))


def _bytes(stored: Callable[[ColumnElement[Any]], ColumnElement[Any]]) -> Query:
    """Return the query that adds up a tenant's documents: what a caller can make large."""

    def size(*columns: ColumnElement[Any]) -> ColumnElement[Any]:
        total: ColumnElement[Any] = literal(0)
        for column in columns:
            total = total + func.coalesce(stored(column), 0)
        return func.coalesce(func.sum(total), 0).label("bytes")

    in_workspaces = flows.join(workspaces, workspaces.c.id == flows.c.workspace_id)
    parts = [
        select(size(tenants.c.attributes)).where(tenants.c.id == TENANT),
        select(size(contracts.c.custom_data, contracts.c.attributes)).where(contracts.c.tenant_id == TENANT),
        select(size(workspaces.c.attributes)).where(workspaces.c.tenant_id == TENANT),
        select(size(components.c.attributes)).where(components.c.tenant_id == TENANT),
        select(size(component_versions.c.descriptor))
        .select_from(component_versions.join(components, components.c.id == component_versions.c.component_id))
        .where(components.c.tenant_id == TENANT),
        select(size(component_env.c.sealed_vars))
        .select_from(component_env.join(components, components.c.id == component_env.c.component_id))
        .where(components.c.tenant_id == TENANT),
        select(size(credentials.c.sealed_keys)).where(credentials.c.tenant_id == TENANT),
        select(size(auth_secrets.c.sealed_credentials)).where(auth_secrets.c.tenant_id == TENANT),
        select(size(flows.c.graph, flows.c.draft, flows.c.attributes, flows.c.description))
        .select_from(in_workspaces)
        .where(workspaces.c.tenant_id == TENANT),
        select(size(flow_versions.c.graph))
        .select_from(in_workspaces.join(flow_versions, flow_versions.c.flow_id == flows.c.id))
        .where(workspaces.c.tenant_id == TENANT),
    ]
    every = union_all(*parts).subquery()
    return Query(select(func.sum(every.c[0]).label("used")), scans=True)


_OPEN_LINKS = (
    select(func.count())
    .select_from(connect_links)
    .where(
        connect_links.c.tenant_id == TENANT,
        connect_links.c.status.in_([each.value for each in OPEN_LINKS]),
        connect_links.c.expires_at > bindparam("now"),
    )
    .scalar_subquery()
)


def _count(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    return select(func.count()).select_from(table).where(*conditions).scalar_subquery()


def _own(table: Table) -> ColumnElement[Any]:
    return _count(table, table.c.tenant_id == TENANT)


_OF_CONTRACTS = select(contracts.c.id).where(contracts.c.tenant_id == TENANT)
_OTHER_ROWS = (
    _own(contracts)
    + _own(workspaces)
    + _own(components)
    + _own(oauth_clients)
    + _own(auth_clients)
    + _own(contract_invites)
    + _count(teams, teams.c.contract_id.in_(_OF_CONTRACTS))
    + _count(
        component_versions,
        component_versions.c.component_id.in_(select(components.c.id).where(components.c.tenant_id == TENANT)),
    )
)
"""All but users, whom the query counts itself."""
_ROWS: Mapping[Quota, TenantQuery] = {
    Quota.pending_consents: TenantQuery(
        consents,
        select((func.count() + _OPEN_LINKS).label("used"))
        .select_from(consents)
        .where(consents.c.status == ConsentStatus.pending.value, consents.c.expires_at > bindparam("now")),
        scans=True,
    ),
    Quota.api_keys: TenantQuery(
        users,
        select(func.count().label("used")).select_from(api_keys).join(users, users.c.id == api_keys.c.user_id),
        scans=True,
    ),
    Quota.webhooks: _rows(webhooks),
    Quota.secrets: _rows(auth_secrets),
    Quota.credentials: _rows(credentials),
    Quota.flows: _rows(
        flows, flows.c.workspace_id.in_(select(workspaces.c.id).where(workspaces.c.tenant_id == TENANT))
    ),
    Quota.other_rows: TenantQuery(
        users, select((func.count() + _OTHER_ROWS).label("used")).select_from(users), scans=True
    ),
    Quota.mails: _rows(mails, mails.c.created_at > bindparam("since")),
}
_MAILS_WITHIN = timedelta(days=1)
_BYTES = {"postgresql": _bytes(_stored_on_postgresql), "sqlite": _bytes(_stored_on_sqlite)}


class QuotaUsage:
    """Counts what the unit's tenant has stored, each in an index that leads by the tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def used(self, quota: Quota) -> int:
        """Return how much there is: a number of rows, or bytes as they are stored."""
        connection = self._unit.connection
        query = _BYTES[connection.dialect.name] if quota is Quota.document_bytes else _ROWS[quota]
        now = self._unit.clock()
        rows = await query.rows(connection, tenant_id=self._unit.tenant_id, now=now, since=now - _MAILS_WITHIN)
        return int(rows[0].used or 0)
