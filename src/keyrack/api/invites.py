"""Invites into contracts (contract section 9), and those of the caller (extension)."""

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any, Literal

import msgspec
from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType

from keyrack.api.core.body import JsonRequest, or_none, require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Identifier, Many, NewResource, Relationship, SelfLink, Single, Text, related
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.members import ContractMemberResource, contract_member
from keyrack.clock import iso
from keyrack.model.tenancy import Invite
from keyrack.service.tenancy.invite_acceptance import InviteAcceptance
from keyrack.service.tenancy.invites import ChangedInvite, Invites, NewInvite
from keyrack.validation.fields import Email

Roles = Annotated[list[Text], Meta(min_length=1)]
TYPE: Literal["contract-invite"] = "contract-invite"


class NewInviteAttributes(msgspec.Struct):
    """Who is invited to what; a workspace of the contract and the roles in it come together."""

    email: Email
    roles: Roles
    workspace_id: Text | UnsetType | None = UNSET
    workspace_roles: Roles | UnsetType | None = UNSET


class CreateInvite(NewResource):
    """Data of a create request."""

    type: Literal["contract-invite"]
    attributes: NewInviteAttributes


class CreateInviteBody(msgspec.Struct):
    """Body of a create request."""

    data: CreateInvite


class ChangedInviteAttributes(msgspec.Struct):
    """What changes; absent members stay, and `workspace_id` null takes the workspace away."""

    roles: Roles | UnsetType = UNSET
    workspace_id: Text | UnsetType | None = UNSET
    workspace_roles: Roles | UnsetType | None = UNSET


class ChangeInvite(msgspec.Struct):
    """Data of a change."""

    type: Literal["contract-invite"]
    attributes: ChangedInviteAttributes = msgspec.field(default_factory=ChangedInviteAttributes)
    id: str | UnsetType = UNSET


class ChangeInviteBody(msgspec.Struct):
    """Body of a change."""

    data: ChangeInvite


class InviteAttributes(msgspec.Struct):
    """An invite; the last two are there if it names a workspace."""

    email: str
    roles: list[str]
    workspace_id: str | UnsetType = UNSET
    workspace_roles: list[str] | UnsetType = UNSET


class InviteResource(msgspec.Struct):
    """An invite that nobody has accepted yet."""

    id: str
    attributes: InviteAttributes
    type: Literal["contract-invite"] = TYPE


class ShownLink(msgspec.Struct):
    """A one-time link for a first API key, and until when it is good."""

    url: str
    expires_at: str


class InviteMeta(msgspec.Struct):
    """What is told about an invite once, when it is made (extension)."""

    setup_link: ShownLink | UnsetType = UNSET


class InviteDocument(msgspec.Struct):
    """A document with an invite that was just made."""

    data: InviteResource
    meta: InviteMeta


class OwnInviteRelationships(msgspec.Struct):
    """Where an invite leads to."""

    contract: Relationship


class OwnInviteResource(msgspec.Struct):
    """An invite as whom it is for sees it."""

    id: str
    attributes: InviteAttributes
    relationships: OwnInviteRelationships
    type: Literal["contract-invite"] = TYPE


class InvitesRelation(msgspec.Struct):
    """Linkage to invites; its link keeps a trailing slash (section 4)."""

    data: list[Identifier]
    links: SelfLink


class ContractInviteController(Controller):
    """Invites into a contract."""

    path = "/v2/contracts/{contract_id:str}/invites"
    tags = ("Contracts",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self, contract_id: PATH_ID, who: Who, invites: NamedDependency[Invites], page: WantedPage
    ) -> Many[InviteResource]:
        """List a contract's invites that nobody has accepted yet."""
        return await read_list(page, partial(invites.of_contract, who, contract_id), invite_resource)

    @post(status_code=200, responses=Refusals.of(403, 404, body=True))
    async def create(
        self, contract_id: PATH_ID, data: Body[CreateInviteBody], who: Who, invites: NamedDependency[Invites]
    ) -> InviteDocument:
        """Invite somebody by email into a contract, and into a workspace of it if named.

        For an email without an account, `meta.setup_link` has a link with which that person accepts and gets an account
        and the first API key; only for those who may create users, and only once (extension).
        """
        invite, made = await invites.create(who, contract_id, data.then(_new_invite))
        shown = UNSET if made is None else ShownLink(made.url.reveal(), iso(made.link.expires_at))
        return InviteDocument(invite_resource(invite), InviteMeta(shown))

    @patch("/{invite_id:str}", responses=Refusals.of(403, 404, body=True))
    async def change(
        self,
        contract_id: PATH_ID,
        invite_id: PATH_ID,
        data: Body[ChangeInviteBody],
        who: Who,
        invites: NamedDependency[Invites],
    ) -> Single[InviteResource]:
        """Change what an invite offers, but not its email."""
        changed = data.then(lambda body: _changed_invite(body, invite_id))
        return Single(invite_resource(await invites.change(who, contract_id, invite_id, changed)))

    @delete("/{invite_id:str}", responses=Refusals.of(403, 404))
    async def remove(
        self, contract_id: PATH_ID, invite_id: PATH_ID, who: Who, invites: NamedDependency[Invites]
    ) -> None:
        """Revoke an invite."""
        await invites.delete(who, contract_id, invite_id)


class OwnInviteController(Controller):
    """Invites of the caller (extension)."""

    path = "/v2/users/me/invites"
    tags = ("Users",)

    @get(responses=Refusals.of(400, 403))
    async def list_all(
        self, who: Who, invite_acceptance: NamedDependency[InviteAcceptance], page: WantedPage
    ) -> Many[OwnInviteResource]:
        """List the invites of the caller's email (extension)."""
        read = partial(invite_acceptance.mine, who)
        return await read_list(page, read, lambda each: _own(each.invite), key=lambda each: each.invite.contract_id)

    @post("/{invite_id:str}/accept", status_code=200, responses=Refusals.of(400, 403, 404, 409))
    async def accept(
        self, request: JsonRequest, invite_id: PATH_ID, who: Who, invite_acceptance: NamedDependency[InviteAcceptance]
    ) -> Single[ContractMemberResource]:
        """Accept an invite: become a member of its contract, and of the workspace if it names one (extension)."""
        await request.action()
        return Single(contract_member(await invite_acceptance.accept(who, invite_id)))


def invite_linkage(invites: Sequence[Invite], contract_id: str) -> InvitesRelation:
    """Build the `invites` relationship of a contract, or of a workspace in it: both are found at the contract."""
    ids = [Identifier(invite.id, TYPE) for invite in invites]
    return InvitesRelation(ids, SelfLink(f"/v2/contracts/{contract_id}/invites/"))


def included_with(members: Sequence[Any] | None, invites: Sequence[Invite] | None) -> list[Any] | UnsetType:
    """Return the `included` member: what was asked for, members first; absent when nothing was."""
    if members is None and invites is None:
        return UNSET
    return [*(members or ()), *(invite_resource(invite) for invite in invites or ())]


def invite_resource(invite: Invite) -> InviteResource:
    """Build the resource of an invite."""
    return InviteResource(invite.id, _attributes(invite))


def _own(invite: Invite) -> OwnInviteResource:
    relationships = OwnInviteRelationships(related("contract", "/v2/contracts", invite.contract_id))
    return OwnInviteResource(invite.id, _attributes(invite), relationships)


def _attributes(invite: Invite) -> InviteAttributes:
    if invite.workspace is None:
        return InviteAttributes(invite.email, list(invite.roles))
    return InviteAttributes(invite.email, list(invite.roles), invite.workspace.id, list(invite.workspace.roles))


def _new_invite(body: CreateInviteBody) -> NewInvite:
    given = body.data.attributes
    return NewInvite(
        given.email,
        tuple(dict.fromkeys(given.roles)),
        or_none(given.workspace_id),
        _unique(given.workspace_roles),
        body.data.given_id,
    )


def _changed_invite(body: ChangeInviteBody, invite_id: str) -> ChangedInvite:
    require_id(body.data.id, invite_id)
    given = body.data.attributes
    named = {name for name in ("roles", "workspace_id", "workspace_roles") if getattr(given, name) is not UNSET}
    return ChangedInvite(
        frozenset(named),
        () if given.roles is UNSET else tuple(dict.fromkeys(given.roles)),
        or_none(given.workspace_id),
        _unique(given.workspace_roles),
    )


def _unique(roles: list[str] | UnsetType | None) -> tuple[str, ...] | None:
    return None if roles is UNSET or roles is None else tuple(dict.fromkeys(roles))
