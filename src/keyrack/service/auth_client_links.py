"""The components of an auth client: each must be visible at the client's own scope (contract 14.2, section 5)."""

from collections.abc import Callable, Sequence

from keyrack.errors import NotFound, RelatedNotFound
from keyrack.model import Component
from keyrack.service.access import Scope
from keyrack.service.sight import viewpoint
from keyrack.service.visibility import contract_has, workspace_has
from keyrack.store.components import Components
from keyrack.store.workspaces import Workspaces

COMPONENTS_POINTER = "/data/relationships/components/data"


async def require_visible(scope: Scope, component_ids: Sequence[str]) -> None:
    """Insist that all components can be seen at the scope's place, and keep them until the transaction ends.

    A global client takes components that everybody sees, a tenant's client those the tenant sees, and those of a
    contract or workspace what the contract or workspace has.

    Raises:
        RelatedNotFound: one does not exist or cannot be seen there.
    """
    seen = await _visible(scope)
    await Components(scope.unit).hold([], component_ids)
    found = {component.id for component in await Components(scope.unit).list(ids=component_ids) if seen(component)}
    for index, component_id in enumerate(component_ids):
        if component_id not in found:
            pointer = f"{COMPONENTS_POINTER}/{index}/id"
            raise RelatedNotFound("there is no such component where the client belongs", pointer=pointer)


async def _visible(scope: Scope) -> Callable[[Component], bool]:
    """Return the predicate of the place; what the tenant does not see has been left out before."""
    place = scope.place
    if place.contract_id is None:
        return lambda _: True
    view = await viewpoint(scope.unit, place.contract_id)
    if place.workspace_id is None:
        return lambda component: contract_has(view, component)
    workspace = await Workspaces(scope.unit).find(place.workspace_id)
    if workspace is None:
        raise NotFound
    return lambda component: workspace_has(view, workspace, component)
