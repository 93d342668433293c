"""Manages users, API keys and service accounts for an operator on the command line, and shows tenants."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, NotFound, StateConflict, ValidationFailed
from keyrack.model.identity import ApiKey, PrincipalKind, ServiceAccount, User
from keyrack.model.tenancy import Tenant
from keyrack.service.authz.operator import operator
from keyrack.service.authz.permissions import TENANT_ADMIN, normalise
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.service.identity.console_sign_in import AUDITED
from keyrack.service.identity.password_hashing import PasswordHashing
from keyrack.service.identity.password_rules import require_good_password
from keyrack.service.operator.service_accounts import (
    TARGET,
    ServiceAccountChange,
    changed_account,
    name_problems,
    permission_problems,
)
from keyrack.service.tenancy.invite_acceptance import welcome
from keyrack.service.tenancy.setup_links import MadeLink, SetupLinkMaker
from keyrack.store.accounts import ApiKeys, ServiceAccounts
from keyrack.store.audit_log import AuditLog
from keyrack.store.authenticators import Authenticators, PendingSignIns
from keyrack.store.console_accounts import ConsoleAccounts
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.single_sign_on import SingleSignOnRows
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows, require_email

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
            await welcome(unit, operator(), user)
            await AuditLog(unit).append(operator(), "user.create", ("user", user.id), _ALLOWED)
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

    async def create_setup_link(self, email: str, links: SetupLinkMaker) -> MadeLink:
        """Make a one-time link with which a user gets an API key; it is returned this once, and an earlier one ends.

        For any user: who works on the machine itself can make keys as well.

        Args:
            email: the user's.
            links: what makes it.

        Raises:
            NotFound: there is no such user.
        """
        async with self._store.installation(writes=True) as unit:
            owner = await _owner(unit, email)
            inside = unit.of_tenant(owner.tenant_id)
            await UserRows(inside).lock_to_change(owner.id)
            user = await UserRows(inside).find(owner.id)
            if owner.kind is not PrincipalKind.user or user is None:
                raise NotFound(f"there is no user {email}")
            made = await links.for_user(inside, operator(), user)
            await AuditLog(inside).append(operator(), "setup-link.create", ("user", user.id), _ALLOWED)
            return made

    async def set_password(self, name: str, password: Secret, kind: PrincipalKind = PrincipalKind.user) -> None:
        """Set a user's or service account's password for the console, which ends all of its sessions.

        A second step that is on stays on.

        Args:
            name: the user's email, or the service account's name.
            password: as `normal_password` returned it.
            kind: whose it is.

        Raises:
            NotFound: there is no such user or service account.
            ValidationFailed: the password is too weak.
        """
        require_good_password(password, name)
        hashing = PasswordHashing()
        try:
            hashed = await hashing.hash("", password)
        finally:
            hashing.close()
        async with self._store.installation(writes=True) as unit:
            owner = await _owner_of_kind(unit, name, kind)
            inside = unit.of_tenant(owner.tenant_id)
            await ConsoleAccounts(inside).hold(kind, owner.id)
            await ConsoleAccounts(inside).set_password(kind, owner.id, hashed)
            await ConsoleSessions(inside).end_others(kind, owner.id, None)
            await PendingSignIns(inside).forget(kind, owner.id)
            await AuditLog(inside).append(operator(), "password.set", (AUDITED[kind], owner.id), _ALLOWED)

    async def disable_totp(self, name: str, kind: PrincipalKind = PrincipalKind.user) -> None:
        """Turn the second step of signing in to the console off, for somebody who has lost the phone.

        Args:
            name: the user's email, or the service account's name.
            kind: whose it is.

        Raises:
            NotFound: there is no such user or service account.
            StateConflict: it is not on.
        """
        async with self._store.installation(writes=True) as unit:
            owner = await _owner_of_kind(unit, name, kind)
            inside = unit.of_tenant(owner.tenant_id)
            await ConsoleAccounts(inside).hold(kind, owner.id)
            await PendingSignIns(inside).forget(kind, owner.id)
            if not await Authenticators(inside).remove(kind, owner.id):
                raise StateConflict(f"signing in asks {name} for no code")
            await AuditLog(inside).append(operator(), "totp.disable", (AUDITED[kind], owner.id), _ALLOWED)

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
        known, unknown_names = normalise(permissions)
        if problems := [*permission_problems(unknown_names), *name_problems(name)]:
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
            await AuditLog(unit).append(operator(), f"{TARGET}.create", (TARGET, account.id), _ALLOWED)
            await AuditLog(unit).append(operator(), "api-key.create", ("api-key", stored.id), _ALLOWED)
        return account, key

    async def service_accounts(self) -> Sequence[ServiceAccount]:
        """List all service accounts."""
        async with self._store.installation() as unit:
            found, _ = await ServiceAccounts(unit).page()
            return found

    async def service_account(self, name: str) -> tuple[ServiceAccount, Sequence[ApiKey]]:
        """Return a service account and its API keys, without the keys themselves.

        Raises:
            NotFound: none has that name.
        """
        async with self._store.installation() as unit:
            account = await _service_account(unit, name)
            keys, _ = await ApiKeys(unit).page(PrincipalKind.service_account, account.id)
            return account, keys

    async def change_service_account(
        self, name: str, new_name: str | None, permissions: Callable[[frozenset[str]], Iterable[str]]
    ) -> ServiceAccount:
        """Change a service account's user name or permissions; its keys stay.

        Args:
            name: the account's.
            new_name: another user name; None keeps it.
            permissions: makes the new ones of those it has.

        Raises:
            NotFound: none has that name.
            ValidationFailed: a permission does not exist, or the name cannot be told from an email.
            AlreadyExists: another one has the name.
        """
        async with self._store.installation(writes=True) as unit:
            account = await _service_account(unit, name, held=True)
            wanted = ServiceAccountChange(new_name, sorted(permissions(account.permissions)))
            changed = changed_account(account, wanted)
            await ServiceAccounts(unit).change(changed)
            await AuditLog(unit).append(operator(), f"{TARGET}.edit", (TARGET, account.id), _ALLOWED)
            return changed

    async def delete_service_account(self, name: str) -> ServiceAccount:
        """Delete a service account; its keys are gone at once.

        Raises:
            NotFound: none has that name.
        """
        async with self._store.installation(writes=True) as unit:
            account = await _service_account(unit, name, held=True)
            await ServiceAccounts(unit).remove(account.id)
            await AuditLog(unit).append(operator(), f"{TARGET}.delete", (TARGET, account.id), _ALLOWED)
            return account

    async def tenants(self) -> Sequence[Tenant]:
        """List all tenants."""
        async with self._store.installation() as unit:
            return await TenantRows(unit).list()

    async def tenant(self, tenant_id: str) -> Tenant:
        """Return a tenant.

        Raises:
            NotFound: there is no such tenant.
        """
        async with self._store.installation() as unit:
            tenant = await TenantRows(unit).find(tenant_id)
        if tenant is None:
            raise NotFound("there is no such tenant")
        return tenant

    async def allow_passwords(self, tenant_id: str) -> None:
        """Let a tenant's users sign in with passwords again, whatever its admins have chosen (decision 31).

        Raises:
            NotFound: there is no such tenant, or it has no single sign-on.
        """
        await self._require_tenant(tenant_id)
        async with self._store.unit(tenant_id, writes=True) as unit:
            if not await SingleSignOnRows(unit).let_passwords_in():
                raise NotFound("the tenant has no single sign-on")
            target = ("single-sign-on", None)
            await AuditLog(unit).append(operator(), "single-sign-on.allow-passwords", target, _ALLOWED)

    async def _require_tenant(self, tenant_id: str) -> None:
        async with self._store.installation() as unit:
            if await Directory(unit).tenant(tenant_id) is None:
                raise NotFound("there is no such tenant")


async def _service_account(unit: Unit, name: str, *, held: bool = False) -> ServiceAccount:
    """Find a service account by its user name; one that is held stays as it is until the transaction ends."""
    found = await ApiKeys(unit).owner(name)
    if found is not None and found[0] is PrincipalKind.service_account:
        rows = ServiceAccounts(unit)
        account = await (rows.hold(found[1]) if held else rows.find(found[1]))
        if account is not None:
            return account
    raise NotFound(f"there is no service account {name}")


async def _owner(unit: Unit, name: str) -> KeyOwner:
    found = await ApiKeys(unit).owner(name)
    if found is None:
        raise NotFound(f"there is no user or service account {name}")
    return KeyOwner(*found)


async def _owner_of_kind(unit: Unit, name: str, kind: PrincipalKind) -> KeyOwner:
    found = await ApiKeys(unit).owner(name)
    if found is None or found[0] is not kind:
        raise NotFound(f"there is no {kind.replace('_', ' ')} {name}")
    return KeyOwner(*found)


async def _log(unit: Unit, owner: KeyOwner, action: str, key_id: str) -> None:
    inside = unit.of_tenant(owner.tenant_id)
    await AuditLog(inside).append(operator(), action, ("api-key", key_id), _ALLOWED)
