"""Lists components by whether they need an OAuth client and lack it, and names components (contract section 5, 8)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from keyrack.model.components import ClientNeed, ComponentNeed
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import GET_OAUTH_CLIENTS, LIST_COMPONENTS
from keyrack.service.components.visibility import SEES_UNGATED
from keyrack.store.client_needs import ComponentNeeds

_KNOWN = (ClientNeed.lacking, ClientNeed.served, ClientNeed.none)
_UNKNOWN = (ClientNeed.needed, ClientNeed.none)


class ClientNeeds:
    """What components need of a tenant, and what it has for them."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def list(
        self, who: Principal, tenant_id: str, search: str, *, lacking: bool, limit: int, offset: int
    ) -> tuple[Sequence[ComponentNeed], int]:
        """List the components that a tenant sees, those first that need an OAuth client and lack it.

        Args:
            who: the caller; who may not see OAuth clients gets those first that need one.
            tenant_id: the tenant.
            search: what the name must have in it, or the id; empty for all.
            lacking: only those that lack one.
            limit: how many at most.
            offset: how many to pass over.

        Returns:
            A page and the total.

        Raises:
            Forbidden: a permission is missing; for `lacking` also that to see OAuth clients.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(LIST_COMPONENTS)
            knows = scope.allows(GET_OAUTH_CLIENTS)
            if lacking:
                scope.require(GET_OAUTH_CLIENTS)
            needs = (ClientNeed.lacking,) if lacking else _KNOWN if knows else _UNKNOWN
            found, total = await ComponentNeeds(scope.unit).page(needs, search, limit=limit, offset=offset)
            return [each if knows else _without_client(each) for each in found], total

    async def named(self, who: Principal, tenant_id: str, component_ids: Sequence[str]) -> Mapping[str, ComponentNeed]:
        """Return by id those of some components that the tenant sees; none to who may not see them all."""
        async with self._access.tenant(who, tenant_id) as scope:
            return await named_components(scope, component_ids)

    async def identified(self, who: Principal, tenant_id: str, names: Sequence[str]) -> Mapping[str, str]:
        """Return the ids of those components that are named `team/component`; none to who may not see them all."""
        pairs = {name: (team, own) for name in names for team, slash, own in [name.partition("/")] if slash}
        async with self._access.tenant(who, tenant_id) as scope:
            if not pairs or not scope.allows(*SEES_UNGATED):
                return {}
            found = await ComponentNeeds(scope.unit).ids_of(list(pairs.values()))
            return {name: found[pair] for name, pair in pairs.items() if pair in found}


async def named_components(scope: Scope, component_ids: Sequence[str]) -> Mapping[str, ComponentNeed]:
    """Return by id those of some components that the scope's tenant sees; none to who may not see them all."""
    if not scope.allows(*SEES_UNGATED) or not component_ids:
        return {}
    found = await ComponentNeeds(scope.unit).by_ids(list(dict.fromkeys(component_ids)))
    knows = scope.allows(GET_OAUTH_CLIENTS)
    return {name: each if knows else _without_client(each) for name, each in found.items()}


def _without_client(found: ComponentNeed) -> ComponentNeed:
    return replace(found, oauth_client_id=None, secret_expires_at=None)
