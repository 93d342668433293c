"""Enters an auth client's own scope to change the client in another way than `auth_clients` does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyrack.errors import Forbidden
from keyrack.model.clients import AuthClient
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_authorization import GLOBAL, auth_client_permissions
from keyrack.service.clients.auth_client_reading import found_client, hidden_client, located_client
from keyrack.store.auth_clients import AuthClientRows


@asynccontextmanager
async def changed_at_its_scope(
    access: Access, who: Principal, auth_client_id: str, permission: str, action: str
) -> AsyncIterator[tuple[Scope, AuthClient]]:
    """Enter a client's own scope, and yield the client, which nobody else changes meanwhile.

    Args:
        access: the way into every operation.
        who: the caller.
        auth_client_id: the client.
        permission: the last part of the permission that is needed at the client's scope, such as `edit`.
        action: as the audit log calls it.

    Raises:
        NotFound: there is none, or the caller cannot see it from anywhere.
        Forbidden: the caller may not do so.
    """
    place = await located_client(access, who, auth_client_id, action)
    entered = access.installation(who, action) if place == GLOBAL else access.at(who, place, action)
    async with entered as scope:
        allowed = await auth_client_permissions(scope)
        if not allowed.allows(permission, place):
            if not allowed.knows(place):
                raise hidden_client(access, who, place, auth_client_id, action)
            needed = f"global.auth_clients.{permission}"
            raise Forbidden(f"this needs the permission {needed}, held at the auth client's scope")
        scope.require_open()
        await AuthClientRows(scope.unit).lock_to_change(auth_client_id)
        yield scope, await found_client(scope, auth_client_id)
        scope.audit_target("auth-client", auth_client_id)
