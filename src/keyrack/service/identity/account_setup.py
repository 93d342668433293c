"""Sets up accounts with one-time links: whoever uses one gets the first API key, and chooses a password if they like.

What a link may do is judged again when it is used, with the rights that its maker has then. Links that are wrong, used,
expired or replaced, and those whose maker would now gain by them, are all refused alike
(decision 24).
"""

from dataclasses import dataclass, field
from datetime import datetime

from keyrack.crypto.secret import Secret
from keyrack.errors import AlreadyExists, BadRequest, Forbidden, NotFound, Problem, StateConflict, ValidationFailed
from keyrack.model.identity import Principal, PrincipalKind, SetupLink, User
from keyrack.model.tenancy import Invite
from keyrack.oauth.provider_text import printable
from keyrack.service.authz.access import ALLOWED, Access, Scope
from keyrack.service.authz.permissions import CREATE_USERS
from keyrack.service.identity.authentication import key_hash, new_api_key
from keyrack.service.identity.password_hashing import PasswordHashing
from keyrack.service.identity.password_rules import require_good_password
from keyrack.service.tenancy.invite_acceptance import ACCEPT, join_by_invite, welcome
from keyrack.service.tenancy.setup_links import (
    MadeLink,
    SetupLinkMaker,
    invited_roles,
    link_hash,
    may_create_users,
    may_hand_over,
    may_hand_over_user,
)
from keyrack.store.accounts import ApiKeys, ServiceAccounts
from keyrack.store.audit_log import AuditLog
from keyrack.store.console_sessions import ConsoleSessions
from keyrack.store.contracts import ContractRows
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.invites import ContractInvites
from keyrack.store.role_assignments import RoleAssignments
from keyrack.store.setup_links import SetupLinks
from keyrack.store.tenants import TenantRows
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceRows

_MAX_NAME = 200
_KEY_NAME = "setup link"
_IN_USE = "this account is in use already; its owner makes further API keys, and the operator can make a link for it"


class UnknownSetupLink(BadRequest):
    """It was used before, has expired, was replaced by a newer one, or was never ours. Ask for a new one."""


@dataclass(frozen=True, slots=True)
class SetupPage:
    """What a person is told who has opened a link; nothing has happened yet.

    Attributes:
        email: whose account it is, or is to be.
        maker: who made the link.
        tenant: name of the tenant.
        contract: name of the contract that the person is invited into; None: the account is there already.
        expires_at: until when the link is good.
    """

    email: str
    maker: str
    tenant: str
    contract: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PersonName:
    """How somebody is called who gets an account by an invite."""

    first: str
    last: str


@dataclass(frozen=True, slots=True)
class FirstKey:
    """What a person signs in with; shown this once."""

    email: str
    api_key: Secret = field(repr=False)
    base: str
    """Of the addresses where it is good."""


class AccountSetup:
    """For those who create users, and for the people whom they create."""

    def __init__(self, store: Store, access: Access, links: SetupLinkMaker, passwords: PasswordHashing) -> None:
        self._store = store
        self._access = access
        self._links = links
        self._passwords = passwords

    async def create_link(self, who: Principal, user_id: str) -> MadeLink:
        """Make a link with which a user gets the first API key; it is returned this once, and an earlier one ends.

        Raises:
            NotFound: there is no such user, or the caller neither sees it nor may create users.
            Forbidden: the caller may not create users, or the user holds what the caller could not have.
            StateConflict: somebody has used the account already.
            QuotaExceeded: the tenant has had as many mails sent today as it may.
        """
        place = await self._access.locate_for(who, "user", user_id)
        async with self._access.at(who, place, "setup-link.create") as scope:
            if not scope.allows(CREATE_USERS) and not await _is_seen(scope, user_id):
                self._access.counts.denied(who, place.tenant_id, ("user", user_id), "setup-link.create")
                raise NotFound("there is no such user")
            scope.require(CREATE_USERS)
            users = UserRows(scope.unit)
            await users.lock_to_change(user_id)
            user = await users.find(user_id)
            if user is None:
                raise NotFound("there is no such user")
            if await users.is_in_use(user_id):
                raise StateConflict(_IN_USE)
            if not await may_hand_over_user(scope.unit, who, user):
                raise Forbidden("the user holds roles, or is invited to some, that you neither hold nor may give")
            made = await self._links.for_user(scope.unit, who, user)
            scope.audit_target("user", user_id)
            scope.audit_target("setup-link", made.link.id)
            return made

    async def introduce(self, token: Secret) -> SetupPage:
        """Return whom a link is for; changes nothing.

        Args:
            token: the secret part of the link.

        Raises:
            UnknownSetupLink: it is not good, or not any more.
        """
        async with self._store.unit(await self._tenant_of(token)) as unit:
            link = await _good(unit, token)
            tenant = await TenantRows(unit).find(unit.tenant_id)
            name, maker = printable(tenant.name if tenant else "", _MAX_NAME), printable(link.maker[2], _MAX_NAME)
            if link.user_id is not None:
                user = await UserRows(unit).find(link.user_id)
                if user is None or not await _may_set_up(unit, link, user):
                    raise UnknownSetupLink
                return SetupPage(user.email, maker, name, None, link.expires_at)
            invite = await ContractInvites(unit).by_id(link.invite_id or "")
            contract = None if invite is None else await ContractRows(unit).find(invite.contract_id)
            if invite is None or contract is None or not await _may_accept(unit, link, invite):
                raise UnknownSetupLink
            return SetupPage(invite.email, maker, name, contract.name, link.expires_at)

    async def use(
        self,
        token: Secret,
        name: PersonName | None,
        address: str | None,
        request_id: str | None,
        *,
        password: Secret | None = None,
    ) -> FirstKey:
        """Use a link up and return the first API key, this once; of several who use one at a time, one gets it.

        Args:
            token: the secret part of the link.
            name: of the person, for an invite's link; ignored for an account that is there.
            address: where the request came from, for the audit log.
            request_id: the request's id, for the audit log.
            password: with which the person wants to sign in to the console, if at all.

        Raises:
            UnknownSetupLink: it is not good, or not any more.
            ValidationFailed: an account is to be made, and the name is missing; or the password is too weak.
            RateLimited: too many passwords wait to be hashed.
            StateConflict: the invite cannot be accepted at the moment; the link stays good.
        """
        tenant_id, hashed = await self._tenant_of(token), None
        if password is not None:
            told = await self.introduce(token)  # nobody else has passwords hashed here
            require_good_password(password, told.email)
            hashed = await self._passwords.hash(tenant_id, password)
        async with self._store.unit(tenant_id, writes=True) as unit:
            if not await TenantRows(unit).hold():
                raise UnknownSetupLink
            link = await _good(unit, token)
            if link.user_id is not None:
                user = await _taken_over(unit, link, token)
                who = _as(user, address, request_id)
            else:
                user = await _invited(unit, link, token, name)
                who = _as(user, address, request_id)
                await _join_everywhere(unit, who, user, link)
            key = new_api_key()
            stored = await ApiKeys(unit).add(PrincipalKind.user, user.id, _KEY_NAME, key_hash(key), None)
            if hashed is not None:
                await UserRows(unit).set_password(user.id, hashed)
                await ConsoleSessions(unit).end_others(PrincipalKind.user, user.id, None)
            log = AuditLog(unit)
            await log.append(who, "setup-link.use", ("user", user.id), ALLOWED)
            await log.append(who, "api-key.create", ("api-key", stored.id), ALLOWED)
            if hashed is not None:
                await log.append(who, "password.set", ("user", user.id), ALLOWED)
            return FirstKey(user.email, key, await self._links.base(unit))

    async def _tenant_of(self, token: Secret) -> str:
        async with self._store.installation() as unit:
            place = await Directory(unit).setup_link(link_hash(token))
        if place is None:
            raise UnknownSetupLink
        return place.tenant_id


async def _is_seen(scope: Scope, user_id: str) -> bool:
    """Tell whether a caller who may not create users at least sees a user."""
    if user_id == scope.who.id or scope.allows("tenants.user.get"):
        return True
    standing = RoleAssignments(scope.unit)
    return bool(await standing.contracts_of(scope.who.id) & await standing.contracts_of(user_id))


async def _good(unit: Unit, token: Secret) -> SetupLink:
    link = await SetupLinks(unit).by_link(link_hash(token))
    if link is None or link.expires_at <= unit.clock():
        raise UnknownSetupLink
    return link


async def _taken_over(unit: Unit, link: SetupLink, token: Secret) -> User:
    """Use a user's link up; return the user, whom nobody changes until the transaction ends."""
    users, user_id = UserRows(unit), link.user_id or ""
    await users.lock_to_change(user_id)  # before the link, as whoever makes one does
    user = await users.find(user_id)
    if user is None or not await _may_set_up(unit, link, user) or not await SetupLinks(unit).take(link_hash(token)):
        raise UnknownSetupLink
    if await users.password(user_id) is None:
        await users.forget_password(user_id)  # somebody else chose it
    return user


async def _invited(unit: Unit, link: SetupLink, token: Secret, name: PersonName | None) -> User:
    """Use an invite's link up; return the user that is made for its email."""
    found = await ContractInvites(unit).by_id(link.invite_id or "")
    if found is None:
        raise UnknownSetupLink
    await ContractRows(unit).hold(found.contract_id, exclusive=False)
    if found.workspace is not None:
        await WorkspaceRows(unit).hold(found.workspace.id, exclusive=False)
    invite = await ContractInvites(unit).find(found.contract_id, found.id, locked=True)
    if invite is None or not await _may_accept(unit, link, invite):
        raise UnknownSetupLink
    if name is None or not name.first or not name.last:
        raise ValidationFailed(Problem("both names are needed"))
    if not await SetupLinks(unit).take(link_hash(token)):
        raise UnknownSetupLink
    try:
        return await UserRows(unit).add(invite.email, name.first, name.last)
    except AlreadyExists:  # perhaps another tenant's, which nobody is told
        raise UnknownSetupLink from None


async def _join_everywhere(unit: Unit, who: Principal, user: User, link: SetupLink) -> None:
    """Make a new user a member where the link's invite leads, and wherever else the email is invited."""
    invite = await ContractInvites(unit).by_id(link.invite_id or "")
    if invite is None or await join_by_invite(unit, invite, user) is None:
        raise UnknownSetupLink
    await AuditLog(unit).append(who, "user.create", ("user", user.id), ALLOWED)
    await AuditLog(unit).append(who, ACCEPT, ("contract-member", user.id), ALLOWED)
    await welcome(unit, who, user)


async def _may_set_up(unit: Unit, link: SetupLink, user: User) -> bool:
    """Tell whether a link may still give a user's account to whoever has it."""
    maker = await _maker(unit, link)
    if maker is None:
        return False
    if maker.kind is PrincipalKind.system:  # who works on the machine itself can make keys for anybody
        return True
    in_use = await UserRows(unit).is_in_use(user.id)
    return not in_use and await may_create_users(unit, maker) and await may_hand_over_user(unit, maker, user)


async def _may_accept(unit: Unit, link: SetupLink, invite: Invite) -> bool:
    """Tell whether a link may still accept an invite: one that only a mailbox has, or whose maker gains nothing."""
    found, _ = await UserRows(unit).page(email=invite.email)
    if found:
        return False
    if not link.shown:
        return True
    maker = await _maker(unit, link)
    if maker is None or not await may_create_users(unit, maker):
        return False
    return await may_hand_over(unit, maker, await invited_roles(unit, invite.email))


async def _maker(unit: Unit, link: SetupLink) -> Principal | None:
    """Return who made a link, with the rights of now; None if there is no such user or service account any more."""
    kind, maker_id, name = link.maker
    if kind is PrincipalKind.user:
        user = await UserRows(unit).find(maker_id)
        return None if user is None else _as(user, None, None)
    if kind is PrincipalKind.service_account:
        account = await ServiceAccounts(unit).find(maker_id)
        return None if account is None else Principal(kind, account.id, account.username, None, account.permissions)
    return Principal(kind, maker_id, name)


def _as(user: User, address: str | None, request_id: str | None) -> Principal:
    return Principal(PrincipalKind.user, user.id, user.email, user.tenant_id, address=address, request_id=request_id)
