"""Accepts invites when the invited person arrives (contract section 9, decision 14).

The account that is made for an invited email joins at once: only those who may create users make it. Whoever has an
account already decides: an invite alone makes nobody a member, as adding a member directly needs more than inviting.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress

from keyrack.errors import AlreadyExists, Forbidden, NotFound, StateConflict
from keyrack.model.identity import Principal, PrincipalKind, User
from keyrack.model.tenancy import Contract, Invite, Member
from keyrack.service.authz.access import ALLOWED, Access, home
from keyrack.service.authz.permissions import OWNER
from keyrack.service.authz.suspension import SUSPENDED
from keyrack.service.tenancy.available_roles import is_available
from keyrack.store.audit_log import AuditLog
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.paging import After
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Location
from keyrack.store.invites import ContractInvites, OfferedInvite
from keyrack.store.tenants import RolePolicy
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows

ACCEPT = "contract-invite.accept"


class InviteAcceptance:
    """Invites as those who are invited see them."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def mine(
        self, who: Principal, *, beginning: str = "", limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[OfferedInvite], int]:
        """List the caller's invites; return a page and the number of all.

        Args:
            who: the caller.
            beginning: only into contracts in whose name a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.

        Raises:
            Forbidden: the caller is no person.
        """
        _require_person(who)
        async with self._access.tenant(who, home(who)) as scope:
            user = await UserRows(scope.unit).find(who.id)
            if user is None:
                return [], 0
            return await ContractInvites(scope.unit).offered_to(
                user.email, beginning=beginning, limit=limit, offset=offset
            )

    async def accept(self, who: Principal, invite_id: str) -> Member:
        """Accept an invite: become a member of the contract, and of the workspace if it names one.

        Raises:
            Forbidden: the caller is no person.
            ContractSuspended: the contract is suspended.
            NotFound: the caller has no such invite.
            StateConflict: none of its roles is available any more, or the contract's first member must be an owner.
        """
        invites, _ = await self.mine(who)
        found = next((each.invite for each in invites if each.invite.id == invite_id), None)
        if found is None:
            raise NotFound("you have no such invite")
        place = Location(found.tenant_id, found.contract_id)
        async with self._access.at(who, place, ACCEPT) as scope:
            scope.require_open()
            user = await UserRows(scope.unit).find(who.id)
            roles = None if user is None else await join_by_invite(scope.unit, found, user)
            if user is None or roles is None:
                raise NotFound("you have no such invite")
            scope.audit_target("contract-member", who.id)
            return Member(user, roles)


async def welcome(unit: Unit, who: Principal, user: User) -> None:
    """Make a user who is being created a member wherever the email is invited.

    An invite whose contract is suspended, or whose roles are gone, waits for the user to accept it.

    Args:
        unit: the transaction that creates the user.
        who: creates the user, for the audit log.
        user: as created.
    """
    for invite in await ContractInvites(unit).of_email(user.email):
        with suppress(StateConflict):
            if await join_by_invite(unit, invite, user) is not None:
                await AuditLog(unit).append(who, ACCEPT, ("contract-member", user.id), ALLOWED)


async def join_by_invite(unit: Unit, found: Invite, user: User) -> tuple[str, ...] | None:
    """Turn an invite into membership and return the roles in the contract; None if it is gone.

    Raises:
        StateConflict: see `InviteAcceptance.accept`; nothing was changed.
    """
    status = await ContractRows(unit).hold(found.contract_id, exclusive=False)
    if found.workspace is not None:
        await WorkspaceRows(unit).hold(found.workspace.id, exclusive=False)
    invite = await ContractInvites(unit).find(found.contract_id, found.id, locked=True)
    contract = await ContractRows(unit).find(found.contract_id)
    if status is None or invite is None or contract is None:
        return None
    if invite != found:
        raise StateConflict("the invite has just been changed")
    if status == SUSPENDED:
        raise StateConflict("the contract is suspended")
    available = await _available(unit, contract)
    roles = available("contracts", invite.roles)
    members = ContractMembers(unit)
    if not roles:
        raise StateConflict("none of the roles that were offered is available any more")
    if not await members.hold(contract.id) and OWNER not in roles:
        raise StateConflict("the first member of a contract must be an owner")
    with suppress(AlreadyExists):  # made a member at this moment: the roles given there stand
        await members.add(contract.id, user.id, roles)
    if invite.workspace is not None and (inside := available("workspaces", invite.workspace.roles)):
        with suppress(AlreadyExists):
            await WorkspaceMembers(unit).add(invite.workspace.id, user.id, inside)
    await ContractInvites(unit).remove(invite.id)
    return await members.roles(contract.id, user.id)


async def _available(unit: Unit, contract: Contract) -> Callable[[str, Sequence[str]], tuple[str, ...]]:
    policy = {(role.scope, role.role) for role in await RolePolicy(unit).list()}

    def among(scope: str, roles: Sequence[str]) -> tuple[str, ...]:
        return tuple(role for role in roles if (scope, role) in policy and is_available(contract, scope, role))

    return among


def _require_person(who: Principal) -> None:
    if who.kind is not PrincipalKind.user:
        raise Forbidden("only a user is invited")
