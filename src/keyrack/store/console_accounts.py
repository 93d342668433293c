"""Those who can sign in to the console, users and service accounts, and their passwords (decisions 28 and 30)."""

from datetime import datetime

from keyrack.model.identity import Principal, PrincipalKind
from keyrack.store.accounts import ServiceAccounts
from keyrack.store.core.unit import Unit
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows


class ConsoleAccounts:
    """The users of the unit's tenant; service accounts in the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._users = UserRows(unit)
        self._accounts = ServiceAccounts(unit)

    async def hold(self, kind: PrincipalKind, owner_id: str) -> Principal | None:
        """Return who has an id, with the permissions of now, or None; nobody else changes it meanwhile."""
        if kind is PrincipalKind.service_account:
            account = await self._accounts.hold(owner_id)
            return None if account is None else Principal(kind, account.id, account.username, None, account.permissions)
        if not await TenantRows(self._unit).hold():
            return None
        await self._users.lock_to_change(owner_id)
        user = await self._users.find(owner_id)
        return None if user is None else Principal(kind, user.id, user.email, user.tenant_id)

    async def password(self, kind: PrincipalKind, owner_id: str) -> tuple[str, datetime] | None:
        """Return the hash of the password with which somebody signs in, and since when; None if there is none."""
        if kind is PrincipalKind.service_account:
            return await self._accounts.password(owner_id)
        return await self._users.password(owner_id)

    async def set_password(self, kind: PrincipalKind, owner_id: str, password_hash: str) -> None:
        """Store the hash of a password that its owner, or the operator, has chosen."""
        if kind is PrincipalKind.service_account:
            await self._accounts.set_password(owner_id, password_hash)
        else:
            await self._users.set_password(owner_id, password_hash)

    async def signed_in(self, kind: PrincipalKind, owner_id: str) -> None:
        """Note that somebody has just signed in; of a service account its sessions tell as much."""
        if kind is PrincipalKind.user:
            await self._users.signed_in(owner_id)
