"""Destroys a tenant's data keys, so that nothing of it that is encrypted can be opened again, here and in any copy."""

from dataclasses import dataclass

from keyrack.errors import NotFound, StateConflict
from keyrack.service.authz.operator import operator
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.shredding import ShreddedWork
from keyrack.store.tenants import TenantRows


@dataclass(frozen=True, slots=True)
class Shredded:
    """A tenant whose data keys are destroyed.

    Attributes:
        tenant_id: its id.
        tenant_name: its name.
        data_keys: how many keys there were.
    """

    tenant_id: str
    tenant_name: str
    data_keys: int


class CryptoShredding:
    """For whoever works on the machine itself."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def about(self, tenant_id: str) -> str:
        """Return the name of a tenant that is about to be shredded.

        Raises:
            NotFound: there is no such tenant.
        """
        async with self._store.unit(tenant_id) as unit:
            tenant = await TenantRows(unit).find(tenant_id)
        if tenant is None:
            raise NotFound(f"there is no tenant {tenant_id}")
        return tenant.name

    async def shred(self, tenant_id: str) -> Shredded:
        """Destroy a tenant's data keys, and end its work; its rows stay, and nobody can read what is encrypted in them.

        Every process notices with its next look: hot reads ask the database for the key's row each time, everything
        else hears of it (PostgreSQL) or sees that the file has changed (SQLite).

        Raises:
            NotFound: there is no such tenant.
            StateConflict: it has no data keys any more.
        """
        name = await self.about(tenant_id)
        async with self._store.unit(tenant_id, writes=True) as unit:
            if not await TenantRows(unit).hold(exclusive=True):
                raise NotFound(f"there is no tenant {tenant_id}")
            await ShreddedWork(unit).end()
            destroyed = await unit.keyring.destroy_keys(unit.connection, tenant_id)
            if destroyed == 0:
                raise StateConflict(f"the tenant {tenant_id} was shredded before")
            target = ("tenant", tenant_id)
            await AuditLog(unit).append(operator(), "tenant.shred", target, "allowed")
            await AuditLog(unit.of_installation()).append(operator(), "tenant.shred", target, "allowed")
        self._store.keyring.forget(tenant_id)
        return Shredded(tenant_id, name, destroyed)
