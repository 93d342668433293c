"""Single sign-on of a tenant: its settings, and the accounts that belong to people at its provider (decision 31)."""

import hashlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists
from keyrack.ids import new_id
from keyrack.model.single_sign_on import LinkedIdentity, SingleSignOn
from keyrack.store.core.paging import page_of
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import linked_identities, single_sign_on, single_sign_on_domains, users
from keyrack.store.search_index import is_named

_s, _d, _l = single_sign_on.c, single_sign_on_domains.c, linked_identities.c

_SETTINGS = TenantQuery(single_sign_on, select(*_s))
_PASSWORDS = TenantQuery(single_sign_on, select(_s.allows_passwords))
_DOMAINS = TenantQuery(single_sign_on_domains, select(_d.domain).order_by(_d.domain))
_REMOVAL = TenantChange(single_sign_on, delete(single_sign_on))
_DOMAIN_REMOVAL = TenantChange(
    single_sign_on_domains,
    delete(single_sign_on_domains).where(_d.domain.not_in(bindparam("kept", expanding=True))),
    scans=True,
)
_LINKED = TenantQuery(linked_identities, select(_l.user_id).where(_l.identity_hash == bindparam("hash")))
_OF_USER = TenantQuery(linked_identities, select(_l.id).where(_l.user_id == bindparam("user_id")))
_WITH_EMAILS = select(*_l, users.c.email.label("user_email")).join_from(
    linked_identities, users, _l.user_id == users.c.id
)
_LINK = TenantQuery(linked_identities, _WITH_EMAILS.where(_l.user_id == bindparam("user_id")))
_COUNT = TenantQuery(linked_identities, select(func.count().label("links")).select_from(linked_identities))
_UNLINKING = TenantChange(linked_identities, delete(linked_identities).where(_l.user_id == bindparam("user_id")))
_UNLINKING_ALL = TenantChange(linked_identities, delete(linked_identities), scans=True)


class SingleSignOnRows(TenantTable):
    """How the unit's tenant signs in through its provider: at most one row, and its domains."""

    table = single_sign_on

    async def find(self) -> SingleSignOn | None:
        """Return the settings, or None."""
        row = await self.ask_one(_SETTINGS)
        return None if row is None else await self._read(row, [each.domain for each in await self.ask(_DOMAINS)])

    async def allows_passwords(self) -> bool:
        """Tell whether the tenant's users may sign in with a password."""
        row = await self.ask_one(_PASSWORDS)
        return row is None or bool(row.allows_passwords)

    async def put(self, wanted: SingleSignOn) -> str:
        """Store the settings in place of those that are there; return their id, which is not the caller's to choose.

        Raises:
            AlreadyExists: another tenant has one of the domains; its `meta` says which one.
        """
        before = await self.ask_one(_SETTINGS)
        row_id, now = new_id() if before is None else before.id, self.unit.clock()
        secret = await self.unit.seal(single_sign_on, row_id, "sealed_client_secret", wanted.client_secret.reveal())
        values = {
            "issuer": wanted.issuer,
            "client_id": wanted.client_id,
            "client_auth": wanted.client_auth,
            "sealed_client_secret": secret,
            "creates_users": wanted.creates_users,
            "allows_passwords": wanted.allows_passwords,
            "updated_at": now,
        }
        if before is None:
            await self.insert({"id": row_id, "created_at": now, **values})
        else:
            await self.set_columns(row_id, values)
        await self._put_domains(wanted.domains)
        return row_id

    async def let_passwords_in(self) -> bool:
        """Let the tenant's users sign in with passwords again; False if there is no single sign-on."""
        row = await self.ask_one(_SETTINGS)
        return row is not None and await self.set_columns(row.id, {"allows_passwords": True}) == 1

    async def remove(self) -> bool:
        """Delete the settings, the domains and all links to accounts; False if there were none."""
        await self.make(_DOMAIN_REMOVAL, kept=[])
        await self.make(_UNLINKING_ALL)
        return await self.make(_REMOVAL) == 1

    async def _put_domains(self, domains: Sequence[str]) -> None:
        await self.make(_DOMAIN_REMOVAL, kept=list(domains))
        there = {each.domain for each in await self.ask(_DOMAINS)}
        for domain in domains:
            if domain in there:
                continue
            try:
                await self.insert_into(single_sign_on_domains, {"id": new_id(), "domain": domain})
            except AlreadyExists:
                raise AlreadyExists(f"another tenant has the domain {domain}", meta={"domain": domain}) from None

    async def _read(self, row: "Row[Any]", domains: Sequence[str]) -> SingleSignOn:
        secret = await self.unit.open(single_sign_on, row.id, "sealed_client_secret", row.sealed_client_secret)
        return SingleSignOn(
            row.id, row.tenant_id, row.issuer, row.client_id, row.client_auth, Secret(secret), domains,
            row.creates_users, row.allows_passwords, row.created_at, row.updated_at,
        )  # fmt: skip


class LinkedIdentities(TenantTable):
    """Which accounts of the unit's tenant belong to whom at its provider."""

    table = linked_identities

    async def user(self, issuer: str, subject: str) -> str | None:
        """Return the id of the user who is linked with a person at the provider, or None."""
        row = await self.ask_one(_LINKED, hash=_identity_hash(issuer, subject))
        return None if row is None else str(row.user_id)

    async def find(self, user_id: str) -> LinkedIdentity | None:
        """Return a user's link, or None."""
        row = await self.ask_one(_LINK, user_id=user_id)
        return None if row is None else _linked(row)

    async def is_linked(self, user_id: str) -> bool:
        """Tell whether a user's account belongs to somebody at the provider."""
        return await self.ask_one(_OF_USER, user_id=user_id) is not None

    async def count(self) -> int:
        """Count them."""
        return int((await self.ask(_COUNT))[0].links)

    async def add(self, user_id: str, issuer: str, subject: str, email: str | None) -> None:
        """Link a user with a person at the provider.

        Raises:
            AlreadyExists: either is linked already.
            RelatedNotFound: the tenant has no such user.
        """
        await self.insert(
            {
                "id": new_id(), "user_id": user_id, "identity_hash": _identity_hash(issuer, subject),
                "subject": subject, "email": email, "linked_at": self.unit.clock(),
            }
        )  # fmt: skip

    async def page(
        self, *, beginning: str = "", limit: int | None, offset: int = 0
    ) -> tuple[Sequence[LinkedIdentity], int]:
        """List them, the earliest linked first; return a page and the total.

        Args:
            beginning: only of users in whose name or email a word begins so, or with this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over.
        """
        query = _WITH_EMAILS.where(self.mine).order_by(_l.id)
        if beginning:
            query = query.where(is_named("user", _l.user_id, beginning))
        rows, total = await page_of(self.unit.connection, query, _l.id, limit=limit, offset=offset)
        return [_linked(row) for row in rows], total

    async def remove(self, user_id: str) -> bool:
        """Undo a user's link; False if there is none."""
        return await self.make(_UNLINKING, user_id=user_id) == 1

    async def remove_all(self) -> None:
        """Undo all links."""
        await self.make(_UNLINKING_ALL)


def _linked(row: "Row[Any]") -> LinkedIdentity:
    return LinkedIdentity(row.user_id, row.user_email, row.subject, row.email, row.linked_at)


def _identity_hash(issuer: str, subject: str) -> str:
    return hashlib.sha256(f"{issuer}\0{subject}".encode("utf-8", "surrogatepass")).hexdigest()
