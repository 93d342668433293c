"""Workspaces (contract section 10)."""

from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, UnsetType

from keyrack.api.contracts import wants
from keyrack.api.core.body import or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import (
    Linkage,
    Many,
    NewResource,
    Relationship,
    SelfLink,
    Single,
    Text,
    link_self,
    related,
)
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.invites import InvitesRelation, included_with, invite_linkage
from keyrack.api.members import MembersRelation, linkage, workspace_member
from keyrack.model.tenancy import WorkspaceType
from keyrack.service.offboarding.place_deletion import PlaceDeletion
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.workspaces import ChangedWorkspace, NewWorkspace, Workspaces, WorkspaceView
from keyrack.validation.fields import PlaceName

_PER_PAGE = 20


class ContractOfWorkspace(msgspec.Struct):
    """Linkage to a contract."""

    id: Text
    type: Literal["contract"]


class NewWorkspaceRelationships(msgspec.Struct):
    """What a new workspace belongs to."""

    contract: Linkage[ContractOfWorkspace]


class NewWorkspaceAttributes(msgspec.Struct):
    """A workspace."""

    name: PlaceName


class CreateWorkspace(NewResource):
    """Data of a create request."""

    type: Literal["workspace"]
    attributes: NewWorkspaceAttributes
    relationships: NewWorkspaceRelationships


class CreateWorkspaceBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateWorkspace


class ChangedWorkspaceAttributes(msgspec.Struct):
    """What changes; absent members stay."""

    name: PlaceName | UnsetType = UNSET
    type: WorkspaceType | UnsetType = UNSET


class ChangeWorkspace(msgspec.Struct):
    """Data of an update request."""

    type: Literal["workspace"]
    id: str | UnsetType = UNSET
    attributes: ChangedWorkspaceAttributes = msgspec.field(default_factory=ChangedWorkspaceAttributes)


class ChangeWorkspaceBody(msgspec.Struct):
    """Body of an update request."""

    data: ChangeWorkspace


class WorkspaceRelationships(msgspec.Struct):
    """A workspace's contract and members, and, if asked for, who is invited."""

    contract: Relationship
    members: MembersRelation
    invites: InvitesRelation | UnsetType = UNSET


class WorkspaceAttributes(msgspec.Struct):
    """A workspace; its type is always shown (section 10)."""

    name: str
    type: str
    flow_stats_enabled_default: bool | UnsetType = UNSET


class WorkspaceResource(msgspec.Struct):
    """A workspace."""

    id: str
    links: SelfLink
    attributes: WorkspaceAttributes
    relationships: WorkspaceRelationships
    type: Literal["workspace"] = "workspace"


class WorkspaceController(Controller):
    """Workspaces."""

    path = "/v2/workspaces"
    tags = ("Workspaces",)

    @post(status_code=200, responses=Refusals.of(400, 403, 404, body=True))
    async def create(
        self, data: Body[CreateWorkspaceBody], who: Who, workspaces: NamedDependency[Workspaces]
    ) -> Single[WorkspaceResource]:
        """Create a workspace; the creator becomes its owner."""
        wanted = data.validated().data
        new = NewWorkspace(wanted.relationships.contract.data.id, wanted.attributes.name, wanted.given_id)
        return Single(_resource(await workspaces.create(who, new)))

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        workspaces: NamedDependency[Workspaces],
        page: WantedPage,
        contract_id: Annotated[
            str | None,
            QueryParameter(
                name="contract_id", description="Those of a contract; without it all that the caller is in."
            ),
        ] = None,
    ) -> Many[WorkspaceResource]:
        """List the caller's workspaces."""
        paged = page.or_default(_PER_PAGE)
        found, total = await workspaces.list(who, contract_id or None, limit=paged.limit, offset=paged.offset)
        return Many([_resource(view) for view in found], paged.meta(total), links=link_self("/v2/workspaces"))

    @get("/{workspace_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self,
        workspace_id: PATH_ID,
        who: Who,
        workspaces: NamedDependency[Workspaces],
        invites: NamedDependency[Invites],
        include: Annotated[
            str | None,
            QueryParameter(
                name="include", description="`members` and `invites`, separated by a comma, to be added to the answer."
            ),
        ] = None,
    ) -> Single[WorkspaceResource]:
        """Return one workspace; `include=members,invites` adds them."""
        view = await workspaces.get(who, workspace_id, with_members=wants(include, "members"))
        invited = await invites.of_workspace(who, workspace_id) if wants(include, "invites") else None
        included = included_with(view.members and [workspace_member(each) for each in view.members], invited)
        resource = _resource(view)
        if invited is not None:
            resource.relationships.invites = invite_linkage(invited, view.workspace.contract_id)
        return Single(resource, included=included)

    @patch("/{workspace_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        workspace_id: PATH_ID,
        data: Body[ChangeWorkspaceBody],
        who: Who,
        workspaces: NamedDependency[Workspaces],
    ) -> Single[WorkspaceResource]:
        """Change a workspace's name or type; each needs its own permission."""

        def changed(body: ChangeWorkspaceBody) -> ChangedWorkspace:
            require_id(body.data.id, workspace_id)
            given = body.data.attributes
            return ChangedWorkspace(
                name=or_none(given.name),
                type=or_none(given.type),
            )

        view = await workspaces.change(who, workspace_id, data.named_attributes, data.then(changed))
        return Single(_resource(view))

    @delete("/{workspace_id:str}", responses=Refusals.of(403, 404))
    async def remove(self, workspace_id: PATH_ID, who: Who, place_deletion: NamedDependency[PlaceDeletion]) -> None:
        """Delete a workspace with all that is in it."""
        await place_deletion.delete_workspace(who, workspace_id)


def _resource(view: WorkspaceView) -> WorkspaceResource:
    workspace = view.workspace
    path = f"/v2/workspaces/{workspace.id}"
    relationships = WorkspaceRelationships(
        contract=related("contract", "/v2/contracts", workspace.contract_id),
        members=linkage(view.member_ids, "member", path),
    )
    stats = workspace.attributes.get("flow_stats_enabled_default", UNSET)
    attributes = WorkspaceAttributes(workspace.name, workspace.type.value, stats)
    return WorkspaceResource(workspace.id, link_self(path), attributes, relationships)
