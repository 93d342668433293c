"""Workspaces (contract section 10): create, read, change, delete."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from keyrack.errors import InUse, NotFound
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Member, Workspace, WorkspaceType
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import OWNER
from keyrack.service.authz.references import named_in_body, refuse_taken
from keyrack.service.authz.scope import contracts_granting
from keyrack.service.authz.task_users import READ_WORKSPACE
from keyrack.service.authz.usage_guard import nameable
from keyrack.service.components.visibility import workspace_view
from keyrack.store.component_list import ComponentList
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.directory import Directory
from keyrack.store.flows import FlowReferences
from keyrack.store.tenants import TenantRows
from keyrack.store.usage import Usages
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from keyrack.validation.unvalidated import Unvalidated

LIST_ALL_WORKSPACES = "contracts.workspace.listAll"
_INHERITED = ("flow_stats_enabled_default",)
"""Attributes that a new workspace takes over from its contract."""
_EDITS = {"name": "workspaces.workspace.edit", "type": "workspaces.workspace.edit_type"}
"""What each attribute needs to be changed."""
_EVERYWHERE = ("global.workspace.get_all", LIST_ALL_WORKSPACES)


@dataclass(frozen=True, slots=True)
class NewWorkspace:
    """What a caller sends to create a workspace."""

    contract_id: str
    name: str
    given_id: str | None = None
    made_id: str | None = None
    """The id that the workspace gets; None: a new one."""


@dataclass(frozen=True, slots=True)
class ChangedWorkspace:
    """What a caller sends to change one; None keeps what is stored."""

    name: str | None = None
    type: WorkspaceType | None = None


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace with the ids of its members; `members` are there when they were asked for."""

    workspace: Workspace
    member_ids: Sequence[str]
    members: Sequence[Member] | None = None


class Workspaces:
    """Use cases of contract section 10."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, who: Principal, wanted: NewWorkspace) -> WorkspaceView:
        """Create a workspace in a contract; its creator becomes its owner.

        Raises:
            RelatedNotFound: there is no such contract.
            Forbidden: the caller may not create workspaces there.
            IdConflict: the body has the id of another workspace.
        """
        with named_in_body("contract"):
            async with self._access.contract(who, wanted.contract_id, "workspace.create") as scope:
                scope.require("contracts.workspace.create")
                scope.require_that(who.tenant_id is not None, "a service account cannot own a workspace")
                in_contract = await ContractMembers(scope.unit).keep(wanted.contract_id, who.id)
                scope.require_that(in_contract, "only members of the contract can own a workspace")
                await refuse_taken(scope, "workspace", wanted.given_id)
                tenant = await TenantRows(scope.unit).find(scope.unit.tenant_id)
                kind = WorkspaceType((tenant.attributes if tenant else {}).get("default_workspace_type", "full"))
                contract = await ContractRows(scope.unit).find(wanted.contract_id)
                around = contract.attributes if contract else {}
                inherited = {name: around[name] for name in _INHERITED if name in around}
                workspace = await WorkspaceRows(scope.unit).add(
                    wanted.contract_id, wanted.name, kind, inherited, wanted.made_id
                )
                await WorkspaceMembers(scope.unit).add(workspace.id, who.id, [OWNER])
                scope.audit_target("workspace", workspace.id)
                return WorkspaceView(workspace, [who.id])

    async def list(
        self,
        who: Principal,
        contract_id: str | None,
        *,
        limit: int | None,
        offset: int,
        most_members: int | None = None,
        beginning: str = "",
    ) -> tuple[Sequence[WorkspaceView], int]:
        """List the caller's workspaces; where the caller holds `contracts.workspace.listAll`, all of the contract.

        Args:
            who: the caller.
            contract_id: only those of one contract, if given.
            limit: how many at most; None for all.
            offset: how many to pass over.
            most_members: of how many members of each, beside the caller, the ids are wanted; 0: of none; None: of all.
            beginning: only those in whose name a word begins so, or that have this id; for people only.

        Raises:
            NotFound: there is no such contract.
            Forbidden: the caller has no standing in it; or no contract was given, and the service account may not
                read the workspaces of all tenants.
        """
        if contract_id is not None:
            return await self._of_contract(who, contract_id, beginning, limit, offset, most_members)
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                scope.require(*_EVERYWHERE)
                places, total = await Directory(scope.unit).workspaces(limit=limit, offset=offset)
            views = []
            for place in places:
                with suppress(NotFound):  # deleted since it was listed
                    views.append(await self.get(who, place.workspace_id or ""))
            return views, total
        async with self._access.tenant(who, who.tenant_id) as scope:
            whole = sorted(await contracts_granting(scope, LIST_ALL_WORKSPACES))
            found, total = await WorkspaceRows(scope.unit).page(
                contract_id=None, member=who.id, whole_contracts=whole, beginning=beginning, limit=limit, offset=offset
            )
            return await _views(scope, found, most_members), total

    async def get(
        self, who: Principal, workspace_id: str, *, with_members: bool = False, most_members: int | None = None
    ) -> WorkspaceView:
        """Return a workspace to members, holders of `contracts.workspace.listAll` and tenant admins.

        A task user gets its own, but not with members.

        Args:
            who: the caller.
            workspace_id: the workspace.
            with_members: whether the members themselves are wanted.
            most_members: as in `list`; without members only.
        """
        door = None if with_members else READ_WORKSPACE
        async with self._access.workspace(who, workspace_id, door=door) as scope:
            seen = scope.in_workspace or scope.is_tenant_admin or scope.allows(LIST_ALL_WORKSPACES)
            scope.require_that(seen, "only members can see the workspace")
            workspace = await _there(scope, workspace_id)
            if most_members is not None:
                (view,) = await _views(scope, [workspace], most_members)
                return view
            members = await WorkspaceMembers(scope.unit).list(workspace_id)
            ids = [member.user.id for member in members]
            return WorkspaceView(workspace, ids, members if with_members else None)

    async def change(
        self, who: Principal, workspace_id: str, named: Collection[str], new: Unvalidated[ChangedWorkspace]
    ) -> WorkspaceView:
        """Change name or type, each with a permission of its own.

        Args:
            who: the caller.
            workspace_id: the workspace.
            named: the attributes that the body has, not judged yet, so that permissions come first (section 3).
            new: the change that the body asks for.

        Raises:
            NotFound: there is no such workspace.
            Forbidden: the caller may not change what is named.
            ValidationFailed: the body is wrong.
            InUse: it would be `full`, and a flow names a component that is not whitelisted.
        """
        async with self._access.workspace(who, workspace_id, "workspace.edit", exclusive=True) as scope:
            scope.require_edits(_EDITS, named)
            wanted = new.validated()
            stored = await _there(scope, workspace_id)
            workspace = replace(stored, name=wanted.name or stored.name, type=wanted.type or stored.type)
            if workspace.type is not stored.type:
                await _require_whitelisted(scope, workspace)
            await WorkspaceRows(scope.unit).change(workspace)
            scope.audit_target("workspace", workspace_id)
            (view,) = await _views(scope, [workspace])
            return view

    async def _of_contract(
        self, who: Principal, contract_id: str, beginning: str, limit: int | None, offset: int, most_members: int | None
    ) -> tuple[Sequence[WorkspaceView], int]:
        async with self._access.contract(who, contract_id) as scope:
            sees_all = scope.is_tenant_admin or scope.allows(*_EVERYWHERE)
            scope.require_that(sees_all or scope.in_contract, "only members of the contract can list its workspaces")
            member = None if sees_all else who.id
            found, total = await WorkspaceRows(scope.unit).page(
                contract_id=contract_id, member=member, beginning=beginning, limit=limit, offset=offset
            )
            return await _views(scope, found, most_members), total


async def _views(scope: Scope, found: Sequence[Workspace], most_members: int | None = None) -> Sequence[WorkspaceView]:
    rows, ids = WorkspaceMembers(scope.unit), [workspace.id for workspace in found]
    members = await rows.ids(ids) if most_members is None else await rows.some_ids(ids, scope.who.id, most_members)
    return [WorkspaceView(each, members.get(each.id, [])) for each in found]


async def _there(scope: Scope, workspace_id: str) -> Workspace:
    workspace = await WorkspaceRows(scope.unit).find(workspace_id)
    if workspace is None:
        raise NotFound
    return workspace


async def _require_whitelisted(scope: Scope, workspace: Workspace) -> None:
    """Insist that what flows name in graph or draft is whitelisted where a workspace's type asks for it (section 5).

    Raises:
        InUse: `meta.component_ids` are not, and `meta.flow_ids` name them.
    """
    view = await workspace_view(scope.unit, workspace)
    named = await FlowReferences(scope.unit).current_in(workspace.id)
    missing = await ComponentList(scope.unit).not_whitelisted(view, sorted(named))
    if not missing:
        return
    flows = {
        flow.flow_id: flow
        for component in missing
        for flow in await Usages(scope.unit).flows_of(component.id)
        if flow.workspace_id == workspace.id and flow.is_current
    }
    known = await nameable(scope, [flows[flow_id] for flow_id in sorted(flows)])
    names = ", ".join(f"{component.team_name}/{component.name}" for component in missing)
    raise InUse(
        f"flows use components that are not whitelisted for the contract: {names}",
        pointer="/data/attributes/type",
        meta={
            "component_ids": [component.id for component in missing],
            "flow_ids": [flow.flow_id for flow in known],
            "flows": len(flows),
        },
    )
