"""`/console/contracts/{id}/members` and `/console/workspaces/{id}/members`: who is in them, with which roles."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.api.members import AddContractMemberBody, AddWorkspaceMemberBody
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.lists import ROWS, SOME_MEMBERS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.contracts import may_edit_members
from keyrack.console.tenancy.workspace_place import WorkspacePlace
from keyrack.errors import (
    AlreadyExists,
    Forbidden,
    KeyrackError,
    NotFound,
    Problem,
    RelatedNotFound,
    StateConflict,
    ValidationFailed,
)
from keyrack.model.tenancy import Member, Role
from keyrack.service.authz.own_permissions import OwnPermissions
from keyrack.service.identity.users import Users
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.members import EDIT_WORKSPACE_MEMBERS, Members, NewMember
from keyrack.service.tenancy.workspaces import Workspaces
from keyrack.validation.unvalidated import Unvalidated

_FIELDS = {"/data/id": "email", "/data/attributes/roles": "roles"}
_REFUSALS = (ValidationFailed, AlreadyExists, RelatedNotFound, StateConflict)
_NO_ROLE = Problem("tick at least one role", "/data/attributes/roles")
_MOST_CHOICES = 200
"""People of a contract among whom one chooses; of a larger one the email is typed."""
_DONE = {
    "member": "The person is a member.",
    "roles": "The roles are changed.",
    "left": "The person is no member any more.",
}


@get("/contracts/{contract_id:str}/members/new", media_type=MediaType.HTML)
async def contract_member_form(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show the form that makes somebody with an account a member of a contract.

    Raises:
        Forbidden: the visitor is no tenant admin; others invite.
    """
    if not (await own_permissions.in_contract(visit.who, contract_id)).is_tenant_admin:
        raise Forbidden("only a tenant admin can add members directly; invite them instead")
    return await _new_in_contract(visit, contract_id, contracts, {"email": visit.asked("email"), "roles": []})


@post("/contracts/{contract_id:str}/members/new", media_type=MediaType.HTML)
async def contract_member_added(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
    users: NamedDependency[Users],
) -> Response[str]:
    """Make somebody a member of a contract."""
    form = await visit.form()
    typed: dict[str, Any] = {"email": form.text("email"), "roles": list(form.all("roles"))}
    try:
        found, _ = await users.list(visit.who, typed["email"] or "-", limit=1, offset=0)
        user_id = found[0].id if found else ""
        await members.join_contract(
            visit.who, contract_id, _new(AddContractMemberBody, "contract-member", user_id, typed)
        )
    except _REFUSALS as error:
        return await _new_in_contract(visit, contract_id, contracts, typed, error)
    return visit.go(f"/console/contracts/{contract_id}", done="member")


@get("/contracts/{contract_id:str}/members/{user_id:str}", media_type=MediaType.HTML)
async def contract_member(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    user_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show a member's roles in a contract, to be changed."""
    await _require_contract_editor(visit, own_permissions, contract_id)
    return await _in_contract(visit, contract_id, user_id, contracts, members)


@post("/contracts/{contract_id:str}/members/{user_id:str}", media_type=MediaType.HTML)
async def contract_member_changed(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    user_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
) -> Response[str]:
    """Replace a member's roles in a contract."""
    roles = (await visit.form()).all("roles")
    try:
        await members.change_in_contract(visit.who, contract_id, user_id, _roles(roles))
    except _REFUSALS as error:
        return await _in_contract(visit, contract_id, user_id, contracts, members, roles, error)
    return visit.go(f"/console/contracts/{contract_id}", done="roles")


@get("/contracts/{contract_id:str}/members/{user_id:str}/remove", media_type=MediaType.HTML)
async def contract_member_removing(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    user_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Say what taking somebody out of a contract does."""
    await _require_contract_editor(visit, own_permissions, contract_id)
    return await _leaving_contract(visit, contract_id, user_id, contracts, members)


@post("/contracts/{contract_id:str}/members/{user_id:str}/remove", media_type=MediaType.HTML)
async def contract_member_removed(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    user_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
) -> Response[str]:
    """Take somebody out of a contract, its workspaces and teams."""
    await visit.form()
    try:
        await members.leave_contract(visit.who, contract_id, user_id)
    except StateConflict as error:
        return await _leaving_contract(visit, contract_id, user_id, contracts, members, error)
    is_self = user_id == visit.who.id
    return visit.go("/console/contracts" if is_self else f"/console/contracts/{contract_id}", done="left")


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
    view = await workspaces.get(visit.who, workspace_id, most_members=SOME_MEMBERS)
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
    view = await workspaces.get(visit.who, workspace_id, most_members=SOME_MEMBERS)
    try:
        member = await members.by_email(visit.who, view.workspace.contract_id, typed["email"])
        user_id = "" if member is None else member.user.id
        await members.join_workspace(visit.who, workspace_id, _new(AddWorkspaceMemberBody, "member", user_id, typed))
    except _REFUSALS as error:
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
        await members.change_in_workspace(visit.who, workspace_id, user_id, _roles(roles))
    except _REFUSALS as error:
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
    view = await workspaces.get(visit.who, workspace_id, most_members=SOME_MEMBERS)
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


def role_choices(policy: Sequence[Role], scope: str) -> list[tuple[str, str, str]]:
    """Return the roles of a level that can be given, for a form: value, text, and how many permissions it has."""
    return [
        (role.role, role.i18n.get("en", role.role), f"{len(role.permissions)} permissions")
        for role in policy
        if role.scope == scope
    ]


async def _require_contract_editor(visit: Visit, own_permissions: OwnPermissions, contract_id: str) -> None:
    if not may_edit_members(await own_permissions.in_contract(visit.who, contract_id)):
        raise Forbidden("this needs the permission contracts.membership.edit")


async def _require_workspace_editor(visit: Visit, own_permissions: OwnPermissions, workspace_id: str) -> None:
    own = await own_permissions.in_workspace(visit.who, workspace_id)
    if not own.allows(*EDIT_WORKSPACE_MEMBERS):
        raise Forbidden(f"this needs the permission {' or '.join(EDIT_WORKSPACE_MEMBERS)}")


def _roles(given: Sequence[str]) -> Unvalidated[tuple[str, ...]]:
    def judged() -> tuple[str, ...]:
        if not given:
            raise ValidationFailed(_NO_ROLE)
        return tuple(dict.fromkeys(given))

    return Unvalidated(judged)


def _new(expected: Any, resource_type: str, user_id: str, typed: dict[str, Any]) -> Unvalidated[NewMember]:
    """Return a new member as the API takes one; nobody has the email if there is no id."""
    body = {"type": resource_type, "id": user_id or "-", "attributes": {"roles": typed["roles"]}}

    def judged() -> NewMember:
        problems = [] if user_id else [Problem("nobody here has this email", "/data/id")]
        problems += [] if typed["roles"] else [_NO_ROLE]
        if problems:
            raise ValidationFailed(*problems)
        given = UnvalidatedBody[Any]({"data": body}, expected).validated()
        return NewMember(given.data.id, tuple(dict.fromkeys(given.data.attributes.roles)))

    return Unvalidated(judged)


def _judged(error: KeyrackError | None) -> dict[str, Any]:
    wrong, others = problems_by_field(error, _FIELDS)
    return {"status": 200 if error is None else 400, "wrong": wrong, "others": others}


async def _new_in_contract(
    visit: Visit, contract_id: str, contracts: Contracts, typed: dict[str, Any], error: KeyrackError | None = None
) -> Response[str]:
    view = await contracts.get(visit.who, contract_id, most_members=SOME_MEMBERS)
    choices = role_choices(await contracts.roles(visit.who, contract_id), "contracts")
    return visit.page(
        "tenancy/member_form.html",
        **_judged(error),
        place=view.contract,
        kind="contract",
        home=f"/console/contracts/{contract_id}",
        action=f"/console/contracts/{contract_id}/members/new",
        member=None,
        people=None,
        choices=choices,
        typed=typed,
        ticked=typed["roles"],
    )


async def _in_contract(
    visit: Visit,
    contract_id: str,
    user_id: str,
    contracts: Contracts,
    members: Members,
    roles: Sequence[str] | None = None,
    error: KeyrackError | None = None,
) -> Response[str]:
    view = await contracts.get(visit.who, contract_id, most_members=SOME_MEMBERS)
    member = await members.in_contract(visit.who, contract_id, user_id)
    choices = role_choices(await contracts.roles(visit.who, contract_id), "contracts")
    return visit.page(
        "tenancy/member_form.html",
        **_judged(error),
        place=view.contract,
        kind="contract",
        home=f"/console/contracts/{contract_id}",
        action=f"/console/contracts/{contract_id}/members/{user_id}",
        member=member,
        people=None,
        choices=choices,
        typed={},
        ticked=member.roles if roles is None else roles,
    )


async def _leaving_contract(
    visit: Visit,
    contract_id: str,
    user_id: str,
    contracts: Contracts,
    members: Members,
    error: KeyrackError | None = None,
) -> Response[str]:
    view = await contracts.get(visit.who, contract_id, most_members=SOME_MEMBERS)
    home = f"/console/contracts/{contract_id}"
    return visit.page(
        "tenancy/member_remove.html",
        status=200 if error is None else 409,
        member=await members.in_contract(visit.who, contract_id, user_id),
        place=view.contract,
        kind="contract",
        home=home,
        is_self=user_id == visit.who.id,
        others=[] if error is None else [problem.detail for problem in error.problems],
        crumb=(home, view.contract.name),
    )


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
        **_judged(error),
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
    view = await workspaces.get(visit.who, workspace_id, most_members=SOME_MEMBERS)
    member: Member = await members.in_workspace(visit.who, workspace_id, user_id)
    choices = role_choices(await _available(visit, contracts, view.workspace.contract_id, member), "workspaces")
    return visit.page(
        "tenancy/member_form.html",
        **_judged(error),
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
