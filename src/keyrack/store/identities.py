"""Looks across tenants for who somebody is: the owner of an API key or a session, whoever signs in by name.

As in `keyrack.store.directory`, its queries are not bound to a tenant, and answer with ids and identities only.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Row, Table, and_, bindparam, exists, or_, select

from keyrack.model.flows import FlowStatus
from keyrack.model.identity import ConsoleSession, PendingSignIn, PrincipalKind
from keyrack.store import schema as t
from keyrack.store.authenticators import read_pending
from keyrack.store.console_sessions import read_session
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.validation.emails import email_key


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
_IDENTITY_BY_KEY = _identities_by_key()


class Identities:
    """Looks for people, service accounts and task users of any tenant; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._connection = unit.connection

    async def by_key(self, key_hash: str, now: datetime) -> Identity | None:
        """Find who an API key belongs to; an expired key, or that of a flow which does not run, belongs to nobody."""
        rows = await _IDENTITY_BY_KEY.rows(
            self._connection, key_hash=key_hash, now=now, running=FlowStatus.active.value
        )
        row = rows[0] if rows else None
        found = None if row is None else _identity(row)
        return None if found is None or row is None else replace(found, key_expires_at=row.expires_at)

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
