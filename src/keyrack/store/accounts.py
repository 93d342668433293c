"""API keys and service accounts: how callers prove who they are (contract section 2, 0.2)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, delete, func, insert, or_, select, update

from keyrack.errors import AlreadyExists
from keyrack.ids import new_id
from keyrack.model.identity import ApiKey, PrincipalKind, ServiceAccount
from keyrack.store.core.database_errors import ConstraintViolated, Rule
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit, changing, insert_row
from keyrack.store.schema import api_keys, service_accounts, users
from keyrack.validation.emails import email_key

_a = service_accounts.c

_OWNER = {
    PrincipalKind.user: api_keys.c.user_id,
    PrincipalKind.service_account: api_keys.c.service_account_id,
    PrincipalKind.task_user: api_keys.c.flow_id,
}
_GIVEN = ("id", "name", "key_hash", "created_at", "expires_at")
_ADDITION = {
    kind: Change(
        insert(api_keys).values({column.name: bindparam("owner"), **{name: bindparam(name) for name in _GIVEN}})
    )
    for kind, column in _OWNER.items()
}
_REMOVAL = {
    kind: Change(delete(api_keys).where(column == bindparam("owner"), api_keys.c.id == bindparam("id")))
    for kind, column in _OWNER.items()
}
_ONE_KEY = {
    kind: Query(select(api_keys).where(column == bindparam("owner"), api_keys.c.id == bindparam("id")))
    for kind, column in _OWNER.items()
}
_TAKING_INTO_USE = Change(
    update(users)
    .where(users.c.id == bindparam("owner"), users.c.set_up_at.is_(None))
    .values(set_up_at=bindparam("now"))
)
_USER = Query(select(users.c.id, users.c.tenant_id).where(users.c.email_key == bindparam("email")))
_ACCOUNT = Query(
    select(service_accounts.c.id).where(func.lower(service_accounts.c.username) == bindparam("username")), scans=True
)
_BY_ID = Query(select(*_a).where(_a.id == bindparam("id")))
_HELD = Query(changing(select(*_a).where(_a.id == bindparam("id"))))
_CHANGE = Change(
    update(service_accounts)
    .where(_a.id == bindparam("row"))
    .values(username=bindparam("username"), permissions=bindparam("permissions"))
)
_PASSWORD = Query(select(_a.password_hash, _a.password_set_at).where(_a.id == bindparam("id")))
_PASSWORD_CHANGE = Change(
    update(service_accounts)
    .where(_a.id == bindparam("row"))
    .values(password_hash=bindparam("password_hash"), password_set_at=bindparam("now"))
)
_DELETION = Change(delete(service_accounts).where(_a.id == bindparam("id")))


class ApiKeys:
    """The API keys of one owner at a time; only hashes are stored."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def add(
        self,
        kind: PrincipalKind,
        owner_id: str,
        name: str,
        key_hash: str,
        expires_at: datetime | None,
        key_id: str | None = None,
    ) -> ApiKey:
        """Store the hash of a new key; the account of a user is in use from the first one on.

        Args:
            kind: of its owner.
            owner_id: whose it is.
            name: tells it from others.
            key_hash: what is stored of it.
            expires_at: until when it is good; None: until it is revoked.
            key_id: the id it gets, which nothing else has; None: a new one.

        Raises:
            AlreadyExists: there is a key with this hash, or this id.
        """
        key = ApiKey(key_id or new_id(), name, self._unit.clock(), expires_at)
        values = {
            "id": key.id, "owner": owner_id, "name": name, "key_hash": key_hash, "created_at": key.created_at,
            "expires_at": expires_at,
        }  # fmt: skip
        try:
            async with self._unit.connection.savepoint():  # so that the transaction can still be written to
                await _ADDITION[kind].run(self._unit.connection, **values)
        except ConstraintViolated as error:
            if error.rule is Rule.unique:
                raise AlreadyExists("there is this key already; load the form anew to make another") from None
            raise
        if kind is PrincipalKind.user:
            await _TAKING_INTO_USE.run(self._unit.connection, owner=owner_id, now=key.created_at)
        return key

    async def page(
        self, kind: PrincipalKind, owner_id: str, *, part: str = "", limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[ApiKey], int]:
        """List an owner's keys by id, perhaps only those with this in their names; return a page and the number."""
        query = select(api_keys).where(_OWNER[kind] == owner_id).order_by(api_keys.c.id)
        if part:
            named = func.lower(api_keys.c.name).contains(part.lower(), autoescape=True)
            query = query.where(or_(named, api_keys.c.id == part))
        rows, total = await page_of(self._unit.connection, query, api_keys.c.id, limit=limit, offset=offset)
        return [_key(row) for row in rows], total

    async def find(self, kind: PrincipalKind, owner_id: str, key_id: str) -> ApiKey | None:
        """Return one of an owner's keys, or None."""
        rows = await _ONE_KEY[kind].rows(self._unit.connection, owner=owner_id, id=key_id)
        return next((_key(row) for row in rows), None)

    async def remove(self, kind: PrincipalKind, owner_id: str, key_id: str) -> bool:
        """Revoke one of an owner's keys; False if it has no such key."""
        return await _REMOVAL[kind].run(self._unit.connection, owner=owner_id, id=key_id) == 1

    async def owner(self, name: str) -> tuple[PrincipalKind, str, str] | None:
        """Find who a user name belongs to, for the command line: kind, id, and tenant (empty for a service account)."""
        for user in await _USER.rows(self._unit.connection, email=email_key(name)):
            return PrincipalKind.user, user.id, user.tenant_id
        for account in await _ACCOUNT.rows(self._unit.connection, username=name.lower()):
            return PrincipalKind.service_account, account.id, ""
        return None


class ServiceAccounts:
    """Installation-wide identities with explicit permissions."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def add(self, username: str, permissions: Iterable[str]) -> ServiceAccount:
        """Create a service account.

        Raises:
            AlreadyExists: the user name is taken.
        """
        account = ServiceAccount(new_id(), username, frozenset(permissions), self._unit.clock())
        values = {
            "id": account.id, "username": username, "permissions": sorted(account.permissions),
            "created_at": account.created_at,
        }  # fmt: skip
        await insert_row(self._unit.connection, service_accounts, values)
        return account

    async def page(
        self, *, part: str = "", limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[ServiceAccount], int]:
        """List service accounts by id, perhaps only those with this in their names; return a page and the number."""
        query = select(service_accounts).order_by(_a.id)
        if part:
            named = func.lower(_a.username).contains(part.lower(), autoescape=True)
            query = query.where(or_(named, _a.id == part))
        rows, total = await page_of(self._unit.connection, query, _a.id, limit=limit, offset=offset)
        return [_account(row) for row in rows], total

    async def find(self, account_id: str) -> ServiceAccount | None:
        """Return the service account with an id, or None."""
        return await self._one(_BY_ID, id=account_id)

    async def hold(self, account_id: str) -> ServiceAccount | None:
        """Return the service account with an id, or None; nobody else changes it until the transaction ends."""
        return await self._one(_HELD, id=account_id)

    async def change(self, account: ServiceAccount) -> None:
        """Store the user name and permissions of a service account that is held.

        Raises:
            AlreadyExists: another one has the user name.
        """
        values = {"username": account.username, "permissions": sorted(account.permissions)}
        try:
            async with self._unit.connection.savepoint():  # so that the transaction can still be written to
                await _CHANGE.run(self._unit.connection, row=account.id, **values)
        except ConstraintViolated as error:
            if error.rule is Rule.unique:
                raise AlreadyExists("another service account has this user name") from None
            raise

    async def password(self, account_id: str) -> tuple[str, datetime] | None:
        """Return the hash of the password for the console, and since when; None if there is none."""
        for row in await _PASSWORD.rows(self._unit.connection, id=account_id):
            return None if row.password_set_at is None else (row.password_hash, row.password_set_at)
        return None

    async def set_password(self, account_id: str, password_hash: str) -> None:
        """Store the hash of a password for the console."""
        now = self._unit.clock()
        await _PASSWORD_CHANGE.run(self._unit.connection, row=account_id, password_hash=password_hash, now=now)

    async def remove(self, account_id: str) -> bool:
        """Delete a service account with its API keys and sessions; False if there is none."""
        return await _DELETION.run(self._unit.connection, id=account_id) == 1

    async def _one(self, query: Query, **values: str) -> ServiceAccount | None:
        return next(map(_account, await query.rows(self._unit.connection, **values)), None)


def _key(row: Any) -> ApiKey:
    return ApiKey(row.id, row.name, row.created_at, row.expires_at, row.last_used_at)


def _account(row: Any) -> ServiceAccount:
    return ServiceAccount(row.id, row.username, frozenset(row.permissions), row.created_at)
