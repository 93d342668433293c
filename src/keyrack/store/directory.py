"""Looks across tenants: which tenant an id belongs to, and who a user name is.

The only queries that are not bound to a tenant. They answer with ids and identities, never with a tenant's values.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Select, Table, and_, bindparam, exists, func, or_, select

from keyrack.model.flows import FlowStatus
from keyrack.model.identity import ConsoleSession, PendingSignIn, PrincipalKind
from keyrack.store import schema as t
from keyrack.store.authenticators import read_pending
from keyrack.store.console_sessions import read_session
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.validation.emails import email_key


@dataclass(frozen=True, slots=True)
class Location:
    """Where a resource lives; the narrower ids are None above their level."""

    tenant_id: str
    contract_id: str | None = None
    workspace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner of an API key and until when it is good; where the flow is, if the owner is a task user."""

    kind: PrincipalKind
    id: str
    name: str
    tenant_id: str | None
    permissions: frozenset[str]
    contract_id: str | None = None
    workspace_id: str | None = None
    key_expires_at: datetime | None = None


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


def _identities_by_key() -> Query:
    """An expired key, or that of a flow which does not run, belongs to nobody."""
    k, u, s, f, w = t.api_keys.c, t.users.c, t.service_accounts.c, t.flows.c, t.workspaces.c
    columns: list[ColumnElement[Any]] = [
        *(u.id, u.email, u.tenant_id),
        *(s.id.label("account_id"), s.username, s.permissions),
        *(f.id.label("flow_id"), f.workspace_id, w.contract_id, w.tenant_id.label("flow_tenant_id")),
        k.expires_at,
    ]
    return Query(
        select(*columns)
        .select_from(t.api_keys)
        .outerjoin(t.users, k.user_id == u.id)
        .outerjoin(t.service_accounts, k.service_account_id == s.id)
        .outerjoin(t.flows, and_(k.flow_id == f.id, f.status == bindparam("running")))
        .outerjoin(t.workspaces, f.workspace_id == w.id)
        .where(k.key_hash == bindparam("key_hash"), or_(k.expires_at.is_(None), k.expires_at > bindparam("now")))
    )


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
_IDENTITY_BY_KEY = _identities_by_key()


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


def _with_owner(table: Table, hash_column: Column[Any]) -> Query:
    """Return what finds a row of the console by what a browser holds, with the user or service account it is of."""
    u, s = t.users.c, t.service_accounts.c
    return Query(
        select(*table.c, u.email, s.username, s.permissions)
        .select_from(table)
        .outerjoin(t.users, table.c.user_id == u.id)
        .outerjoin(t.service_accounts, table.c.service_account_id == s.id)
        .where(hash_column == bindparam("hash"))
    )


_SESSION = _with_owner(t.console_sessions, t.console_sessions.c.session_hash)
_PENDING_SIGN_IN = _with_owner(t.pending_sign_ins, t.pending_sign_ins.c.cookie_hash)
_REFUSES_PASSWORDS = exists().where(
    t.single_sign_on.c.tenant_id == t.users.c.tenant_id, t.single_sign_on.c.allows_passwords.is_(False)
)
_SIGN_IN = Query(
    select(t.users.c.id, t.users.c.email, t.users.c.tenant_id, t.users.c.password_hash).where(
        t.users.c.email_key == bindparam("email"), t.users.c.password_set_at.is_not(None), ~_REFUSES_PASSWORDS
    )
)
_SIGN_IN_OF_ACCOUNT = Query(
    select(*t.service_accounts.c).where(
        t.service_accounts.c.username == bindparam("username"), t.service_accounts.c.password_set_at.is_not(None)
    )
)
_DOMAINS = t.single_sign_on_domains.c
_ELSEWHERE = [  # two looks at the index, however many users the tenant has
    exists().where(t.users.c.email_domain == _DOMAINS.domain, other)
    for other in (t.users.c.tenant_id < _DOMAINS.tenant_id, t.users.c.tenant_id > _DOMAINS.tenant_id)
]
_TENANT_OF_DOMAIN = Query(
    select(_DOMAINS.tenant_id).where(_DOMAINS.domain == bindparam("domain"), *(~each for each in _ELSEWHERE))
)
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

    async def console_session(self, session_hash: str) -> tuple[Identity, ConsoleSession] | None:
        """Find a session of the console, and who is signed in; how old it may be is the caller's to judge."""
        rows = await _SESSION.rows(self._connection, hash=session_hash)
        return (_owner(rows[0]), read_session(rows[0])) if rows else None

    async def pending_sign_in(self, cookie_hash: str) -> tuple[Identity, PendingSignIn] | None:
        """Find a sign-in that waits for a code, and whose it is; how old it may be is the caller's to judge."""
        rows = await _PENDING_SIGN_IN.rows(self._connection, hash=cookie_hash)
        return (_owner(rows[0]), read_pending(rows[0])) if rows else None

    async def signing_in(self, name: str) -> tuple[Identity, str] | None:
        """Find who may sign in with an email, or a service account's name, and the password's hash; None if nobody.

        What is asked of the database is the same whatever the name.
        """
        users = await _SIGN_IN.rows(self._connection, email=email_key(name))
        accounts = await _SIGN_IN_OF_ACCOUNT.rows(self._connection, username=name)
        for row in users:
            return Identity(PrincipalKind.user, row.id, row.email, row.tenant_id, frozenset()), row.password_hash
        return (_account(accounts[0].id, accounts[0]), accounts[0].password_hash) if accounts else None

    async def tenant_of_email_domain(self, email: str) -> str | None:
        """Find the tenant whose people sign in with emails of this domain through their organisation.

        None as well while users of other tenants have emails of the domain: whoever names it then may not be the one
        to whom it belongs, and an answer that depended on the very email would tell who has an account.
        """
        rows = await _TENANT_OF_DOMAIN.rows(self._connection, domain=email_key(email).rpartition("@")[2])
        return str(rows[0].tenant_id) if rows else None

    async def authentication_request(self, state_hash: str) -> Location | None:
        """Find the tenant in which a sign-in was begun, by its state."""
        return await self._at(_AUTHENTICATION_REQUEST, hash=state_hash)

    async def identity_by_key(self, key_hash: str, now: datetime) -> Identity | None:
        """Find who an API key belongs to; an expired key, or that of a flow which does not run, belongs to nobody."""
        rows = await _IDENTITY_BY_KEY.rows(
            self._connection, key_hash=key_hash, now=now, running=FlowStatus.active.value
        )
        row = rows[0] if rows else None
        found = None if row is None else _identity(row)
        return None if found is None or row is None else replace(found, key_expires_at=row.expires_at)

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


def task_user_name(flow_id: str) -> str:
    """Return the user name of a flow's running steps (contract section 2)."""
    return f"task-{flow_id}"


def _account(account_id: str, row: "Row[Any]") -> Identity:
    return Identity(PrincipalKind.service_account, account_id, row.username, None, frozenset(row.permissions))


def _owner(row: "Row[Any]") -> Identity:
    if row.user_id is None:
        return _account(row.service_account_id, row)
    return Identity(PrincipalKind.user, row.user_id, row.email, row.tenant_id, frozenset())


def _identity(row: "Row[Any]") -> Identity | None:
    if row.account_id is not None:
        return _account(row.account_id, row)
    if row.id is not None:
        return Identity(PrincipalKind.user, row.id, row.email, row.tenant_id, frozenset())
    if row.flow_id is None:
        return None
    return Identity(
        PrincipalKind.task_user,
        row.flow_id,
        task_user_name(row.flow_id),
        row.flow_tenant_id,
        frozenset(),
        row.contract_id,
        row.workspace_id,
    )
