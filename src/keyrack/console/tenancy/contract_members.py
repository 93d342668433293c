"""`/console/contracts/{id}/members`: who becomes a member of a contract, with which roles, and who leaves."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.api.members import AddContractMemberBody
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.contracts import may_edit_members
from keyrack.console.tenancy.member_forms import REFUSALS, new_member, refused, role_choices, roles_of
from keyrack.errors import (
    Forbidden,
    KeyrackError,
    StateConflict,
)
from keyrack.service.authz.own_permissions import OwnPermissions
from keyrack.service.identity.users import Users
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.members import Members


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
            visit.who, contract_id, new_member(AddContractMemberBody, "contract-member", user_id, typed)
        )
    except REFUSALS as error:
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
        await members.change_in_contract(visit.who, contract_id, user_id, roles_of(roles))
    except REFUSALS as error:
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


async def _require_contract_editor(visit: Visit, own_permissions: OwnPermissions, contract_id: str) -> None:
    if not may_edit_members(await own_permissions.in_contract(visit.who, contract_id)):
        raise Forbidden("this needs the permission contracts.membership.edit")


async def _new_in_contract(
    visit: Visit, contract_id: str, contracts: Contracts, typed: dict[str, Any], error: KeyrackError | None = None
) -> Response[str]:
    view = await contracts.get(visit.who, contract_id, most_members=0)
    choices = role_choices(await contracts.roles(visit.who, contract_id), "contracts")
    return visit.page(
        "tenancy/member_form.html",
        **refused(error),
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
    view = await contracts.get(visit.who, contract_id, most_members=0)
    member = await members.in_contract(visit.who, contract_id, user_id)
    choices = role_choices(await contracts.roles(visit.who, contract_id), "contracts")
    return visit.page(
        "tenancy/member_form.html",
        **refused(error),
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
    view = await contracts.get(visit.who, contract_id, most_members=0)
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
