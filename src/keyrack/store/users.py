"""Users of a tenant (contract section 11)."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Integer, Row, bindparam, delete, select, update

from keyrack.errors import AlreadyExists, Problem, ValidationFailed
from keyrack.ids import new_id
from keyrack.model.identity import User
from keyrack.store.core.paging import page_of
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import users
from keyrack.validation.emails import LONGEST_EMAIL, email_key, fault_of

_u = users.c

_BY_ID = TenantQuery(users, select(*_u).where(_u.id == bindparam("id")))
_TENANT_ROLES = TenantQuery(users, select(_u.tenant_roles).where(_u.id == bindparam("id")))
_TAKING_INTO_USE = TenantChange(
    users, update(users).where(_u.id == bindparam("id"), _u.set_up_at.is_(None)).values(set_up_at=bindparam("now"))
)
_IN_USE = TenantQuery(users, select(_u.set_up_at).where(_u.id == bindparam("id")))
_PASSWORD = TenantQuery(users, select(_u.password_hash, _u.password_set_at).where(_u.id == bindparam("id")))
_WITH_EMAIL = TenantQuery(users, select(*_u).where(_u.email_key == bindparam("email")))
_SOME = bindparam("most", type_=Integer)
_PREFIX = (_u.email_key >= bindparam("first"), _u.email_key < bindparam("end"))
_BY_EMAIL = TenantQuery(users, select(*_u).where(*_PREFIX).order_by(_u.email_key).limit(_SOME), scans=True)
_AFTER = TenantQuery(
    users,
    select(*_u)
    .where(_u.email_key > bindparam("last"), _u.email_key < bindparam("end"))
    .order_by(_u.email_key)
    .limit(_SOME),
    scans=True,
)
_BEFORE = TenantQuery(
    users,
    select(*_u)
    .where(_u.email_key >= bindparam("first"), _u.email_key < bindparam("last"))
    .order_by(_u.email_key.desc())
    .limit(_SOME),
    scans=True,
)
_LAST_CHARACTER = "\U0010ffff"
_REMOVAL = TenantChange(users, delete(users).where(_u.id == bindparam("id")), scans=True)


def require_email(email: str) -> None:
    """Insist that an email can be stored, and can be told from others.

    Raises:
        ValidationFailed: it is none, looks like another, or is too long in the form in which emails are compared.
    """
    fault = "the email is too long" if len(email_key(email)) > LONGEST_EMAIL else fault_of(email)
    if fault is not None:
        raise ValidationFailed(Problem(fault, "/data/attributes/email"))


class UserRows(TenantTable):
    """People whose home is the unit's tenant."""

    table = users

    async def add(
        self,
        email: str,
        first_name: str,
        last_name: str,
        *,
        company: str | None = None,
        password_hash: str | None = None,
        tenant_roles: Sequence[str] = (),
        user_id: str | None = None,
    ) -> User:
        """Create a user, with the given id if there is one.

        Raises:
            AlreadyExists: somebody in the installation has the email.
            ValidationFailed: see `require_email`.
        """
        require_email(email)
        key = email_key(email)
        user = User(
            user_id or new_id(), self.unit.tenant_id, email, first_name, last_name, company, self.unit.clock(), None
        )
        try:
            await self.insert(
                {
                    "id": user.id, "email": email, "email_key": key, "email_domain": key.rpartition("@")[2],
                    "first_name": first_name, "last_name": last_name, "company": company,
                    "password_hash": password_hash,
                    "tenant_roles": list(tenant_roles), "registered": user.registered, "last_login": None,
                }
            )  # fmt: skip
        except AlreadyExists:
            raise AlreadyExists("a user with this email already exists", pointer="/data/attributes/email") from None
        return user

    async def find(self, user_id: str) -> User | None:
        """Return a user of the tenant, or None."""
        row = await self.ask_one(_BY_ID, id=user_id)
        return None if row is None else read_user(row)

    async def with_email(self, email: str) -> User | None:
        """Return the user of the tenant with an email, or None."""
        row = await self.ask_one(_WITH_EMAIL, email=email_key(email))
        return None if row is None else read_user(row)

    async def page(
        self, *, email: str | None = None, limit: int | None = None, offset: int = 0
    ) -> tuple[Sequence[User], int]:
        """List the tenant's users by id, optionally the one with an email; return a page and the total."""
        query, ids = self.select().order_by(users.c.id), [self.select(users.c.id)]
        if email is not None:
            query, ids = query.where(users.c.email_key == email_key(email)), []
        rows, total = await page_of(self.unit.connection, query, users.c.id, parts=ids, limit=limit, offset=offset)
        return [read_user(row) for row in rows], total

    async def by_email(self, prefix: str, email: str | None, *, backwards: bool, limit: int) -> Sequence[User]:
        """Read users in the order of their emails or the other way round, from anywhere as quickly.

        Args:
            prefix: only those whose emails begin with this; empty for all.
            email: of the user before the first one, in the direction of reading; None: begin at the beginning.
            backwards: read towards the beginning; from `email`.
            limit: how many at most.
        """
        first, last = email_key(prefix), "" if email is None else email_key(email)
        end = first + _LAST_CHARACTER
        if email is not None and backwards:
            rows = await self.ask(_BEFORE, first=first, last=min(last, end), most=limit)
        elif last >= first and email is not None:
            rows = await self.ask(_AFTER, last=last, end=end, most=limit)
        else:
            rows = await self.ask(_BY_EMAIL, first=first, end=end, most=limit)
        return [read_user(row) for row in rows]

    async def tenant_roles(self, user_id: str) -> tuple[str, ...]:
        """Return the tenant roles of a user."""
        row = await self.ask_one(_TENANT_ROLES, id=user_id)
        return () if row is None else tuple(row.tenant_roles)

    async def set_tenant_roles(self, user_id: str, roles: Sequence[str]) -> None:
        """Replace the tenant roles of a user."""
        await self.set_columns(user_id, {"tenant_roles": list(roles)})

    async def is_in_use(self, user_id: str) -> bool:
        """Tell whether somebody has ever had an API key of a user's account, or signed in; False if there is none."""
        row = await self.ask_one(_IN_USE, id=user_id)
        return row is not None and row.set_up_at is not None

    async def forget_password(self, user_id: str) -> None:
        """Let nobody sign in with the password that a user was created with."""
        await self.set_columns(user_id, {"password_hash": None, "password_set_at": None})

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Store the hash of a password that its owner, or the operator, has chosen; the account is in use from then."""
        now = self.unit.clock()
        await self.set_columns(user_id, {"password_hash": password_hash, "password_set_at": now})
        await self.make(_TAKING_INTO_USE, id=user_id, now=now)

    async def take_into_use(self, user_id: str) -> None:
        """Note that somebody has signed in to an account for the first time, if it is."""
        await self.make(_TAKING_INTO_USE, id=user_id, now=self.unit.clock())

    async def password(self, user_id: str) -> tuple[str, datetime] | None:
        """Return the hash of the password with which a user signs in, and since when; None if there is none."""
        row = await self.ask_one(_PASSWORD, id=user_id)
        return None if row is None or row.password_set_at is None else (row.password_hash, row.password_set_at)

    async def signed_in(self, user_id: str) -> None:
        """Note that a user has just signed in."""
        await self.set_columns(user_id, {"last_login": self.unit.clock()})

    async def remove(self, user_id: str) -> bool:
        """Delete a user with memberships and API keys."""
        return await self.make(_REMOVAL, id=user_id) == 1


def read_user(row: "Row[Any] | Mapping[str, Any]") -> User:
    """Build a user from a row of `users`."""
    found = row if isinstance(row, Mapping) else row._asdict()
    return User(
        found["id"], found["tenant_id"], found["email"], found["first_name"], found["last_name"], found["company"],
        found["registered"], found["last_login"],
    )  # fmt: skip
