"""Members of contracts and workspaces (contract sections 9 and 10)."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Identifier, Many, Relationship, SelfLink, Single, Text, link_self, related
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.model.tenancy import Member
from keyrack.service.tenancy.members import Members, NewMember


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


class ChangeContractMember(msgspec.Struct):
    """New roles of a contract's member."""

    type: Literal["contract-member"]
    attributes: MemberRoles
    id: str | UnsetType = UNSET


class ChangeContractMemberBody(msgspec.Struct):
    """Body with new roles of a contract's member."""

    data: ChangeContractMember


class ChangeWorkspaceMember(msgspec.Struct):
    """New roles of a workspace's member."""

    type: Literal["member"]
    attributes: MemberRoles
    id: str | UnsetType = UNSET


class ChangeWorkspaceMemberBody(msgspec.Struct):
    """Body with new roles of a workspace's member."""

    data: ChangeWorkspaceMember


class MembersRelation(msgspec.Struct):
    """Linkage to members; its link keeps a trailing slash (section 4)."""

    data: list[Identifier]
    links: SelfLink


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


class ContractMemberController(Controller):
    """Members of a contract."""

    path = "/v2/contracts/{contract_id:str}/members"
    tags = ("Contracts",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self, contract_id: PATH_ID, who: Who, members: NamedDependency[Members], page: WantedPage
    ) -> Many[ContractMemberResource]:
        """List a contract's members."""
        read = partial(members.of_contract, who, contract_id)
        links = link_self(f"/v2/contracts/{contract_id}/members")
        return await read_list(page, read, contract_member, key=lambda member: member.user.id, links=links)

    @post(status_code=200, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def add(
        self, contract_id: PATH_ID, data: Body[AddContractMemberBody], who: Who, members: NamedDependency[Members]
    ) -> Single[ContractMemberResource]:
        """Make a user of the tenant a member, without an invite."""
        return Single(contract_member(await members.join_contract(who, contract_id, data.then(_new_member))))

    @patch("/{user_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        contract_id: PATH_ID,
        user_id: PATH_ID,
        data: Body[ChangeContractMemberBody],
        who: Who,
        members: NamedDependency[Members],
    ) -> Single[ContractMemberResource]:
        """Replace a member's roles; the last owner stays one."""
        roles = data.then(lambda body: _new_roles(body, user_id))
        return Single(contract_member(await members.change_in_contract(who, contract_id, user_id, roles)))

    @delete("/{user_id:str}", responses=Refusals.of(403, 404, 409))
    async def remove(self, contract_id: PATH_ID, user_id: PATH_ID, who: Who, members: NamedDependency[Members]) -> None:
        """Take a member out of a contract, its workspaces and teams; not the last owner while others remain."""
        await members.leave_contract(who, contract_id, user_id)


class WorkspaceMemberController(Controller):
    """Members of a workspace."""

    path = "/v2/workspaces/{workspace_id:str}/members"
    tags = ("Workspaces",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self, workspace_id: PATH_ID, who: Who, members: NamedDependency[Members], page: WantedPage
    ) -> Many[WorkspaceMemberResource]:
        """List a workspace's members."""
        read = partial(members.of_workspace, who, workspace_id)
        links = link_self(f"/v2/workspaces/{workspace_id}/members")
        return await read_list(page, read, workspace_member, key=lambda member: member.user.id, links=links)

    @post(status_code=200, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def add(
        self, workspace_id: PATH_ID, data: Body[AddWorkspaceMemberBody], who: Who, members: NamedDependency[Members]
    ) -> Single[WorkspaceMemberResource]:
        """Make a member of the contract a member of the workspace."""
        return Single(workspace_member(await members.join_workspace(who, workspace_id, data.then(_new_member))))

    @patch("/{user_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        workspace_id: PATH_ID,
        user_id: PATH_ID,
        data: Body[ChangeWorkspaceMemberBody],
        who: Who,
        members: NamedDependency[Members],
    ) -> Single[WorkspaceMemberResource]:
        """Replace a member's roles."""
        roles = data.then(lambda body: _new_roles(body, user_id))
        return Single(workspace_member(await members.change_in_workspace(who, workspace_id, user_id, roles)))

    @delete("/{user_id:str}", responses=Refusals.of(403, 404))
    async def remove(
        self, workspace_id: PATH_ID, user_id: PATH_ID, who: Who, members: NamedDependency[Members]
    ) -> None:
        """Take a member out of a workspace; flows and credentials pass to the caller."""
        await members.leave_workspace(who, workspace_id, user_id)


def linkage(ids: Sequence[str], resource_type: str, parent: str) -> MembersRelation:
    """Build the `members` relationship of the contract or workspace with the path `parent`."""
    return MembersRelation([Identifier(each, resource_type) for each in ids], SelfLink(f"{parent}/members/"))


def contract_member(member: Member) -> ContractMemberResource:
    """Build the resource of a contract's member."""
    relationships = ContractMemberRelationships(related("user", "/v2/users", member.user.id))
    return ContractMemberResource(member.user.id, _attributes(member), relationships)


def workspace_member(member: Member) -> WorkspaceMemberResource:
    """Build the resource of a workspace's member."""
    return WorkspaceMemberResource(member.user.id, link_self(f"/v2/members/{member.user.id}"), _attributes(member))


def _new_member(body: AddContractMemberBody | AddWorkspaceMemberBody) -> NewMember:
    return NewMember(body.data.id, tuple(dict.fromkeys(body.data.attributes.roles)))


def _new_roles(body: ChangeContractMemberBody | ChangeWorkspaceMemberBody, user_id: str) -> tuple[str, ...]:
    require_id(body.data.id, user_id)
    return tuple(dict.fromkeys(body.data.attributes.roles))


def _attributes(member: Member) -> MemberAttributes:
    user = member.user
    return MemberAttributes(user.first_name, user.last_name, user.email, list(member.roles))
