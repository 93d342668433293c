"""Finds components as a contract or a workspace sees them (contract section 5, predicates: `store.visibility`)."""

from collections.abc import Sequence

from keyrack.errors import NotFound, OAuthClientMissing, RelatedNotFound
from keyrack.model.components import Component
from keyrack.model.tenancy import Workspace
from keyrack.service.authz.access import Scope
from keyrack.service.authz.task_users import is_task_user
from keyrack.store.component_list import ComponentFilter, ComponentList
from keyrack.store.component_visibility import Viewpoint
from keyrack.store.components import ComponentRows
from keyrack.store.core.unit import Unit
from keyrack.store.tenants import TenantRows
from keyrack.store.workspaces import WorkspaceRows

COMPONENT_POINTER = "/data/relationships/component/data/id"


def contract_view(unit: Unit, contract_id: str) -> Viewpoint:
    """Return the point of view of a contract of the unit's tenant."""
    return Viewpoint(unit.tenant_id, contract_id)


async def workspace_view(unit: Unit, workspace: Workspace) -> Viewpoint:
    """Return the point of view of a workspace of the unit's tenant.

    Raises:
        NotFound: the tenant is gone.
    """
    tenant = await TenantRows(unit).find(unit.tenant_id)
    if tenant is None:
        raise NotFound
    return Viewpoint(unit.tenant_id, workspace.contract_id, tenant.whitelists_in(workspace))


async def seen_in_workspace(
    scope: Scope, component_id: str | None = None, *, limit: int | None = None, offset: int = 0
) -> tuple[Sequence[Component], int]:
    """List what the caller sees in the scope's workspace, a task user what its flows name; a page and the total.

    Args:
        scope: of a workspace.
        component_id: only this one, if given.
        limit: how many at most; None for all.
        offset: how many to pass over.

    Raises:
        NotFound: the workspace is gone.
    """
    workspace = await WorkspaceRows(scope.unit).find(scope.place.workspace_id or "")
    if workspace is None:
        raise NotFound
    wanted = ComponentFilter(
        had_at=await workspace_view(scope.unit, workspace),
        id=component_id,
        named_in=workspace.id if is_task_user(scope.who) else None,
    )
    return await ComponentList(scope.unit).page(wanted, leave_out=component_id is None, limit=limit, offset=offset)


async def workspace_component(scope: Scope, component_id: str) -> Component:
    """Return a component that the scope's workspace has.

    Raises:
        RelatedNotFound: the workspace does not have it, with or without an OAuth client.
        OAuthClientMissing: only the gate is closed: the tenant has no OAuth client for it yet (contract 0.4).
    """
    component = await ComponentRows(scope.unit).find(component_id)
    workspace = await WorkspaceRows(scope.unit).find(scope.place.workspace_id or "")
    if component is None or workspace is None:
        raise RelatedNotFound("there is no such component", pointer=COMPONENT_POINTER)
    view = await workspace_view(scope.unit, workspace)
    had = await ComponentList(scope.unit).among(view, [component_id])
    if component_id not in had:
        raise RelatedNotFound("there is no such component", pointer=COMPONENT_POINTER)
    if not had[component_id]:
        raise OAuthClientMissing(pointer=COMPONENT_POINTER)
    return component
