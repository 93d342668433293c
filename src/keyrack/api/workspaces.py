"""Workspaces (contract section 10)."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET

from keyrack.api.asked import Body, WantedPage, Who
from keyrack.api.contracts import Name, wants
from keyrack.api.jsonapi import Linkage, Many, NewResource, Relationship, SelfLink, Single, Text, link_self, related
from keyrack.api.members import MembersRelation, linkage, workspace_member
from keyrack.api.openapi import PATH_ID, Refusals
from keyrack.service.workspaces import NewWorkspace, Workspaces, WorkspaceView

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

    name: Name


class CreateWorkspace(NewResource):
    """Data of a create request."""

    type: Literal["workspace"]
    attributes: NewWorkspaceAttributes
    relationships: NewWorkspaceRelationships


class CreateWorkspaceBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateWorkspace


class WorkspaceRelationships(msgspec.Struct):
    """A workspace's contract and members."""

    contract: Relationship
    members: MembersRelation


class WorkspaceAttributes(msgspec.Struct):
    """A workspace; its type is always shown (section 10)."""

    name: str
    type: str


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
    tags = ["Workspaces"]  # noqa: RUF012 - the framework's own way to set it

    @post(status_code=200, responses=Refusals.of(400, 403, 404, body=True))
    async def create(
        self, data: Body[CreateWorkspaceBody], who: Who, workspaces: NamedDependency[Workspaces]
    ) -> Single[WorkspaceResource]:
        """Create a workspace; the creator becomes its owner."""
        wanted = data.check().data
        new = NewWorkspace(wanted.relationships.contract.data.id, wanted.attributes.name, wanted.given_id)
        return Single(_resource(await workspaces.create(who, new)))

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        workspaces: NamedDependency[Workspaces],
        page: WantedPage,
        contract_id: Annotated[str | None, QueryParameter(name="contract_id")] = None,
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
        include: Annotated[str | None, QueryParameter(name="include")] = None,
    ) -> Single[WorkspaceResource]:
        """Return one workspace; `include=members` adds them."""
        view = await workspaces.get(who, workspace_id, with_members=wants(include, "members"))
        included: Any = UNSET if view.members is None else [workspace_member(member) for member in view.members]
        return Single(_resource(view), included=included)


def _resource(view: WorkspaceView) -> WorkspaceResource:
    workspace = view.workspace
    path = f"/v2/workspaces/{workspace.id}"
    relationships = WorkspaceRelationships(
        contract=related("contract", "/v2/contracts", workspace.contract_id),
        members=linkage(view.member_ids, "member", path),
    )
    attributes = WorkspaceAttributes(workspace.name, workspace.type.value)
    return WorkspaceResource(workspace.id, link_self(path), attributes, relationships)
