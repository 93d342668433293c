"""Deletes users and hands on what they own (contract section 11, decision 14)."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from keyrack.errors import Forbidden, NotFound, StateConflict
from keyrack.model.identity import Principal
from keyrack.model.tenancy import Member
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import OWNER
from keyrack.service.identity.users import Users
from keyrack.service.offboarding.place_deletion import remove_unused, remove_workspace
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.directory import Location
from keyrack.store.ownership import Ownership
from keyrack.store.role_assignments import RoleAssignments
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows


@dataclass(frozen=True, slots=True)
class NamedPlace:
    """A contract or workspace, and who gets what the user has there, if that is told."""

    id: str
    name: str
    successor: str | None = None


@dataclass(frozen=True, slots=True)
class UserDeletionPreview:
    """What deleting a user would do now.

    Attributes:
        contracts: deleted with all that is in them, because nobody else is in them.
        workspaces: of other contracts, deleted for the same reason.
        passed_on: workspaces in which what the user has passes to somebody else.
        without_owner: contracts that would be left without an owner: as long as there are any, it is refused.
    """

    contracts: Sequence[NamedPlace]
    workspaces: Sequence[NamedPlace]
    passed_on: Sequence[NamedPlace]
    without_owner: Sequence[NamedPlace]


class UserDeletion:
    """For those who delete users."""

    def __init__(self, access: Access, people: Users) -> None:
        self._access = access
        self._people = people

    async def preview(self, who: Principal, user_id: str) -> UserDeletionPreview:
        """Return what deleting a user would do, to those who may delete users; nothing is held until it is done.

        Raises:
            NotFound: there is none the caller can see.
            Forbidden: the caller may not delete users.
        """
        await self._people.get(who, user_id)
        place = await self._access.locate("user", user_id)
        async with self._access.at(who, place) as scope:
            scope.require("tenants.user.delete")
            return await _preview(scope, user_id)

    async def delete(self, who: Principal, user_id: str) -> None:
        """Delete a user with API keys, memberships and pending consents, in one transaction.

        Contracts and workspaces in which the user is the only member are deleted with all that is in them. Elsewhere
        flows with their versions, credentials and secrets pass on: to an owner of the workspace, else to another
        member of it, else to an owner or member of the contract, else to the caller.

        Raises:
            NotFound: there is none the caller can see.
            Forbidden: the caller may not delete users.
            StateConflict: the user is the caller, or the last owner of a contract with other members; or a service
                account deletes a user whose things nobody could take over.
            InUse: a contract would be deleted whose components flows of another contract use.
        """
        await self._people.get(who, user_id)
        place = await self._access.locate("user", user_id)
        async with self._access.at(who, place, "user.delete") as scope:
            scope.require("tenants.user.delete")
            if user_id == who.id:
                raise StateConflict("you cannot delete yourself; another tenant admin can")
            contract_ids = await _alone_with(scope, user_id)
            for contract_id in await _only_theirs(scope, contract_ids, user_id):
                for workspace_id in await remove_unused(scope, contract_id):
                    scope.audit_target("workspace", workspace_id)
                scope.audit_target("contract", contract_id)
            await _leave_workspaces(scope, contract_ids, user_id)
            await UserRows(scope.unit).remove(user_id)
            scope.audit_target("user", user_id)


async def _preview(scope: Scope, user_id: str) -> UserDeletionPreview:
    contracts, headless = list[NamedPlace](), list[NamedPlace]()
    for contract_id in sorted(await RoleAssignments(scope.unit).contracts_of(user_id)):
        held = {member.user.id: member.roles for member in await ContractMembers(scope.unit).list(contract_id)}
        mine = held.pop(user_id, ())
        contract = await ContractRows(scope.unit).find(contract_id)
        named = NamedPlace(contract_id, "" if contract is None else contract.name)
        if not held:
            contracts.append(named)
        elif OWNER in mine and not any(OWNER in roles for roles in held.values()):
            headless.append(named)
    gone, workspaces, passed_on = {each.id for each in contracts}, list[NamedPlace](), list[NamedPlace]()
    for place in await Ownership(scope.unit).places(user_id):
        if place.contract_id in gone:
            continue
        workspace = await WorkspaceRows(scope.unit).find(place.workspace_id or "")
        name = "" if workspace is None else workspace.name
        members = await WorkspaceMembers(scope.unit).list(place.workspace_id or "")
        if [member.user.id for member in members] == [user_id]:
            workspaces.append(NamedPlace(place.workspace_id or "", name))
            continue
        heir = await UserRows(scope.unit).find(await _successor(scope, place, members, user_id))
        passed_on.append(NamedPlace(place.workspace_id or "", name, None if heir is None else heir.email))
    return UserDeletionPreview(contracts, workspaces, passed_on, headless)


async def _alone_with(scope: Scope, user_id: str) -> Sequence[str]:
    """Have a user, and the contracts the user is in, to oneself until the transaction ends; return the contracts' ids.

    Nobody writes in these contracts meanwhile, so nobody becomes a member, and the user begins nothing new. Contracts
    are locked before users, as by everybody who locks both, and all in the order of their ids.

    Raises:
        NotFound: the user is gone.
        Forbidden: the caller is gone, deleted by the user at this moment.
        StateConflict: the user joined a contract at this moment.
    """
    standing, users = RoleAssignments(scope.unit), UserRows(scope.unit)
    contract_ids = sorted(await standing.contracts_of(user_id))
    elsewhere = {place.contract_id or "" for place in await Ownership(scope.unit).places(user_id)}
    for contract_id in sorted({*contract_ids, *elsewhere}):
        await ContractRows(scope.unit).hold(contract_id, exclusive=contract_id in contract_ids)
    caller = scope.who.id if scope.who.tenant_id is not None else None
    for each in sorted({user_id, caller or user_id}):
        await (users.lock_to_delete(each) if each == user_id else users.lock_to_change(each))
    if await users.find(user_id) is None:
        raise NotFound("there is no such user")
    if caller is not None and await users.find(caller) is None:
        raise Forbidden
    if sorted(await standing.contracts_of(user_id)) != contract_ids:
        raise StateConflict("the user's contracts have just changed; try again")
    return contract_ids


async def _only_theirs(scope: Scope, contract_ids: Collection[str], user_id: str) -> Sequence[str]:
    """Return the contracts that nobody else is in.

    Raises:
        StateConflict: others would remain in one without an owner.
    """
    empty, headless = [], []
    for contract_id in contract_ids:
        held = dict(await ContractMembers(scope.unit).hold(contract_id))
        others = [roles for member, roles in held.items() if member != user_id]
        if not others:
            empty.append(contract_id)
        elif OWNER in held[user_id] and not any(OWNER in roles for roles in others):
            headless.append(contract_id)
    if headless:
        detail = "the user is the last owner of contracts with other members; make somebody else an owner first"
        raise StateConflict(detail, meta={"contract_ids": headless})
    return empty


async def _leave_workspaces(scope: Scope, contract_ids: Collection[str], user_id: str) -> None:
    """Delete the workspaces that nobody else is in, and pass on what the user has in the others.

    Args:
        scope: of the deletion.
        contract_ids: those that the scope's unit holds alone. In others the user is no member, but may own something.
        user_id: the user.

    Raises:
        StateConflict: nobody could take over.
    """
    successors: dict[str, str] = {}  # after all deletions: auth clients are locked before secrets
    for place in await Ownership(scope.unit).places(user_id):
        workspace_id = place.workspace_id or ""
        exclusive = place.contract_id in contract_ids
        if not await WorkspaceRows(scope.unit).hold(workspace_id, exclusive=exclusive):
            continue
        members = await WorkspaceMembers(scope.unit).list(workspace_id)
        if exclusive and [member.user.id for member in members] == [user_id]:
            await remove_workspace(scope.unit, workspace_id)
            scope.audit_target("workspace", workspace_id)
        else:
            successors[workspace_id] = await _successor(scope, place, members, user_id)
    for workspace_id, successor in successors.items():
        await Ownership(scope.unit).pass_on(workspace_id, user_id, successor)


async def _successor(scope: Scope, place: Location, members: Sequence[Member], user_id: str) -> str:
    for candidates in (members, await ContractMembers(scope.unit).list(place.contract_id or "")):
        others = [member for member in candidates if member.user.id != user_id]
        if others:
            return min(others, key=lambda member: OWNER not in member.roles).user.id
    if scope.who.tenant_id is None:
        detail = "nobody else can take over what the user owns in a workspace; delete it or add a member"
        raise StateConflict(detail, meta={"workspace_id": place.workspace_id})
    return scope.who.id
