"""`/console/workspaces/{id}/members`: who is in a workspace, with which roles, who joins and who leaves."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.api.members import AddWorkspaceMemberBody
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.member_forms import REFUSALS, new_member, refused, role_choices, roles_of
from keyrack.console.tenancy.workspace_place import WorkspacePlace
from keyrack.errors import (
    Forbidden,
    KeyrackError,
    NotFound,
)
from keyrack.model.tenancy import Member, Role
from keyrack.service.authz.own_permissions import OwnPermissions
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.members import EDIT_WORKSPACE_MEMBERS, Members
from keyrack.service.tenancy.workspaces import Workspaces

_MOST_CHOICES = 200
"""People of a contract among whom one chooses; of a larger one the email is typed."""
_DONE = {
    "member": "The person is a member.",
    "roles": "The roles are changed.",
    "left": "The person is no member any more.",
}


@get("/workspaces/{workspace_id:str}/members", media_type=MediaType.HTML)
async def workspace_members(
    visit: NamedDependency[Visit],
    workspace_id: PATH_ID,
    place: NamedDependency[WorkspacePlace],
    workspaces: NamedDependency[Workspaces],
    members: NamedDependency[Members],
    invites: NamedDependency[Invites],
) -> Response[str]:
    """Show who is in a workspace, and who is invited into it."""
    view = await workspaces.get(visit.who, workspace_id, most_members=0)
    found, total = await members.of_workspace(
        visit.who,
        workspace_id,
        beginning=visit.asked("member"),
        limit=ROWS,
        offset=offset_of(visit.page_number("members")),
    )
    return visit.page(
        "tenancy/workspace_members.html",
        place=place,
        tabs=place.tabs("/members"),
        workspace=view.workspace,
        members=found,
        pager=visit.pager(total, "members"),
        member=visit.asked("member"),
        invites=await invites.of_workspace(visit.who, workspace_id),
        may_edit=place.own.allows(*EDIT_WORKSPACE_MEMBERS),
        sees_people=visit.allows("tenants.user.get"),
        done=visit.done(_DONE),
    )


@get("/workspaces/{workspace_id:str}/members/new", media_type=MediaType.HTML)
async def workspace_member_form(
    visit: NamedDependency[Visit],
    workspace_id: PATH_ID,
    workspaces: NamedDependency[Workspaces],
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show the form that makes a member of the contract a member of one of its workspaces."""
    await _require_workspace_editor(visit, own_permissions, workspace_id)
    return await _new_in_workspace(visit, workspace_id, workspaces, contracts, members, {"email": "", "roles": []})


@post("/workspaces/{workspace_id:str}/members/new", media_type=MediaType.HTML)
async def workspace_member_added(
    visit: NamedDependency[Visit],
    workspace_id: PATH_ID,
    workspaces: NamedDependency[Workspaces],
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
) -> Response[str]:
    """Make a member of the contract a member of a workspace."""
    form = await visit.form()
    typed: dict[str, Any] = {"email": form.text("email"), "roles": list(form.all("roles"))}
    view = await workspaces.get(visit.who, workspace_id, most_members=0)
    try:
        member = await members.by_email(visit.who, view.workspace.contract_id, typed["email"])
        user_id = "" if member is None else member.user.id
        await members.join_workspace(
            visit.who, workspace_id, new_member(AddWorkspaceMemberBody, "member", user_id, typed)
        )
    except REFUSALS as error:
        return await _new_in_workspace(visit, workspace_id, workspaces, contracts, members, typed, error)
    return visit.go(f"/console/workspaces/{workspace_id}/members", done="member")


@get("/workspaces/{workspace_id:str}/members/{user_id:str}", media_type=MediaType.HTML)
async def workspace_member(
    visit: NamedDependency[Visit],
    workspace_id: PATH_ID,
    user_id: PATH_ID,
    workspaces: NamedDependency[Workspaces],
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show a member's roles in a workspace, to be changed."""
    await _require_workspace_editor(visit, own_permissions, workspace_id)
    return await _in_workspace(visit, workspace_id, user_id, workspaces, contracts, members)


@post("/workspaces/{workspace_id:str}/members/{user_id:str}", media_type=MediaType.HTML)
async def workspace_member_changed(
    visit: NamedDependency[Visit],
    workspace_id: PATH_ID,
    user_id: PATH_ID,
    workspaces: NamedDependency[Workspaces],
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
) -> Response[str]:
    """Replace a member's roles in a workspace."""
    roles = (await visit.form()).all("roles")
    try:
        await members.change_in_workspace(visit.who, workspace_id, user_id, roles_of(roles))
    except REFUSALS as error:
        return await _in_workspace(visit, workspace_id, user_id, workspaces, contracts, members, roles, error)
    return visit.go(f"/console/workspaces/{workspace_id}/members", done="roles")


@get("/workspaces/{workspace_id:str}/members/{user_id:str}/remove", media_type=MediaType.HTML)
async def workspace_member_removing(
    visit: NamedDependency[Visit],
    workspace_id: PATH_ID,
    user_id: PATH_ID,
    workspaces: NamedDependency[Workspaces],
    members: NamedDependency[Members],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Say what taking somebody out of a workspace does."""
    await _require_workspace_editor(visit, own_permissions, workspace_id)
    view = await workspaces.get(visit.who, workspace_id, most_members=0)
    member = await members.in_workspace(visit.who, workspace_id, user_id)
    is_self = user_id == visit.who.id
    home = f"/console/workspaces/{workspace_id}/members"
    return visit.page(
        "tenancy/member_remove.html", member=member, place=view.workspace, kind="workspace", home=home,
        is_self=is_self, others=[], crumb=(home, view.workspace.name),
    )  # fmt: skip


@post("/workspaces/{workspace_id:str}/members/{user_id:str}/remove", media_type=MediaType.HTML)
async def workspace_member_removed(
    visit: NamedDependency[Visit], workspace_id: PATH_ID, user_id: PATH_ID, members: NamedDependency[Members]
) -> Response[str]:
    """Take somebody out of a workspace."""
    await visit.form()
    await members.leave_workspace(visit.who, workspace_id, user_id)
    if user_id == visit.who.id:
        return visit.go("/console")
    return visit.go(f"/console/workspaces/{workspace_id}/members", done="left")


async def _require_workspace_editor(visit: Visit, own_permissions: OwnPermissions, workspace_id: str) -> None:
    own = await own_permissions.in_workspace(visit.who, workspace_id)
    if not own.allows(*EDIT_WORKSPACE_MEMBERS):
        raise Forbidden(f"this needs the permission {' or '.join(EDIT_WORKSPACE_MEMBERS)}")


async def _new_in_workspace(
    visit: Visit,
    workspace_id: str,
    workspaces: Workspaces,
    contracts: Contracts,
    members: Members,
    typed: dict[str, Any],
    error: KeyrackError | None = None,
) -> Response[str]:
    view = await workspaces.get(visit.who, workspace_id, most_members=_MOST_CHOICES)
    contract_id = view.workspace.contract_id
    people, total = await members.of_contract(visit.who, contract_id, limit=_MOST_CHOICES, offset=0)
    inside = frozenset(view.member_ids)
    choices = role_choices(await contracts.roles(visit.who, contract_id), "workspaces")
    return visit.page(
        "tenancy/member_form.html",
        **refused(error),
        place=view.workspace,
        kind="workspace",
        home=f"/console/workspaces/{workspace_id}/members",
        action=f"/console/workspaces/{workspace_id}/members/new",
        member=None,
        people=None if total > _MOST_CHOICES else [each.user for each in people if each.user.id not in inside],
        choices=choices,
        typed=typed,
        ticked=typed["roles"],
    )


async def _in_workspace(
    visit: Visit,
    workspace_id: str,
    user_id: str,
    workspaces: Workspaces,
    contracts: Contracts,
    members: Members,
    roles: Sequence[str] | None = None,
    error: KeyrackError | None = None,
) -> Response[str]:
    view = await workspaces.get(visit.who, workspace_id, most_members=0)
    member: Member = await members.in_workspace(visit.who, workspace_id, user_id)
    choices = role_choices(await _available(visit, contracts, view.workspace.contract_id, member), "workspaces")
    return visit.page(
        "tenancy/member_form.html",
        **refused(error),
        place=view.workspace,
        kind="workspace",
        home=f"/console/workspaces/{workspace_id}/members",
        action=f"/console/workspaces/{workspace_id}/members/{user_id}",
        member=member,
        people=None,
        choices=choices,
        typed={},
        ticked=member.roles if roles is None else roles,
    )


async def _available(visit: Visit, contracts: Contracts, contract_id: str, member: Member) -> Sequence[Role]:
    """Return the roles that can be given; to somebody who is not in the contract those that the member has."""
    try:
        return await contracts.roles(visit.who, contract_id)
    except (Forbidden, NotFound):
        return [Role("workspaces", role, frozenset(), {"en": role}) for role in member.roles]
