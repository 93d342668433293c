"""Makes one-time links with which people get their first API key, and tells mailers of them (decision 24).

Whoever is shown a link can use it. So it is shown to nobody who would gain by it: only for accounts that nobody has
used yet, and that hold nothing which its maker could not have anyway. Using one is `service.identity.account_setup`.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from keyrack.clock import iso
from keyrack.crypto.secret import Secret
from keyrack.model import Json
from keyrack.model.events import EventType
from keyrack.model.identity import Principal, PrincipalKind, SetupLink, User
from keyrack.model.tenancy import Invite
from keyrack.oauth.provider_text import printable
from keyrack.service.authz.permissions import CREATE_USERS, GIVE_TENANT_ROLES
from keyrack.service.authz.scope import scope_of
from keyrack.service.tenancy.tenants import base_address
from keyrack.store.contracts import ContractRows
from keyrack.store.core.unit import Unit
from keyrack.store.deliveries import Deliveries
from keyrack.store.directory import Location
from keyrack.store.invites import ContractInvites
from keyrack.store.mails import Mails
from keyrack.store.outbox import Outbox
from keyrack.store.role_assignments import HeldRoles, RoleAssignments
from keyrack.store.setup_links import SetupLinks
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import TenantRows

PATH = "/setup"
"""Where the links lead; the secret part of one is in its query, which no log has (contract 0.18)."""

LIFETIME = timedelta(days=1)

_BYTES = 32
_MAX_NAME = 200


@dataclass(frozen=True, slots=True)
class MadeLink:
    """A link that was just made, with its address, which is known this once."""

    link: SetupLink
    url: Secret


class SetupLinkMaker:
    """Makes links in the transaction of whoever asks for them, once that is authorised.

    Args:
        public_url: the base of addresses that browsers open; None: each tenant's own (contract 0.7).
        sends_mail: whether mail is sent (`KEYRACK_SMTP_URL`).
    """

    def __init__(self, public_url: str | None, *, sends_mail: bool) -> None:
        self._public_url = public_url
        self._sends_mail = sends_mail

    async def for_user(self, unit: Unit, who: Principal, user: User) -> MadeLink:
        """Make a link for a user's account and tell mailers of it; an earlier one of the user ends."""
        token, expires_at = _new_token(), unit.clock() + LIFETIME
        link = await SetupLinks(unit).add_for_user(user.id, link_hash(token), who, expires_at)
        made = MadeLink(link, await self._url(unit, token))
        await self._tell(unit, who, {"user_id": user.id}, user.email, made)
        return made

    async def for_invite(self, unit: Unit, who: Principal, invite: Invite, *, has_account: bool) -> MadeLink | None:
        """Tell mailers of an invite, with a link that accepts it where the email has no account yet.

        Args:
            unit: of the invite's tenant.
            who: invites.
            invite: as it was made.
            has_account: whether the email is that of a user of the tenant, who accepts it as such.

        Returns:
            The link, if the inviter may see it.
        """
        about = {"invite_id": invite.id, "contract_id": invite.contract_id}
        made = None
        shown = not has_account and await self._may_see(unit, who, invite)
        if shown or (not has_account and await self._reaches_a_mailer(unit)):
            token, expires_at = _new_token(), unit.clock() + LIFETIME
            link = await SetupLinks(unit).add_for_invite(invite.id, link_hash(token), who, expires_at, shown=shown)
            made = MadeLink(link, await self._url(unit, token))
        await self._tell(unit, who, about, invite.email, made)
        return made if shown else None

    async def base(self, unit: Unit) -> str:
        """Return the base of addresses that people open in the unit's tenant."""
        return await base_address(unit, self._public_url)

    async def _may_see(self, unit: Unit, who: Principal, invite: Invite) -> bool:
        offered = await invited_roles(unit, invite.email)
        return await may_create_users(unit, who) and await may_hand_over(unit, who, offered)

    async def _reaches_a_mailer(self, unit: Unit) -> bool:
        return self._sends_mail or await Deliveries(unit).is_wanted(EventType.user_invited)

    async def _url(self, unit: Unit, token: Secret) -> Secret:
        return Secret(f"{await self.base(unit)}{PATH}?link={token.reveal()}")

    async def _tell(self, unit: Unit, who: Principal, about: Json, email: str, made: MadeLink | None) -> None:
        """Tell the tenant's webhooks, and have a mail sent if there is a mail server."""
        tenant = await TenantRows(unit).find(unit.tenant_id)
        contract_id = about.get("contract_id")
        contract = None if contract_id is None else await ContractRows(unit).find(contract_id)
        link = {} if made is None else {"setup_link_id": made.link.id, "expires_at": iso(made.link.expires_at)}
        content = {
            "email": email,
            "invited_by": printable(who.name, _MAX_NAME),
            "tenant_name": printable(tenant.name if tenant else "", _MAX_NAME),
            **({} if contract is None else {"contract_name": printable(contract.name, _MAX_NAME)}),
            "url": None if made is None else made.url.reveal(),
        }
        await Outbox(unit).add_with_secret(EventType.user_invited, {**about, **link}, content)
        if self._sends_mail:
            target = ("contract-invite", about["invite_id"]) if "invite_id" in about else ("user", about["user_id"])
            await Mails(unit).add(target, {**content, **link})


def link_hash(token: Secret) -> str:
    """Return the hash under which a link is found by its secret part: 64 hex characters."""
    text = token.reveal().encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=32, person=b"keyrack setup").hexdigest()


def _new_token() -> Secret:
    return Secret(secrets.token_urlsafe(_BYTES))


async def may_create_users(unit: Unit, who: Principal) -> bool:
    """Tell whether somebody may create users in the unit's tenant (contract section 11)."""
    if who.kind is PrincipalKind.system:
        return True
    return (await scope_of(unit, who, Location(unit.tenant_id), None)).allows(CREATE_USERS)


async def may_hand_over(
    unit: Unit, who: Principal, held: Sequence[HeldRoles], teams: frozenset[str] = frozenset()
) -> bool:
    """Tell whether somebody gains nothing by using an account that holds these roles.

    Whoever gives roles in the tenant can give themselves any of them. Others must hold every role at the same place.

    Args:
        unit: of the tenant.
        who: would get hold of the account.
        held: the account's roles, or what it is offered.
        teams: it is in.
    """
    if who.kind is PrincipalKind.system:
        return True
    scope = await scope_of(unit, who, Location(unit.tenant_id), None)
    if scope.allows(GIVE_TENANT_ROLES):
        return True
    mine = {each.place: frozenset(each.roles) for each in await RoleAssignments(unit).everywhere(who.id)}
    own_teams = await TeamRows(unit).of_member(who.id) if teams else frozenset()
    is_covered = all(
        _is_nothing(each) or (each.place in mine and mine[each.place].issuperset(each.roles)) for each in held
    )
    return is_covered and teams <= own_teams


def _is_nothing(held: HeldRoles) -> bool:
    """Tell whether somebody of the tenant holds that without any role: being a user of it."""
    return held.place.contract_id is None and not held.roles


async def invited_roles(unit: Unit, email: str) -> Sequence[HeldRoles]:
    """Return what all invites for an email offer, place by place."""
    invites = await ContractInvites(unit).of_email(email)
    offered = [HeldRoles(Location(unit.tenant_id, each.contract_id), each.roles) for each in invites]
    for each in invites:
        if each.workspace is not None:
            place = Location(unit.tenant_id, each.contract_id, each.workspace.id)
            offered.append(HeldRoles(place, each.workspace.roles))
    return offered


async def may_hand_over_user(unit: Unit, who: Principal, user: User) -> bool:
    """As `may_hand_over`, of a user's account: what it holds, and what it is invited to."""
    held = [*await RoleAssignments(unit).everywhere(user.id), *await invited_roles(unit, user.email)]
    return await may_hand_over(unit, who, held, await TeamRows(unit).of_member(user.id))
