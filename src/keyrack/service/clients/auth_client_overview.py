"""Lists the auth clients that a caller knows of, in all scopes, with what is wrong with them (contract section 14)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from keyrack.model import Json
from keyrack.model.clients import AuthClient, AuthClientFilter, ListedAuthClient
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_authorization import GLOBAL, AuthClientPermissions, auth_client_permissions
from keyrack.service.clients.auth_client_credentials import shown
from keyrack.service.clients.auth_client_reading import found_client, hidden_client, reached, unknown_client
from keyrack.store.auth_client_list import AuthClientList
from keyrack.store.directory import Location


@dataclass(frozen=True, slots=True)
class PermittedScopes:
    """In which scopes somebody may do something: anywhere, everyone's, the tenant's, and of those asked about."""

    anywhere: bool = False
    everyones: bool = False
    tenants: bool = False
    contract_ids: frozenset[str] = frozenset()
    workspace_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KnownAuthClient:
    """A client as the caller knows it.

    Attributes:
        client: the client; what is in its credentials is not for everybody.
        credentials: as those see them who may; else None.
        listed: as a list shows it.
        may_edit: whether the caller may change it.
        may_delete: whether the caller may delete it.
    """

    client: AuthClient
    credentials: Json | None = field(repr=False)
    listed: ListedAuthClient
    may_edit: bool
    may_delete: bool


class AuthClientOverview:
    """Of all scopes at once what the API's list tells of each, without credentials."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(
        self, who: Principal, wanted: AuthClientFilter, *, limit: int, offset: int
    ) -> tuple[Sequence[ListedAuthClient], int]:
        """List the clients that the caller knows of, rejected ones first; return a page and the total.

        Those who belong to no tenant get global clients.

        Raises:
            Forbidden: the caller holds no get permission anywhere.
        """
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                return await _listed(scope, wanted, limit, offset)
        async with self._access.tenant(who, who.tenant_id) as scope:
            return await _listed(scope, wanted, limit, offset)

    async def may(
        self, who: Principal, action: str, contract_ids: Sequence[str], workspaces: Mapping[str, str]
    ) -> PermittedScopes:
        """Return in which scopes the caller may do something to auth clients.

        Args:
            who: the caller.
            action: `get`, `create`, `edit` or `delete`.
            contract_ids: which contracts are asked about.
            workspaces: likewise, each with its contract.
        """
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                reach = await auth_client_permissions(scope)
                allowed = reach.allows(action, GLOBAL)
                return PermittedScopes(allowed, allowed)
        async with self._access.tenant(who, who.tenant_id) as scope:
            reach, here = await auth_client_permissions(scope), who.tenant_id
            return PermittedScopes(
                anywhere=any(reach.allows(action, grant.place) for grant in reach.grants),
                everyones=reach.allows(action, GLOBAL),
                tenants=reach.allows(action, Location(here)),
                contract_ids=frozenset(each for each in contract_ids if reach.allows(action, Location(here, each))),
                workspace_ids=frozenset(
                    each
                    for each, contract in workspaces.items()
                    if reach.allows(action, Location(here, contract, each))
                ),
            )

    async def get(self, who: Principal, auth_client_id: str) -> KnownAuthClient:
        """Return one client that the caller knows of, its credentials only to who sees them in the API (14.1).

        Raises:
            NotFound: there is none, or the caller knows of none.
        """
        async with self._access.reading(who, "auth_client", auth_client_id, partial(reached, who)) as scope:
            reach, place = await auth_client_permissions(scope), scope.place
            if not reach.knows(place):
                raise hidden_client(self._access, who, place, auth_client_id)
            client = await found_client(scope, auth_client_id)
            listed = (await AuthClientList(scope.unit).by_ids([auth_client_id])).get(auth_client_id)
            if listed is None:
                raise unknown_client()
            return KnownAuthClient(
                client,
                shown(client) if reach.shows_keys(place) else None,
                _named(listed, reach) if not scope.is_tenant_admin else listed,
                may_edit=reach.allows("edit", place),
                may_delete=reach.allows("delete", place),
            )


async def _listed(
    scope: Scope, wanted: AuthClientFilter, limit: int, offset: int
) -> tuple[Sequence[ListedAuthClient], int]:
    reach = await auth_client_permissions(scope)
    scope.require_that(reach.knows(GLOBAL), "this needs a permission to get auth clients")
    return await known_clients(scope, reach, wanted, limit=limit, offset=offset)


async def known_clients(
    scope: Scope, reach: AuthClientPermissions, wanted: AuthClientFilter, *, limit: int, offset: int
) -> tuple[Sequence[ListedAuthClient], int]:
    """List the clients of the scopes that somebody knows of; return a page and the total.

    Places are named to tenant admins and to those who hold a role there; others know their ids.

    Args:
        scope: at the caller's tenant, or at the installation.
        reach: what the caller may do to auth clients.
        wanted: which clients.
        limit: how many at most.
        offset: how many to pass over.
    """
    known = reach.known_scopes(scope.place.tenant_id)
    found, total = await AuthClientList(scope.unit).page(known, wanted, limit=limit, offset=offset)
    if scope.is_tenant_admin:
        return found, total
    return [_named(each, reach) for each in found], total


def _named(found: ListedAuthClient, reach: AuthClientPermissions) -> ListedAuthClient:
    """Leave out the name of a place in which the caller has no role."""
    mine = {each for grant in reach.grants for each in (grant.place.contract_id, grant.place.workspace_id) if each}
    return found if (found.workspace_id or found.contract_id) in mine else replace(found, place_name=None)
