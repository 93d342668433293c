"""`/console/contracts/{id}/invites` and `/console/invites`: invite, send again, revoke; and accept one's own."""

from collections.abc import Sequence
from typing import Any

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.api.invites import CreateInviteBody
from keyrack.console.core.forms import body_of, problems_by_field
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.once import FIELD, new_once, once_of
from keyrack.console.core.visit import Visit
from keyrack.console.tenancy.contracts import may_edit_members
from keyrack.console.tenancy.member_forms import role_choices
from keyrack.errors import (
    AlreadyExists,
    Forbidden,
    KeyrackError,
    NotFound,
    QuotaExceeded,
    RelatedNotFound,
    StateConflict,
    ValidationFailed,
)
from keyrack.ids import is_id
from keyrack.model.tenancy import Invite, Workspace
from keyrack.service.authz.own_permissions import OwnPermissions
from keyrack.service.tenancy.contracts import Contracts
from keyrack.service.tenancy.invite_acceptance import InviteAcceptance
from keyrack.service.tenancy.invites import Invites, NewInvite
from keyrack.service.tenancy.members import EDIT_WORKSPACE_MEMBERS
from keyrack.service.tenancy.setup_links import MadeLink
from keyrack.service.tenancy.workspaces import Workspaces

_TYPE = "contract-invite"
_FIELDS = {
    "/data/attributes/email": "email",
    "/data/attributes/roles": "roles",
    "/data/attributes/workspace_id": "workspace_id",
    "/data/attributes/workspace_roles": "workspace_roles",
}
_DONE = {"accepted": "You are a member now."}


@get("/contracts/{contract_id:str}/invites/new", media_type=MediaType.HTML)
async def invite_form(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Show the form for an invite."""
    await _require_editor(visit, own_permissions, contract_id)
    typed = {"email": "", "roles": [], "workspace_id": "", "workspace_roles": []}
    once = new_once(visit)
    return await _form(visit, contract_id, contracts, workspaces, own_permissions, typed, once)


@post("/contracts/{contract_id:str}/invites/new", media_type=MediaType.HTML)
async def invite_created(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    workspaces: NamedDependency[Workspaces],
    invites: NamedDependency[Invites],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Invite somebody; the link for a person without an account is shown this once to who may see it."""
    form = await visit.form()
    once, typed = (
        once_of(visit, form),
        {
            "email": form.text("email"),
            "roles": list(form.all("roles")),
            "workspace_id": form.text("workspace_id"),
            "workspace_roles": list(form.all("workspace_roles")) if form.text("workspace_id") else [],
        },
    )
    attributes = {**typed, "workspace_id": typed["workspace_id"] or None}
    attributes["workspace_roles"] = typed["workspace_roles"] if typed["workspace_id"] else None
    wanted = body_of(CreateInviteBody, _TYPE, attributes).then(lambda body: _new(body, once.id))
    try:
        invite, made = await invites.create(visit.who, contract_id, wanted)
    except (ValidationFailed, AlreadyExists, RelatedNotFound, QuotaExceeded, Forbidden) as error:
        if isinstance(error, AlreadyExists) and await _is_there(visit, invites, contract_id, once.id):
            return visit.go(f"/console/contracts/{contract_id}", done="invited")
        if isinstance(error, Forbidden) and not error.problem.pointer:
            raise
        return await _form(visit, contract_id, contracts, workspaces, own_permissions, typed, form[FIELD], error)
    return await _sent(visit, contract_id, contracts, invite, made, "invited")


@post("/contracts/{contract_id:str}/invites/{invite_id:str}/send-again", media_type=MediaType.HTML)
async def invite_sent_again(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    invite_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    invites: NamedDependency[Invites],
) -> Response[str]:
    """Send an invite again, with a new link; an earlier one ends."""
    await visit.form()
    made = await invites.send_again(visit.who, contract_id, invite_id)
    invite = await invites.get(visit.who, contract_id, invite_id)
    return await _sent(visit, contract_id, contracts, invite, made, "again")


@get("/contracts/{contract_id:str}/invites/{invite_id:str}/revoke", media_type=MediaType.HTML)
async def invite_revoking(
    visit: NamedDependency[Visit],
    contract_id: PATH_ID,
    invite_id: PATH_ID,
    contracts: NamedDependency[Contracts],
    invites: NamedDependency[Invites],
    own_permissions: NamedDependency[OwnPermissions],
) -> Response[str]:
    """Ask whether an invite is to be revoked."""
    await _require_editor(visit, own_permissions, contract_id)
    invite = await invites.get(visit.who, contract_id, invite_id)
    view = await contracts.get(visit.who, contract_id, most_members=0)
    return visit.page("tenancy/invite_revoke.html", invite=invite, contract=view.contract)


@post("/contracts/{contract_id:str}/invites/{invite_id:str}/revoke", media_type=MediaType.HTML)
async def invite_revoked(
    visit: NamedDependency[Visit], contract_id: PATH_ID, invite_id: PATH_ID, invites: NamedDependency[Invites]
) -> Response[str]:
    """Revoke an invite."""
    await visit.form()
    await invites.delete(visit.who, contract_id, invite_id)
    return visit.go(f"/console/contracts/{contract_id}", done="revoked")


@get("/invites", media_type=MediaType.HTML)
async def own_invites(
    visit: NamedDependency[Visit], invite_acceptance: NamedDependency[InviteAcceptance]
) -> Response[str]:
    """List the invites of the visitor."""
    return await _own(visit, invite_acceptance)


@post("/invites/{invite_id:str}/accept", media_type=MediaType.HTML)
async def invite_accepted(
    visit: NamedDependency[Visit], invite_id: PATH_ID, invite_acceptance: NamedDependency[InviteAcceptance]
) -> Response[str]:
    """Accept one of the visitor's invites."""
    await visit.form()
    try:
        await invite_acceptance.accept(visit.who, invite_id)
    except StateConflict as error:
        return await _own(visit, invite_acceptance, error)
    return visit.go("/console/invites", done="accepted")


async def _require_editor(visit: Visit, own_permissions: OwnPermissions, contract_id: str) -> None:
    if not may_edit_members(await own_permissions.in_contract(visit.who, contract_id)):
        raise Forbidden("this needs the permission contracts.membership.edit")


async def _own(visit: Visit, invite_acceptance: InviteAcceptance, error: KeyrackError | None = None) -> Response[str]:
    asked, offset = visit.asked("q"), offset_of(visit.page_number())
    found, total = await invite_acceptance.mine(visit.who, beginning=asked, limit=ROWS, offset=offset)
    return visit.page(
        "tenancy/own_invites.html",
        status=200 if error is None else 409,
        invites=found,
        asked=asked,
        pager=visit.pager(total),
        done=visit.done(_DONE),
        others=[] if error is None else [problem.detail for problem in error.problems],
    )


def _new(body: CreateInviteBody, made_id: str) -> NewInvite:
    given = body.data.attributes
    workspace_roles = given.workspace_roles
    return NewInvite(
        given.email,
        tuple(dict.fromkeys(given.roles)),
        given.workspace_id or None,
        tuple(dict.fromkeys(workspace_roles)) if workspace_roles else None,
        made_id=made_id,
    )


async def _is_there(visit: Visit, invites: Invites, contract_id: str, invite_id: str) -> bool:
    try:
        await invites.get(visit.who, contract_id, invite_id)
    except NotFound:
        return False
    return True


async def _sent(
    visit: Visit, contract_id: str, contracts: Contracts, invite: Invite, made: MadeLink | None, done: str
) -> Response[str]:
    """Show the link of an invite this once, if there is one that the visitor may see."""
    path = f"/console/contracts/{contract_id}"
    if made is None:
        return visit.go(path, done=done)
    view = await contracts.get(visit.who, contract_id, most_members=0)
    return visit.page(
        "identity/setup_link.html",
        url=made.url.reveal(),
        until=made.link.expires_at,
        email_of=invite.email,
        back=path,
        back_text="To the contract",
        crumbs=[("/console/contracts", "Contracts"), (path, view.contract.name)],
    )


async def _form(
    visit: Visit,
    contract_id: str,
    contracts: Contracts,
    workspaces: Workspaces,
    own_permissions: OwnPermissions,
    typed: dict[str, Any],
    once: str,
    error: KeyrackError | None = None,
) -> Response[str]:
    wrong, others = problems_by_field(error, _FIELDS)
    policy = await contracts.roles(visit.who, contract_id)
    return visit.page(
        "tenancy/invite_form.html",
        status=200 if error is None else 400,
        contract=(await contracts.get(visit.who, contract_id, most_members=0)).contract,
        typed=typed,
        choices=role_choices(policy, "contracts"),
        workspace_choices=role_choices(policy, "workspaces"),
        workspaces=await _offered(visit, contract_id, workspaces, own_permissions, typed["workspace_id"]),
        workspace=visit.asked("workspace"),
        once=once,
        wrong=wrong,
        others=others,
    )


async def _offered(
    visit: Visit, contract_id: str, workspaces: Workspaces, own_permissions: OwnPermissions, chosen: str
) -> Sequence[Workspace]:
    """Return workspaces of the contract whose members the visitor manages, of those that are looked for, or the first.

    The one that the form has now is among them in any case.
    """
    asked = visit.asked("workspace")
    found, _ = await workspaces.list(visit.who, contract_id, limit=ROWS, offset=0, most_members=0, beginning=asked)
    if is_id(chosen) and chosen not in {each.workspace.id for each in found}:
        named, _ = await workspaces.list(visit.who, contract_id, limit=1, offset=0, most_members=0, beginning=chosen)
        found = [*found, *named]
    if visit.allows(*EDIT_WORKSPACE_MEMBERS):
        return [each.workspace for each in found]
    return [
        each.workspace
        for each in found
        if (await own_permissions.in_workspace(visit.who, each.workspace.id)).allows(*EDIT_WORKSPACE_MEMBERS)
    ]
