"""Loads what the predicates of `visibility` need; finds components as a workspace sees them (contract section 5)."""

from collections.abc import Sequence

from keyrack.errors import NotFound, OAuthClientMissing, RelatedNotFound
from keyrack.model import Component
from keyrack.service.access import Scope
from keyrack.service.task_users import is_task_user
from keyrack.service.visibility import Viewpoint, gate, workspace_has, workspace_has_ungated
from keyrack.store.components import Components
from keyrack.store.flows import FlowReferences
from keyrack.store.oauth_clients import OAuthClients
from keyrack.store.tenants import Tenants
from keyrack.store.unit import Unit
from keyrack.store.workspaces import Workspaces

COMPONENT_POINTER = "/data/relationships/component/data/id"


async def viewpoint(unit: Unit, contract_id: str) -> Viewpoint:
    """Return a contract's point of view: its tenant and the components the tenant has OAuth clients for.

    Raises:
        NotFound: the tenant is gone.
    """
    tenant = await Tenants(unit).find(unit.tenant_id)
    if tenant is None:
        raise NotFound
    return Viewpoint(tenant, contract_id, await OAuthClients(unit).component_ids())


async def seen_in_workspace(scope: Scope, components: Sequence[Component]) -> Sequence[Component]:
    """Return which components the caller sees in the scope's workspace: for a task user those its flows name.

    Raises:
        NotFound: the workspace is gone.
    """
    workspace = await Workspaces(scope.unit).find(scope.place.workspace_id or "")
    if workspace is None:
        raise NotFound
    view = await viewpoint(scope.unit, workspace.contract_id)
    had = [component for component in components if workspace_has(view, workspace, component)]
    if not is_task_user(scope.who):
        return had
    named = await FlowReferences(scope.unit).named_in(workspace.id)
    return [component for component in had if component.id in named]


async def workspace_component(scope: Scope, component_id: str) -> Component:
    """Return a component that the scope's workspace has.

    Raises:
        RelatedNotFound: the workspace does not have it, with or without an OAuth client.
        OAuthClientMissing: only the gate is closed: the tenant has no OAuth client for it yet (contract 0.4).
    """
    component = await Components(scope.unit).find(component_id)
    workspace = await Workspaces(scope.unit).find(scope.place.workspace_id or "")
    if component is None or workspace is None:
        raise RelatedNotFound("there is no such component", pointer=COMPONENT_POINTER)
    view = await viewpoint(scope.unit, workspace.contract_id)
    if not workspace_has_ungated(view, workspace, component):
        raise RelatedNotFound("there is no such component", pointer=COMPONENT_POINTER)
    if not gate(view, component):
        raise OAuthClientMissing(pointer=COMPONENT_POINTER)
    return component
