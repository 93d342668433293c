"""Manages users, API keys and service accounts for an operator on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, NotFound, Problem, ValidationFailed
from keyrack.model.audit import AuditEvent
from keyrack.model.identity import ApiKey, PrincipalKind, ServiceAccount, User
from keyrack.service.authz.permissions import ALL, TENANT_ADMIN, normalise
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.service.operator.installation import OPERATOR
from keyrack.service.tenancy.invite_acceptance import welcome
from keyrack.store.accounts import ApiKeys, ServiceAccounts
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.users import UserRows, require_email
from keyrack.validation.known_names import close_to

_ALLOWED = "allowed"


@dataclass(frozen=True, slots=True)
class KeyOwner:
    """Who an API key belongs to."""

    kind: PrincipalKind
    id: str
    tenant_id: str


class Accounts:
    """For whoever works on the machine itself; every change is in the audit log."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def create_user(self, email: str, tenant_id: str, *, tenant_admin: bool) -> tuple[User, Secret]:
        """Create a user, a member wherever the email is invited, with an API key, which is returned this once.

        Raises:
            NotFound: there is no such tenant.
            AlreadyExists: somebody has the email.
            ValidationFailed: it is no email.
        """
        require_email(email)
        await self._require_tenant(tenant_id)
        key = new_api_key()
        async with self._store.unit(tenant_id, writes=True) as unit:
            roles = [TENANT_ADMIN] if tenant_admin else []
            user = await UserRows(unit).add(email, email.partition("@")[0], "", tenant_roles=roles)
            await ApiKeys(unit).add(PrincipalKind.user, user.id, "command line", key_hash(key), None)
            await welcome(unit, OPERATOR, user)
            await AuditLog(unit).append(OPERATOR, "user.create", ("user", user.id), _ALLOWED)
        return user, key

    async def users(self, tenant_id: str) -> Sequence[User]:
        """List a tenant's users.

        Raises:
            NotFound: there is no such tenant.
        """
        await self._require_tenant(tenant_id)
        async with self._store.unit(tenant_id) as unit:
            found, _ = await UserRows(unit).page()
            return found

    async def create_key(self, name: str, title: str, expires_at: datetime | None) -> tuple[ApiKey, Secret]:
        """Create an API key for a user (by email) or service account (by user name); it is returned this once.

        Raises:
            NotFound: nobody has that name.
        """
        key = new_api_key()
        async with self._store.installation(writes=True) as unit:
            owner = await _owner(unit, name)
            stored = await ApiKeys(unit).add(owner.kind, owner.id, title, key_hash(key), expires_at)
            await _log(unit, owner, "api-key.create", stored.id)
        return stored, key

    async def keys(self, name: str) -> Sequence[ApiKey]:
        """List the API keys of a user or service account.

        Raises:
            NotFound: nobody has that name.
        """
        async with self._store.installation() as unit:
            owner = await _owner(unit, name)
            keys, _ = await ApiKeys(unit).page(owner.kind, owner.id)
            return keys

    async def revoke_key(self, name: str, key_id: str) -> None:
        """Revoke an API key, at once.

        Raises:
            NotFound: nobody has that name, or not that key.
        """
        async with self._store.installation(writes=True) as unit:
            owner = await _owner(unit, name)
            if not await ApiKeys(unit).remove(owner.kind, owner.id, key_id):
                raise NotFound(f"{name} has no such API key")
            await _log(unit, owner, "api-key.revoke", key_id)

    async def create_service_account(self, name: str, permissions: Sequence[str]) -> tuple[ServiceAccount, Secret]:
        """Create a service account with an API key, which is returned this once.

        Raises:
            ValidationFailed: a permission does not exist, or the name cannot be told from an email.
            AlreadyExists: the name is taken.
        """
        known, unknown = normalise(permissions)
        problems = [Problem(_no_permission(permission)) for permission in unknown]
        if not name.strip() or "@" in name or ":" in name:
            problems.append(Problem("a service account's name has neither @ nor colon"))
        if problems:
            raise ValidationFailed(*problems)
        key = new_api_key()
        async with self._store.installation(writes=True) as unit:
            try:
                account = await ServiceAccounts(unit).add(name, known)
            except AlreadyExists:
                raise AlreadyExists(f"a service account {name} already exists") from None
            stored = await ApiKeys(unit).add(
                PrincipalKind.service_account, account.id, "command line", key_hash(key), None
            )
            await AuditLog(unit).append(OPERATOR, "service-account.create", ("service-account", account.id), _ALLOWED)
            await AuditLog(unit).append(OPERATOR, "api-key.create", ("api-key", stored.id), _ALLOWED)
        return account, key

    async def events(self, tenant_id: str | None, limit: int | None) -> Sequence[AuditEvent]:
        """List the audit events of a tenant, or of the installation itself."""
        async with self._store.unit(tenant_id) if tenant_id else self._store.installation() as unit:
            found, _ = await AuditLog(unit).page({}, None, None, limit=limit)
            return found

    async def _require_tenant(self, tenant_id: str) -> None:
        async with self._store.installation() as unit:
            if await Directory(unit).tenant(tenant_id) is None:
                raise NotFound("there is no such tenant")


async def _owner(unit: Unit, name: str) -> KeyOwner:
    found = await ApiKeys(unit).owner(name)
    if found is None:
        raise NotFound(f"there is no user or service account {name}")
    return KeyOwner(*found)


async def _log(unit: Unit, owner: KeyOwner, action: str, key_id: str) -> None:
    inside = unit.of_tenant(owner.tenant_id)
    await AuditLog(inside).append(OPERATOR, action, ("api-key", key_id), _ALLOWED)


def _no_permission(name: str) -> str:
    meant = close_to(name, ALL)
    return f"there is no permission {name}{f'; is it {meant}?' if meant else ''}"
