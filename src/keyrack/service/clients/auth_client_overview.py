"""Lists the auth clients that a caller knows of, in all scopes, with what is wrong with them (contract section 14)."""

from collections.abc import Sequence
from dataclasses import replace

from keyrack.model.clients import AuthClientFilter, ListedAuthClient
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.clients.auth_client_authorization import GLOBAL, AuthClientPermissions, auth_client_permissions
from keyrack.store.auth_client_list import AuthClientList


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
    mine = {each for grant in reach.grants for each in (grant.place.contract_id, grant.place.workspace_id) if each}
    return [
        each if (each.workspace_id or each.contract_id) in mine else replace(each, place_name=None) for each in found
    ], total
