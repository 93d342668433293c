"""Lists, restores and deletes for good deleted clients of all tenants and global ones, for the operator."""

from collections.abc import Awaitable, Callable, Sequence

from keyrack.model.deleted_clients import DeletedClient
from keyrack.model.rotations import RotatedClient
from keyrack.service.authz.access import ALLOWED
from keyrack.service.authz.operator import operator
from keyrack.service.clients.deletion_window import forget
from keyrack.service.deleted_clients.restoring import restored, unknown
from keyrack.service.rotation.rotated_clients import entered
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.deleted_clients import DeletedClientsAcrossTenants


class DeletedClientDesk:
    """For whoever works on the machine itself; what is done is in the audit log of the client's owner."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self) -> Sequence[DeletedClient]:
        """List those that can be restored, by owner; those that were deleted last first."""
        async with self._store.installation() as unit:
            return await DeletedClientsAcrossTenants(unit).list()

    async def restore(self, client_id: str) -> DeletedClient:
        """Put a client back as it was.

        Raises:
            NotFound: there is none that can be restored.
            AlreadyExists: another client has its place now.
        """
        return await self._done(client_id, "restore", restored)

    async def purge(self, client_id: str) -> DeletedClient:
        """Delete a client for good that could be restored until now; raises as `restore`."""
        return await self._done(client_id, "purge", _forgotten)

    async def _done(
        self, client_id: str, action: str, step: Callable[[Unit, str], Awaitable[DeletedClient]]
    ) -> DeletedClient:
        named = [each for each in await self.list() if each.id == client_id]
        if not named:
            raise unknown()
        kind = named[0].kind.value
        async with entered(self._store, RotatedClient(kind, named[0].tenant_id, client_id), writes=True) as unit:
            done = await step(unit, client_id)
            await AuditLog(unit).append(operator(), f"{kind}.{action}", (kind, client_id), ALLOWED)
            return done


async def _forgotten(unit: Unit, client_id: str) -> DeletedClient:
    done = await forget(unit, client_id)
    if done is None:
        raise unknown()
    return done
