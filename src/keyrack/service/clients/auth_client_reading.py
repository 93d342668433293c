"""Finds an auth client by its id alone, for whoever sees it at its own scope (contract 0.10, 14.1)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from keyrack.errors import NotFound
from keyrack.model.clients import AuthClient
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_authorization import (
    GLOBAL,
    AuthClientPermissions,
    auth_client_permissions,
    auth_client_permissions_here,
)
from keyrack.service.clients.auth_client_availability import find_available
from keyrack.store.directory import Location


@asynccontextmanager
async def seen_at_its_scope(
    access: Access, who: Principal, auth_client_id: str
) -> AsyncIterator[tuple[Scope, AuthClientPermissions, AuthClient]]:
    """Enter a client's own scope to read it; no task user gets here, who has a scope of its own.

    Raises:
        NotFound: there is none, or the caller cannot see it at its own scope.
    """
    async with access.reading(who, "auth_client", auth_client_id, partial(reached, who)) as scope:
        if scope.place == GLOBAL:
            reach = await auth_client_permissions(scope)
            is_seen = reach.knows(GLOBAL)
        else:
            reach = auth_client_permissions_here(scope)
            is_seen = reach.allows("get", scope.place)
        if not is_seen:
            raise hidden_client(access, who, scope.place, auth_client_id)
        yield scope, reach, await found_client(scope, auth_client_id)


async def located_client(access: Access, who: Principal, auth_client_id: str, action: str) -> Location:
    """Find the scope of a client, as `reached`, for an action that the audit log has if the caller may not know of it.

    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    place = await access.find("auth_client", auth_client_id)
    try:
        return reached(who, place)
    except NotFound:
        if place is not None:
            access.counts.denied(who, place.tenant_id, ("auth_client", auth_client_id), action)
        raise


def reached(who: Principal, place: Location | None) -> Location:
    """Return the scope of a client, if the caller may know of it: one of another tenant is not there.

    Raises:
        NotFound: there is none, or it is another tenant's.
    """
    if place is None or (place != GLOBAL and who.tenant_id not in (None, place.tenant_id)):
        raise unknown_client()
    return place


async def found_client(scope: Scope, auth_client_id: str) -> AuthClient:
    """Return a client that can be used at the scope's place.

    Raises:
        NotFound: there is none.
    """
    client = await find_available(scope, auth_client_id)
    if client is None:
        raise unknown_client()
    return client


def hidden_client(
    access: Access, who: Principal, place: Location, auth_client_id: str, action: str | None = None
) -> NotFound:
    """Count for the audit log that a caller asked for a client that is there and that they do not see.

    Args:
        access: counts.
        who: the caller.
        place: the client's scope.
        auth_client_id: the client.
        action: as the audit log calls it; None: to read.

    Returns:
        What the caller is told: the same as of one that is not there.
    """
    access.counts.denied(who, place.tenant_id, ("auth_client", auth_client_id), action)
    return unknown_client()


def unknown_client() -> NotFound:
    """Return what is said of a client that the caller does not see, whether it is there or not."""
    return NotFound("there is no such auth client here")
