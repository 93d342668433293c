"""Restores deleted clients while their time lasts, and deletes them for good before it is over, for callers of the API.

Who may delete a client may see that it was deleted, and undo that: nothing is gained by it that was not there before.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from keyrack.errors import NotFound, RelatedNotFound
from keyrack.model.deleted_clients import ClientKind, DeletedClient
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_authorization import AuthClientPermissions, auth_client_permissions
from keyrack.service.clients.deletion_window import forget
from keyrack.store.core.unit import Unit
from keyrack.store.deleted_clients import DeletedClients
from keyrack.store.directory import Directory, Location

_DELETE = "tenants.oauth_clients.delete"


class ClientRestoring:
    """Use cases about deleted clients of a tenant.

    Args:
        access: the way into every operation.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(self, who: Principal, tenant_id: str) -> Sequence[DeletedClient]:
        """List the tenant's deleted clients that the caller may restore, those that were deleted last first.

        Raises:
            NotFound: there is no such tenant.
            Forbidden: it is not the caller's, or the caller may delete no client at all.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            allowed = await _allowed(scope)
            found = await DeletedClients(scope.unit).list()
            return [each for each in found if _may(scope, allowed, each, await _place(scope.unit, each))]

    async def restore(self, who: Principal, tenant_id: str, client_id: str) -> DeletedClient:
        """Put a client back as it was, its id, its secrets and its rotation too.

        Raises:
            NotFound: the tenant has no such client that can be restored, or the caller may not restore it.
            Forbidden: it is not the caller's tenant, or the caller may delete no client at all.
            AlreadyExists: another client has its place now; `pointer` says what clashes.
            ContractSuspended: it belongs to a contract that is suspended.
            QuotaExceeded: the tenant has too many clients and the like.
        """
        async with self._at_its_scope(who, tenant_id, client_id, "restore") as scope:
            return await restored(scope.unit, client_id)

    async def purge(self, who: Principal, tenant_id: str, client_id: str) -> None:
        """Delete a client for good that could be restored until now; raises as `restore`, but for the clashes."""
        async with self._at_its_scope(who, tenant_id, client_id, "purge") as scope:
            if await forget(scope.unit, client_id) is None:
                raise unknown()

    @asynccontextmanager
    async def _at_its_scope(self, who: Principal, tenant_id: str, client_id: str, action: str) -> AsyncIterator[Scope]:
        """Enter the scope that a deleted client belonged to, to do something to it."""
        async with self._access.tenant(who, tenant_id) as outside:
            known, place = await self._known(outside, client_id, action)
        async with self._access.at(who, place, f"{known.kind.value}.{action}") as scope:
            await self._known(scope, client_id, action)  # what holds when it is done
            scope.require_open()
            yield scope
            scope.audit_target(known.kind.value, client_id)

    async def _known(self, scope: Scope, client_id: str, action: str) -> tuple[DeletedClient, Location]:
        allowed = await _allowed(scope)
        found = await DeletedClients(scope.unit).find(client_id)
        place = None if found is None else await _place(scope.unit, found)
        if found is None or place is None or found.ends_at <= scope.unit.clock():
            raise unknown()
        if not _may(scope, allowed, found, place):
            kind = found.kind.value
            self._access.counts.denied(scope.who, found.tenant_id, (kind, client_id), f"{kind}.{action}")
            raise unknown()
        return found, place


async def restored(unit: Unit, client_id: str) -> DeletedClient:
    """Put a client of the unit's owner back as it was.

    Raises:
        NotFound: there is none that can be restored.
        AlreadyExists: another client has its place now.
    """
    try:
        found = await DeletedClients(unit).restore(client_id)
    except RelatedNotFound:  # its contract or workspace is being deleted, and it with that
        raise unknown() from None
    if found is None:
        raise unknown()
    return found


def unknown() -> NotFound:
    """Return what is said of a client that cannot be restored, whether there ever was one or not."""
    return NotFound("there is no such client that can be restored")


async def _allowed(scope: Scope) -> AuthClientPermissions:
    """Return what the caller may do to auth clients; who may delete no client at all learns nothing here.

    Raises:
        Forbidden: the caller may delete none.
    """
    allowed = await auth_client_permissions(scope)
    deletes = scope.allows(_DELETE) or any(
        permission.endswith(".auth_clients.delete") for grant in allowed.grants for permission in grant.permissions
    )
    if not deletes:
        scope.require(_DELETE)
    return allowed


async def _place(unit: Unit, deleted: DeletedClient) -> Location | None:
    if deleted.workspace_id is not None:
        return await Directory(unit).workspace(deleted.workspace_id)
    return Location(deleted.tenant_id, deleted.contract_id)


def _may(scope: Scope, allowed: AuthClientPermissions, deleted: DeletedClient, place: Location | None) -> bool:
    if place is None:
        return False
    return scope.allows(_DELETE) if deleted.kind is ClientKind.oauth else allowed.allows("delete", place)
