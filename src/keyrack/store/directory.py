"""Looks across tenants: which tenant an id belongs to. Who somebody is, is looked for by `keyrack.store.identities`.

Its queries are not bound to a tenant. They answer with ids, never with a tenant's values.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Select, Table, bindparam, func, select

from keyrack.store import schema as t
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit


@dataclass(frozen=True, slots=True)
class Location:
    """Where a resource lives; the narrower ids are None above their level."""

    tenant_id: str
    contract_id: str | None = None
    workspace_id: str | None = None


_WITH_ID: dict[str, Table] = {
    "tenant": t.tenants,
    "contract": t.contracts,
    "contract-invite": t.contract_invites,
    "workspace": t.workspaces,
    "team": t.teams,
    "component": t.components,
    "user": t.users,
    "flow": t.flows,
    "credential": t.credentials,
    "auth-secret": t.auth_secrets,
    "oauth-client": t.oauth_clients,
    "auth-client": t.auth_clients,
}


def _workspace_of(leaf: Table) -> Query:
    w = t.workspaces.c
    query = select(w.tenant_id, w.contract_id, w.id).join_from(leaf, t.workspaces, leaf.c.workspace_id == w.id)
    return Query(query.where(leaf.c.id == bindparam("id")))


_TENANT = Query(select(t.tenants.c.id).where(t.tenants.c.id == bindparam("id")))
_CONTRACT = Query(select(t.contracts.c.tenant_id, t.contracts.c.id).where(t.contracts.c.id == bindparam("id")))
_WORKSPACE = Query(
    select(t.workspaces.c.tenant_id, t.workspaces.c.contract_id, t.workspaces.c.id).where(
        t.workspaces.c.id == bindparam("id")
    )
)
_IN_WORKSPACE = {
    "flow": _workspace_of(t.flows),
    "credential": _workspace_of(t.credentials),
    "auth_secret": _workspace_of(t.auth_secrets),
}


_TEAM = Query(select(t.teams.c.tenant_id, t.teams.c.contract_id).where(t.teams.c.id == bindparam("id")))
_COMPONENT = Query(
    select(t.components.c.tenant_id, t.components.c.contract_id).where(t.components.c.id == bindparam("id"))
)
_USER = Query(select(t.users.c.tenant_id).where(t.users.c.id == bindparam("id")))
_USER_NAME = Query(select(t.users.c.email).where(t.users.c.id == bindparam("id")))
_AUTH_CLIENT = Query(
    select(
        t.auth_clients.c.tenant_id,
        func.coalesce(t.auth_clients.c.contract_id, t.workspaces.c.contract_id).label("contract_id"),
        t.auth_clients.c.workspace_id,
    )
    .outerjoin_from(t.auth_clients, t.workspaces, t.auth_clients.c.workspace_id == t.workspaces.c.id)
    .where(t.auth_clients.c.id == bindparam("id"))
)
_OAUTH_CLIENT = Query(select(t.oauth_clients.c.tenant_id).where(t.oauth_clients.c.id == bindparam("id")))
_SECRETS = t.auth_secrets.c
_SECRETS_ATTACHED = Query(
    select(func.count()).select_from(t.auth_secrets).where(_SECRETS.auth_client_id == bindparam("auth_client_id")),
    scans=True,
)
_TENANTS_WITH_SECRETS = Query(
    select(_SECRETS.tenant_id)
    .where(_SECRETS.auth_client_id == bindparam("auth_client_id"))
    .distinct()
    .order_by(_SECRETS.tenant_id),
    scans=True,
)


def _workspace_by(hash_column: Column[Any]) -> Query:
    leaf, w = hash_column.table, t.workspaces.c
    query = select(w.tenant_id, w.contract_id, w.id).join_from(leaf, t.workspaces, leaf.c.workspace_id == w.id)
    return Query(query.where(hash_column == bindparam("hash")))


_CONSENT_BY_STATE = _workspace_by(t.consents.c.state_hash)
_CONSENT_BY_LINK = _workspace_by(t.consents.c.link_hash)
_CONNECT_LINK = _workspace_by(t.connect_links.c.link_hash)
_SETUP_LINK = Query(select(t.setup_links.c.tenant_id).where(t.setup_links.c.link_hash == bindparam("hash")))
_CONNECT_LOGO = Query(select(t.connect_themes.c.tenant_id).where(t.connect_themes.c.logo_digest == bindparam("digest")))


_AUTHENTICATION_REQUEST = Query(
    select(t.authentication_requests.c.tenant_id).where(t.authentication_requests.c.state_hash == bindparam("hash"))
)
_HAS = {kind: Query(select(table.c.id).where(table.c.id == bindparam("id"))) for kind, table in _WITH_ID.items()}
_HAS_WITHIN = {
    kind: Query(
        select(table.c.id).where(
            table.c.id == bindparam("id"),
            (table.c.id if table is t.tenants else table.c.tenant_id).in_([bindparam("tenant_id"), INSTALLATION]),
        )
    )
    for kind, table in _WITH_ID.items()
}
_REFERENCES = t.flow_references.c
_FLOWS_USING = (
    select(_REFERENCES.tenant_id, func.count(_REFERENCES.flow_id.distinct()).label("flows"))
    .where(_REFERENCES.component_id == bindparam("component_id"))
    .group_by(_REFERENCES.tenant_id)
)
_FLOWS_USING_COMPONENT = Query(_FLOWS_USING, scans=True)
_FLOWS_USING_REVISION = Query(_FLOWS_USING.where(_REFERENCES.revision == bindparam("revision")), scans=True)
_FLOWS_USING_CONTRACT = Query(
    select(_REFERENCES.tenant_id, func.count(_REFERENCES.flow_id.distinct()).label("flows"))
    .select_from(t.flow_references)
    .join(t.components, _REFERENCES.component_id == t.components.c.id)
    .join(t.flows, _REFERENCES.flow_id == t.flows.c.id)
    .join(t.workspaces, t.flows.c.workspace_id == t.workspaces.c.id)
    .where(
        t.components.c.contract_id == bindparam("contract_id"), t.workspaces.c.contract_id != bindparam("contract_id")
    )
    .group_by(_REFERENCES.tenant_id),
    scans=True,
)
_INSTALLATION = Query(select(t.installation.c.id))


_PLACES = {
    "tenant": _TENANT, "contract": _CONTRACT, "workspace": _WORKSPACE, "auth_client": _AUTH_CLIENT,
    "oauth_client": _OAUTH_CLIENT, **_IN_WORKSPACE,
}  # fmt: skip


class Directory:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._connection = unit.connection

    async def tenant(self, tenant_id: str) -> Location | None:
        """Find a tenant."""
        return await self._at(_TENANT, id=tenant_id)

    async def contract(self, contract_id: str) -> Location | None:
        """Find a contract's tenant."""
        return await self._at(_CONTRACT, id=contract_id)

    async def workspace(self, workspace_id: str) -> Location | None:
        """Find a workspace's contract and tenant."""
        return await self._at(_WORKSPACE, id=workspace_id)

    async def contracts(self, *, limit: int | None, offset: int) -> tuple[Sequence[Location], int]:
        """List where the contracts of all tenants are, by id; return a page and the total."""
        c = t.contracts.c
        return await self._page(select(c.tenant_id, c.id).order_by(c.id), limit, offset)

    async def workspaces(self, *, limit: int | None, offset: int) -> tuple[Sequence[Location], int]:
        """List where the workspaces of all tenants are, by id; return a page and the total."""
        w = t.workspaces.c
        return await self._page(select(w.tenant_id, w.contract_id, w.id).order_by(w.id), limit, offset)

    async def team(self, team_id: str) -> Location | None:
        """Find a team's contract and tenant."""
        return await self._at(_TEAM, id=team_id)

    async def component(self, component_id: str) -> Location | None:
        """Find the contract and tenant that own a component."""
        return await self._at(_COMPONENT, id=component_id)

    async def user(self, user_id: str) -> Location | None:
        """Find a user's home tenant."""
        return await self._at(_USER, id=user_id)

    async def user_name(self, user_id: str) -> str | None:
        """Return the email of a user, as the audit log shows it."""
        rows = await _USER_NAME.rows(self._connection, id=user_id)
        return str(rows[0].email) if rows else None

    async def has(self, kind: str, resource_id: str, tenant_id: str | None) -> bool:
        """Tell whether a resource of a type has an id, in a tenant or above all; None: in whichever tenant."""
        if tenant_id is None:
            return bool(await _HAS[kind].rows(self._connection, id=resource_id))
        return bool(await _HAS_WITHIN[kind].rows(self._connection, id=resource_id, tenant_id=tenant_id))

    async def place(self, kind: str, place_id: str) -> Location | None:
        """Find a tenant, contract, workspace, `auth_client` or `oauth_client`, or the place of what is in a workspace.

        The latter are a `flow`, `credential` or `auth_secret`.
        """
        return await self._at(_PLACES[kind], id=place_id)

    async def auth_client(self, auth_client_id: str) -> Location | None:
        """Find the scope of an auth client; that of a global one has an empty tenant id."""
        return await self._at(_AUTH_CLIENT, id=auth_client_id)

    async def secrets_attached(self, auth_client_id: str) -> int:
        """Count the secrets of an auth client: those of a global one may be in any tenant."""
        return int((await _SECRETS_ATTACHED.rows(self._connection, auth_client_id=auth_client_id))[0][0])

    async def tenants_with_secrets_of(self, auth_client_id: str) -> Sequence[str]:
        """List the tenants that have secrets of a global auth client."""
        rows = await _TENANTS_WITH_SECRETS.rows(self._connection, auth_client_id=auth_client_id)
        return [row.tenant_id for row in rows]

    async def consent_by_state(self, state_hash: str) -> Location | None:
        """Find the workspace of the consent a `state` parameter belongs to."""
        return await self._at(_CONSENT_BY_STATE, hash=state_hash)

    async def consent_by_link(self, link_hash: str) -> Location | None:
        """Find the workspace of the bound consent that a link on our host begins."""
        return await self._at(_CONSENT_BY_LINK, hash=link_hash)

    async def connect_link(self, link_hash: str) -> Location | None:
        """Find the workspace that a connect link is for."""
        return await self._at(_CONNECT_LINK, hash=link_hash)

    async def setup_link(self, link_hash: str) -> Location | None:
        """Find the tenant of a link for a first API key."""
        return await self._at(_SETUP_LINK, hash=link_hash)

    async def connect_logo(self, digest: str) -> Location | None:
        """Find the tenant whose logo has an address."""
        return await self._at(_CONNECT_LOGO, digest=digest)

    async def authentication_request(self, state_hash: str) -> Location | None:
        """Find the tenant in which a sign-in was begun, by its state."""
        return await self._at(_AUTHENTICATION_REQUEST, hash=state_hash)

    async def flows_using(self, component_id: str, revision: str | None = None) -> dict[str, int]:
        """Count the flows of each tenant that name a component (or one revision of it), in graph, draft or versions."""
        if revision is None:
            rows = await _FLOWS_USING_COMPONENT.rows(self._connection, component_id=component_id)
        else:
            rows = await _FLOWS_USING_REVISION.rows(self._connection, component_id=component_id, revision=revision)
        return {row.tenant_id: int(row.flows) for row in rows}

    async def flows_using_contract(self, contract_id: str) -> dict[str, int]:
        """Count the flows of each tenant that name a component of a contract and are not in that contract."""
        rows = await _FLOWS_USING_CONTRACT.rows(self._connection, contract_id=contract_id)
        return {row.tenant_id: int(row.flows) for row in rows}

    async def is_empty(self) -> bool:
        """Tell whether the installation has not been set up yet."""
        return not await _INSTALLATION.rows(self._connection)

    async def _page(self, query: "Select[Any]", limit: int | None, offset: int) -> tuple[Sequence[Location], int]:
        total = (await self._connection.execute(select(func.count()).select_from(query.subquery()))).scalar_one()
        rows = (await self._connection.execute(query.limit(limit).offset(offset))).all()
        return [Location(*row) for row in rows], int(total)

    async def _at(self, query: Query, **values: str) -> Location | None:
        rows = await query.rows(self._connection, **values)
        return Location(*rows[0]) if rows else None
