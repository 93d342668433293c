"""Decides who sees and who works on a component (sections 3, 5, 13); the gate: `store.component_gate`."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Literal

from keyrack.errors import Forbidden, NotFound, OAuthClientMissing, RelatedNotFound
from keyrack.model.components import Component
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Workspace
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.task_users import TaskUserAccess, is_task_user, own_place
from keyrack.store.component_list import ComponentFilter, ComponentList
from keyrack.store.component_visibility import Viewpoint
from keyrack.store.components import ComponentRows
from keyrack.store.core.paging import After
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Location
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import TenantRows
from keyrack.store.workspaces import WorkspaceRows

COMPONENT_POINTER = "/data/relationships/component/data/id"
_NAMED = 10
"""How many components an error names."""


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
    scope: Scope,
    component_id: str | None = None,
    *,
    named: str = "",
    limit: int | None = None,
    offset: int | After = 0,
) -> tuple[Sequence[Component], int]:
    """List what the caller sees in the scope's workspace, a task user what its flows name; a page and the total.

    Args:
        scope: of a workspace.
        component_id: only this one, if given.
        named: only those whose name has this in it, whatever the case of letters.
        limit: how many at most; None for all.
        offset: how many to pass over, or where a stretch begins.

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
        named=named,
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
        raise client_missing([component], scope.unit.tenant_id, COMPONENT_POINTER)
    return component


def client_missing(components: Sequence[Component], tenant_id: str, pointer: str | None = None) -> OAuthClientMissing:
    """Say for which components a tenant lacks an OAuth client, and who can mend that (contract 0.4).

    Args:
        components: at least one.
        tenant_id: the tenant.
        pointer: where the first one is named in the request.
    """
    names = ", ".join(f"{each.team_name}/{each.name}" for each in components[:_NAMED])
    more = f" and {len(components) - _NAMED} more" if len(components) > _NAMED else ""
    cure = f"a tenant admin can create one with POST /v2/tenants/{tenant_id}/oauth-clients"
    return OAuthClientMissing(f"the tenant has no OAuth client for {names}{more}; {cure}", pointer=pointer)


EDIT = "contracts.repository.edit"


SEES_UNGATED = ("tenants.component.list_all", "tenants.oauth_clients.create")
"""With one of these one sees past the gate (the note of section 13.2)."""


Developer = Literal["editor in the team", "editor", "editor or in the team"]
"""Who may do something to a component, beside what the tenant admin may: section 13.2 and 13.4 differ by route."""


class ComponentVisibility:
    """The way to a component addressed without a parent."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @asynccontextmanager
    async def seen(
        self, who: Principal, component_id: str, action: str | None = None, door: TaskUserAccess | None = None
    ) -> AsyncIterator[tuple[Scope, Component]]:
        """Enter the place a caller looks from.

        Users look from the home tenant, service accounts from the owner's, task users from their workspace.

        Raises:
            NotFound: there is no component of that id that the caller can see.
            Forbidden: the caller is a task user that sees it, and the operation is not open to those.
        """
        found = await self._access.find("component", component_id)
        async with self._access.at(who, _viewpoint(who, found), action, door) as scope:
            component = await ComponentRows(scope.unit).find(component_id)
            if component is None or not await _visible(scope, component):
                if found is not None:
                    self._access.counts.denied(who, found.tenant_id, ("component", component_id), action)
                raise NotFound("there is no such component")
            if is_task_user(who) and door is None:
                raise Forbidden("a running step may not do this")
            yield scope, component

    @asynccontextmanager
    async def owned(
        self, who: Principal, component_id: str, action: str, need: Developer
    ) -> AsyncIterator[tuple[Scope, Component]]:
        """Enter a component's own contract to work on it.

        Raises:
            NotFound: there is no component of that id that the caller can see.
            Forbidden: the caller sees it, but is no developer of it.
        """
        place = await self._access.find("component", component_id)
        if place is None or is_task_user(who) or who.tenant_id not in (None, place.tenant_id):
            async with self.seen(who, component_id, action):
                raise Forbidden("only the component's owner can do this")
        async with self._access.at(who, place, action) as scope:
            component = await own_component(scope, component_id)
            try:
                await _require_developer(scope, component, need)
            except NotFound:
                self._access.counts.denied(who, place.tenant_id, ("component", component_id), action)
                raise
            yield scope, component


def _viewpoint(who: Principal, found: Location | None) -> Location:
    """Return where a caller looks from; for users it is the same whether another tenant has the component or nobody.

    Raises:
        NotFound: it is nowhere, and the caller is a service account, which would look from there.
    """
    if is_task_user(who):
        return own_place(who)
    if who.tenant_id is not None and (found is None or found.tenant_id != who.tenant_id):
        return Location(who.tenant_id)
    if found is None:
        raise NotFound("there is no such component")
    return found


async def own_component(scope: Scope, component_id: str) -> Component:
    """Return a component without asking whether the caller sees it.

    Raises:
        NotFound: the scope's tenant sees none of that id.
    """
    component = await ComponentRows(scope.unit).find(component_id)
    if component is None:
        raise NotFound("there is no such component")
    return component


async def _require_developer(scope: Scope, component: Component, need: Developer) -> None:
    in_team = await TeamRows(scope.unit).is_member(component.team_id, scope.who.id)
    editor, is_service = scope.allows(EDIT), scope.who.tenant_id is None
    if not (editor or in_team or scope.is_tenant_admin) and not await _visible(scope, component):
        raise NotFound("there is no such component")
    allowed = {
        "editor in the team": (editor and (in_team or is_service)) or scope.is_tenant_admin,
        "editor": editor,
        "editor or in the team": editor or in_team or scope.is_tenant_admin,
    }[need]
    scope.require_that(allowed, f"this needs {EDIT} in the component's contract")


async def _visible(scope: Scope, component: Component) -> bool:
    """The note of section 13.2: client administrators see past the gate, everybody else what a contract has.

    Args:
        scope: where the caller looks from.
        component: one that the scope's tenant sees.
    """
    if is_task_user(scope.who):
        return bool((await seen_in_workspace(scope, component.id))[0])
    if scope.allows(*SEES_UNGATED):
        return True
    if scope.who.tenant_id is None:
        return scope.in_contract
    return await ComponentList(scope.unit).had_by_member(scope.who.id, component.id)
