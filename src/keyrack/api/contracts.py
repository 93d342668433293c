"""Contracts and workspaces with their members (contract sections 9 and 10)."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, get, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.asked import Body, WantedPage, Who
from keyrack.api.jsonapi import (
    Identifier,
    Linkage,
    Many,
    Relationship,
    SelfLink,
    Single,
    Text,
    link_self,
    related,
)
from keyrack.api.openapi import PATH_ID, Refusals
from keyrack.model import Member
from keyrack.service.contracts import ContractView, Estates, NewContract, WorkspaceView
from keyrack.service.members import Members, NewMember

Name = Annotated[str, Meta(min_length=3, max_length=40, pattern=r"^[A-Za-z0-9 _-]+$")]
_PER_PAGE = 20


class RolePair(msgspec.Struct):
    """A role by scope and name."""

    scope: Literal["contracts", "workspaces"]
    role: Text


class NewContractAttributes(msgspec.Struct):
    """A contract; no available roles means all of the tenant's."""

    name: Name
    available_roles: list[RolePair] | UnsetType = UNSET
    custom_data: Any = UNSET


class CreateContract(msgspec.Struct):
    """Data of a create request."""

    type: Literal["contract"]
    attributes: NewContractAttributes


class CreateContractBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateContract


class MemberRoles(msgspec.Struct):
    """Roles of a member."""

    roles: Annotated[list[Text], Meta(min_length=1)]


class AddContractMember(msgspec.Struct):
    """Data of a new contract member; `id` is the user's."""

    id: Text
    type: Literal["contract-member"]
    attributes: MemberRoles


class AddContractMemberBody(msgspec.Struct):
    """Body of a new contract member."""

    data: AddContractMember


class AddWorkspaceMember(msgspec.Struct):
    """Data of a new workspace member; `id` is the user's."""

    id: Text
    type: Literal["member"]
    attributes: MemberRoles


class AddWorkspaceMemberBody(msgspec.Struct):
    """Body of a new workspace member."""

    data: AddWorkspaceMember


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


class CreateWorkspace(msgspec.Struct):
    """Data of a create request."""

    type: Literal["workspace"]
    attributes: NewWorkspaceAttributes
    relationships: NewWorkspaceRelationships


class CreateWorkspaceBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateWorkspace


class MembersRelation(msgspec.Struct):
    """Linkage to members; its link keeps a trailing slash (section 4)."""

    data: list[Identifier]
    links: SelfLink


class ContractRelationships(msgspec.Struct):
    """Who is in a contract."""

    members: MembersRelation


class ContractResource(msgspec.Struct):
    """A contract."""

    id: str
    links: SelfLink
    attributes: dict[str, Any]
    relationships: ContractRelationships
    type: Literal["contract"] = "contract"


class MemberAttributes(msgspec.Struct):
    """A member and roles."""

    first_name: str
    last_name: str
    email: str
    roles: list[str]


class ContractMemberRelationships(msgspec.Struct):
    """Who the member is."""

    user: Relationship


class ContractMemberResource(msgspec.Struct):
    """A member of a contract."""

    id: str
    attributes: MemberAttributes
    relationships: ContractMemberRelationships
    type: Literal["contract-member"] = "contract-member"


class WorkspaceMemberResource(msgspec.Struct):
    """A member of a workspace."""

    id: str
    links: SelfLink
    attributes: MemberAttributes
    type: Literal["member"] = "member"


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


class ContractController(Controller):
    """Contracts."""

    path = "/v2/contracts"
    tags = ["Contracts"]  # noqa: RUF012 - the framework's own way to set it

    @post(status_code=201, responses=Refusals.of(400, 403, body=True))
    async def create(
        self, data: Body[CreateContractBody], who: Who, estates: NamedDependency[Estates]
    ) -> Single[ContractResource]:
        """Create a contract in the caller's tenant."""
        return Single(_contract(await estates.create_contract(who, data.then(_new_contract))))

    @get(responses=Refusals.of(400, 403))
    async def list_all(self, who: Who, estates: NamedDependency[Estates], page: WantedPage) -> Many[ContractResource]:
        """List the caller's contracts."""
        paged = page.or_default(_PER_PAGE)
        found, total = await estates.contracts(who, limit=paged.limit, offset=paged.offset)
        return Many([_contract(view) for view in found], paged.meta(total))

    @get("/{contract_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self,
        contract_id: PATH_ID,
        who: Who,
        estates: NamedDependency[Estates],
        members: NamedDependency[Members],
        include: Annotated[str | None, QueryParameter(name="include")] = None,
    ) -> Single[ContractResource]:
        """Return one contract; `include=members` adds them."""
        view = await estates.contract(who, contract_id)
        found = await members.of_contract(who, contract_id) if _wants(include, "members") else None
        shown: Any = UNSET if found is None else [_contract_member(member) for member in found]
        return Single(_contract(view), included=shown, links=link_self(f"/v2/contracts/{contract_id}"))

    @get("/{contract_id:str}/members", responses=Refusals.of(400, 403, 404))
    async def list_members(
        self, contract_id: PATH_ID, who: Who, members: NamedDependency[Members], page: WantedPage
    ) -> Many[ContractMemberResource]:
        """List a contract's members."""
        found = await members.of_contract(who, contract_id)
        resources = [_contract_member(member) for member in page.cut(found)]
        return Many(resources, page.meta(len(found)), links=link_self(f"/v2/contracts/{contract_id}/members/"))

    @post("/{contract_id:str}/members", status_code=200, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def add_member(
        self, contract_id: PATH_ID, data: Body[AddContractMemberBody], who: Who, members: NamedDependency[Members]
    ) -> Single[ContractMemberResource]:
        """Make a user of the tenant a member, at once."""
        return Single(_contract_member(await members.join_contract(who, contract_id, data.then(_new_member))))


class WorkspaceController(Controller):
    """Workspaces."""

    path = "/v2/workspaces"
    tags = ["Workspaces"]  # noqa: RUF012 - the framework's own way to set it

    @post(status_code=200, responses=Refusals.of(400, 403, 404, body=True))
    async def create(
        self, data: Body[CreateWorkspaceBody], who: Who, estates: NamedDependency[Estates]
    ) -> Single[WorkspaceResource]:
        """Create a workspace; the creator becomes its owner."""
        contract_id = data.then(lambda body: body.data.relationships.contract.data.id)
        name = data.then(lambda body: body.data.attributes.name)
        return Single(_workspace(await estates.create_workspace(who, contract_id, name)))

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        who: Who,
        estates: NamedDependency[Estates],
        page: WantedPage,
        contract_id: Annotated[str | None, QueryParameter(name="contract_id")] = None,
    ) -> Many[WorkspaceResource]:
        """List the caller's workspaces."""
        paged = page.or_default(_PER_PAGE)
        found, total = await estates.workspaces(who, contract_id or None, limit=paged.limit, offset=paged.offset)
        return Many([_workspace(view) for view in found], paged.meta(total), links=link_self("/v2/workspaces"))

    @get("/{workspace_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self,
        workspace_id: PATH_ID,
        who: Who,
        estates: NamedDependency[Estates],
        members: NamedDependency[Members],
        include: Annotated[str | None, QueryParameter(name="include")] = None,
    ) -> Single[WorkspaceResource]:
        """Return one workspace; `include=members` adds them."""
        view = await estates.workspace(who, workspace_id)
        found = await members.of_workspace(who, workspace_id) if _wants(include, "members") else None
        shown: Any = UNSET if found is None else [_workspace_member(member) for member in found]
        return Single(_workspace(view), included=shown)

    @get("/{workspace_id:str}/members", responses=Refusals.of(400, 403, 404))
    async def list_members(
        self, workspace_id: PATH_ID, who: Who, members: NamedDependency[Members], page: WantedPage
    ) -> Many[WorkspaceMemberResource]:
        """List a workspace's members."""
        found = await members.of_workspace(who, workspace_id)
        resources = [_workspace_member(member) for member in page.cut(found)]
        return Many(resources, page.meta(len(found)), links=link_self(f"/v2/workspaces/{workspace_id}/members/"))

    @post("/{workspace_id:str}/members", status_code=200, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def add_member(
        self, workspace_id: PATH_ID, data: Body[AddWorkspaceMemberBody], who: Who, members: NamedDependency[Members]
    ) -> Single[WorkspaceMemberResource]:
        """Make a member of the contract a member of the workspace."""
        return Single(_workspace_member(await members.join_workspace(who, workspace_id, data.then(_new_member))))


def _wants(include: str | None, name: str) -> bool:
    return include is not None and name in include.split(",")


def _new_contract(body: CreateContractBody) -> NewContract:
    given = body.data.attributes
    pairs = [] if given.available_roles is UNSET else [(pair.scope, pair.role) for pair in given.available_roles]
    if pairs:  # both owner roles come by themselves (section 9)
        pairs = list(dict.fromkeys([*pairs, ("contracts", "owner"), ("workspaces", "owner")]))
    return NewContract(given.name, tuple(pairs), None if given.custom_data is UNSET else given.custom_data)


def _new_member(body: AddContractMemberBody | AddWorkspaceMemberBody) -> NewMember:
    return NewMember(body.data.id, tuple(dict.fromkeys(body.data.attributes.roles)))


def _contract(view: ContractView) -> ContractResource:
    contract = view.contract
    path = f"/v2/contracts/{contract.id}"
    attributes: dict[str, Any] = {
        "name": contract.name,
        "available_roles": [{"scope": scope, "role": role} for scope, role in contract.available_roles],
        "status": contract.status,
        **contract.attributes,
    }
    if view.shows_custom_data and contract.custom_data is not None:
        attributes["custom_data"] = contract.custom_data
    members = _linkage(view.member_ids, "contract-member", f"{path}/members/")
    return ContractResource(contract.id, link_self(path), attributes, ContractRelationships(members))


def _workspace(view: WorkspaceView) -> WorkspaceResource:
    workspace = view.workspace
    path = f"/v2/workspaces/{workspace.id}"
    relationships = WorkspaceRelationships(
        contract=related("contract", "/v2/contracts", workspace.contract_id),
        members=_linkage(view.member_ids, "member", f"{path}/members/"),
    )
    attributes = WorkspaceAttributes(workspace.name, workspace.type.value)
    return WorkspaceResource(workspace.id, link_self(path), attributes, relationships)


def _linkage(ids: Sequence[str], resource_type: str, path: str) -> MembersRelation:
    return MembersRelation([Identifier(each, resource_type) for each in ids], SelfLink(path))


def _attributes(member: Member) -> MemberAttributes:
    user = member.user
    return MemberAttributes(user.first_name, user.last_name, user.email, list(member.roles))


def _contract_member(member: Member) -> ContractMemberResource:
    relationships = ContractMemberRelationships(related("user", "/v2/users", member.user.id))
    return ContractMemberResource(member.user.id, _attributes(member), relationships)


def _workspace_member(member: Member) -> WorkspaceMemberResource:
    return WorkspaceMemberResource(member.user.id, link_self(f"/v2/members/{member.user.id}"), _attributes(member))
