"""Checks an auth client's components: each is visible at the client's own scope (contract 14.2, section 5)."""

from collections.abc import Collection, Sequence

from keyrack.errors import NotFound, RelatedNotFound
from keyrack.service.authz.access import Scope
from keyrack.service.components.visibility import contract_view, workspace_view
from keyrack.store.component_list import ComponentList
from keyrack.store.components import ComponentRows
from keyrack.store.workspaces import WorkspaceRows

COMPONENTS_POINTER = "/data/relationships/components/data"


async def require_visible(scope: Scope, component_ids: Sequence[str]) -> None:
    """Insist that all components can be seen at the scope's place, and keep them until its transaction ends, if any.

    A global client takes components that everybody sees, a tenant's client those the tenant sees, and those of a
    contract or workspace what the contract or workspace has.

    Raises:
        RelatedNotFound: one does not exist or cannot be seen there.
    """
    if scope.writes:
        await ComponentRows(scope.unit).hold([], component_ids)
    found = await _visible(scope, component_ids)
    for index, component_id in enumerate(component_ids):
        if component_id not in found:
            pointer = f"{COMPONENTS_POINTER}/{index}/id"
            raise RelatedNotFound("there is no such component in the auth client's scope", pointer=pointer)


async def _visible(scope: Scope, component_ids: Sequence[str]) -> Collection[str]:
    """Return which components can be seen at the place; at a tenant that is what the tenant sees."""
    place = scope.place
    if place.contract_id is None:
        return await ComponentRows(scope.unit).seen_among(component_ids)
    view = contract_view(scope.unit, place.contract_id)
    if place.workspace_id is not None:
        workspace = await WorkspaceRows(scope.unit).find(place.workspace_id)
        if workspace is None:
            raise NotFound
        view = await workspace_view(scope.unit, workspace)
    had = await ComponentList(scope.unit).among(view, component_ids)
    return [component_id for component_id, is_open in had.items() if is_open]
