"""`/console/contracts`: list, create, rename, suspend, delete; with members, invites and workspaces."""

from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType
from msgspec import Struct

from keyrack.api.core.body import UnvalidatedBody
from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.forms import problems_by_field
from keyrack.console.core.lists import ROWS, SOME_MEMBERS, offset_of
from keyrack.console.core.once import FIELD, made_once, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.errors import Forbidden, InUse, KeyrackError, ValidationFailed
from keyrack.service.authz.own_permissions import OwnAccess, OwnPermissions
from keyrack.service.offboarding.place_deletion import PlaceDeletion
from keyrack.service.tenancy.contracts import ChangedContract, Contracts, ContractView, NewContract
from keyrack.service.tenancy.invites import Invites
from keyrack.service.tenancy.members import Members
from keyrack.service.tenancy.workspaces import NewWorkspace, Workspaces
from keyrack.validation.fields import PlaceName

PATH = "/console/contracts"
_DONE = {
    "created": "The contract is created. It has no members yet: the first one must be an owner.",
    "renamed": "The contract has a new name.",
    "suspended": "The contract is suspended: its flows are stopped, and nothing in it can be changed.",
    "unsuspended": "The contract is open again. Its flows stay stopped until somebody starts them.",
    "deleted": "The contract is deleted with all that was in it.",
    "member": "The person is a member.",
    "roles": "The roles are changed.",
    "left": "The person is no member any more.",
    "invited": "The invite is sent.",
    "again": "The invite is sent again.",
    "revoked": "The invite is revoked.",
    "workspace": "The workspace is created, and you are its owner.",
}
_DELETE, _SUSPEND, _UNSUSPEND = (f"contracts.contract.{each}" for each in ("delete", "suspend", "unsuspend"))
_CREATE = "tenants.contract.create"
MEMBERS = "contracts.membership.edit"


class _Named(Struct):
    """What the form for something with a name asks for."""

    name: PlaceName


@get("/contracts", media_type=MediaType.HTML)
async def contract_list(visit: NamedDependency[Visit], contracts: NamedDependency[Contracts]) -> Response[str]:
    """List the contracts that the visitor may see."""
    found, total = await contracts.list(
        visit.who,
        limit=ROWS,
        offset=offset_of(visit.page_number()),
        most_members=SOME_MEMBERS,
        beginning=visit.asked("q"),
    )
    return visit.page(
        "tenancy/contracts.html",
        q=visit.asked("q"),
        contracts=found,
        pager=visit.pager(total),
        may_create=visit.allows(_CREATE),
        done=visit.done(_DONE),
    )


@get("/contracts/new", media_type=MediaType.HTML)
async def contract_form(visit: NamedDependency[Visit]) -> Response[str]:
    """Show the form for a new contract."""
    _require(visit.at_home, _CREATE)
    return _form(visit, "", new_once(visit))


@post("/contracts/new", media_type=MediaType.HTML)
async def contract_created(visit: NamedDependency[Visit], contracts: NamedDependency[Contracts]) -> Response[str]:
    """Create a contract."""
    form = await visit.form()
    once, name = once_of(visit, form), form.text("name")
    body = UnvalidatedBody[_Named]({"name": name}, _Named)
    wanted = body.then(lambda given: NewContract(given.name, (), None, made_id=once.id))
    try:
        view, _ = await made_once(
            lambda: contracts.get(visit.who, once.id, most_members=0),
            lambda: contracts.create(visit.who, wanted),
        )
    except ValidationFailed as error:
        return _form(visit, name, form[FIELD], error)
    return visit.go(f"{PATH}/{view.contract.id}", done="created")


@get("/contracts/{contract_id:str}", media_type=MediaType.HTML)
async def contract_page(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    members: NamedDependency[Members],
    invites: NamedDependency[Invites],
    workspaces: NamedDependency[Workspaces],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show a contract with its members, open invites and workspaces, each in pages."""
    who = visit.who
    view = await contracts.get(who, contract_id, most_members=0)
    own = await own_permissions.in_contract(who, contract_id)
    people, total = await members.of_contract(
        who,
        contract_id,
        beginning=visit.asked("member"),
        limit=ROWS,
        offset=offset_of(visit.page_number("members")),
    )
    open_invites, invited = await invites.of_contract(
        who,
        contract_id,
        beginning=visit.asked("invite"),
        limit=ROWS,
        offset=offset_of(visit.page_number("invites")),
    )
    places, count = await workspaces.list(
        who,
        contract_id,
        limit=ROWS,
        offset=offset_of(visit.page_number("workspaces")),
        most_members=SOME_MEMBERS,
        beginning=visit.asked("workspace"),
    )
    is_open = view.contract.status == "active"
    return visit.page(
        "tenancy/contract.html",
        contract=view.contract,
        members=people,
        member_pager=visit.pager(total, "members"),
        member=visit.asked("member"),
        invites=open_invites,
        invite_pager=visit.pager(invited, "invites"),
        invite=visit.asked("invite"),
        workspaces=places,
        workspace_pager=visit.pager(count, "workspaces"),
        workspace=visit.asked("workspace"),
        done=visit.done(_DONE),
        is_open=is_open,
        may_rename=own.allows("contracts.contract.edit") and is_open,
        may_edit_members=may_edit_members(own) and is_open,
        may_add_members=own.is_tenant_admin and is_open,
        may_make_workspaces=own.is_member and own.allows("contracts.workspace.create") and is_open,
        may_suspend=own.allows(_SUSPEND) and is_open,
        may_unsuspend=own.allows(_UNSUSPEND) and not is_open,
        may_delete=own.allows(_DELETE),
        may_audit=visit.allows("tenants.audit.get"),
        sees_people=visit.allows("tenants.user.get"),
    )


@post("/contracts/{contract_id:str}/name", media_type=MediaType.HTML)
async def contract_renamed(
    visit: NamedDependency[Visit], contract_id: PATH_ID, contracts: NamedDependency[Contracts]
) -> Response[str]:
    """Give a contract another name."""
    name = (await visit.form()).text("name")
    body = UnvalidatedBody[_Named]({"name": name}, _Named)
    try:
        await contracts.change(visit.who, contract_id, ["name"], body.then(lambda given: ChangedContract(given.name)))
    except ValidationFailed as error:
        return await _naming(visit, await contracts.get(visit.who, contract_id, most_members=0), name, error)
    return visit.go(f"{PATH}/{contract_id}", done="renamed")


@get("/contracts/{contract_id:str}/name", media_type=MediaType.HTML)
async def contract_naming(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show the form for another name."""
    view = await contracts.get(visit.who, contract_id, most_members=0)
    _require(await own_permissions.in_contract(visit.who, contract_id), "contracts.contract.edit")
    return await _naming(visit, view, view.contract.name)


@get("/contracts/{contract_id:str}/suspend", media_type=MediaType.HTML)
async def contract_suspending(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Say what suspending a contract stops."""
    view = await contracts.get(visit.who, contract_id, most_members=0)
    _require(await own_permissions.in_contract(visit.who, contract_id), _SUSPEND)
    return visit.page("tenancy/contract_suspend.html", contract=view.contract)


@post("/contracts/{contract_id:str}/suspend", media_type=MediaType.HTML)
async def contract_suspended(
    visit: NamedDependency[Visit], contract_id: PATH_ID, contracts: NamedDependency[Contracts]
) -> Response[str]:
    """Suspend a contract."""
    await visit.form()
    await contracts.suspend(visit.who, contract_id)
    return visit.go(f"{PATH}/{contract_id}", done="suspended")


@post("/contracts/{contract_id:str}/unsuspend", media_type=MediaType.HTML)
async def contract_reopened(
    visit: NamedDependency[Visit], contract_id: PATH_ID, contracts: NamedDependency[Contracts]
) -> Response[str]:
    """Open a suspended contract again."""
    await visit.form()
    await contracts.unsuspend(visit.who, contract_id)
    return visit.go(f"{PATH}/{contract_id}", done="unsuspended")


@get("/contracts/{contract_id:str}/delete", media_type=MediaType.HTML)
async def contract_deleting(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    place_deletion: NamedDependency[PlaceDeletion],
) -> Response[str]:
    """Say what goes with a contract."""
    return await _deleting(visit, contract_id, contracts, workspaces, place_deletion)


@post("/contracts/{contract_id:str}/delete", media_type=MediaType.HTML)
async def contract_deleted(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    place_deletion: NamedDependency[PlaceDeletion],
) -> Response[str]:
    """Delete a contract with all that is in it."""
    await visit.form()
    try:
        await place_deletion.delete_contract(visit.who, contract_id)
    except InUse as error:
        return await _deleting(visit, contract_id, contracts, workspaces, place_deletion, error)
    return visit.go(PATH, done="deleted")


@get("/contracts/{contract_id:str}/workspaces/new", media_type=MediaType.HTML)
async def workspace_form(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show the form for a new workspace."""
    view = await contracts.get(visit.who, contract_id, most_members=0)
    _require(await own_permissions.in_contract(visit.who, contract_id), "contracts.workspace.create")
    return _workspace_form(visit, view, "", new_once(visit))


@post("/contracts/{contract_id:str}/workspaces/new", media_type=MediaType.HTML)
async def workspace_created(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
) -> Response[str]:
    """Create a workspace, of which the visitor is the owner."""
    form = await visit.form()
    once, name = once_of(visit, form), form.text("name")
    body = UnvalidatedBody[_Named]({"name": name}, _Named)
    try:
        given = body.validated()
    except ValidationFailed as error:
        return _workspace_form(
            visit, await contracts.get(visit.who, contract_id, most_members=0), name, form[FIELD], error
        )
    await made_once(
        lambda: workspaces.get(visit.who, once.id, most_members=0),
        lambda: workspaces.create(visit.who, NewWorkspace(contract_id, given.name, made_id=once.id)),
    )
    return visit.go(f"{PATH}/{contract_id}", done="workspace")


def may_edit_members(own: OwnAccess) -> bool:
    """Tell whether somebody manages the members and invites of a contract, as `service.tenancy.members` judges."""
    return own.is_tenant_admin or own.allows(MEMBERS)


def _require(own: OwnAccess, permission: str) -> None:
    if not own.allows(permission):
        raise Forbidden(f"this needs the permission {permission}")


def _form(visit: Visit, name: str, once: str, error: KeyrackError | None = None) -> Response[str]:
    return visit.page("tenancy/contract_form.html", **_judged(error), name=name, once=once)


async def _naming(visit: Visit, view: ContractView, name: str, error: KeyrackError | None = None) -> Response[str]:
    return visit.page("tenancy/contract_name.html", **_judged(error), contract=view.contract, name=name)


def _workspace_form(
    visit: Visit, view: ContractView, name: str, once: str, error: KeyrackError | None = None
) -> Response[str]:
    return visit.page("tenancy/workspace_form.html", **_judged(error), contract=view.contract, name=name, once=once)


def _judged(error: KeyrackError | None) -> dict[str, Any]:
    wrong, others = problems_by_field(error, {"/name": "name"})
    return {"status": 200 if error is None else 400, "wrong": wrong, "others": others}


async def _deleting(
    visit: Visit,
    contract_id: str,
    contracts: Contracts,
    workspaces: Workspaces,
    place_deletion: PlaceDeletion,
    error: KeyrackError | None = None,
) -> Response[str]:
    contents = await place_deletion.contents(visit.who, contract_id)
    view = await contracts.get(visit.who, contract_id, most_members=0)
    places, total = await workspaces.list(visit.who, contract_id, limit=ROWS, offset=0, most_members=SOME_MEMBERS)
    return visit.page(
        "tenancy/contract_delete.html",
        status=200 if error is None else 409,
        contract=view.contract,
        contents=contents,
        workspaces=places,
        more=total - len(places),
        others=[] if error is None else [problem.detail for problem in error.problems],
    )
