"""Members of contracts and workspaces (contract sections 9 and 10)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keyrack.errors import AlreadyExists, NotFound, Problem, RelatedNotFound, StateConflict, ValidationFailed
from keyrack.model.identity import Principal, User
from keyrack.model.tenancy import Member
from keyrack.service.authz.access import Access, Scope
from keyrack.service.authz.permissions import OWNER
from keyrack.service.tenancy.available_roles import is_available
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.core.paging import After
from keyrack.store.credentials import CredentialRows
from keyrack.store.flows import FlowRows
from keyrack.store.invites import ContractInvites
from keyrack.store.teams import TeamRows
from keyrack.store.tenants import RolePolicy
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers
from keyrack.validation.known_names import listed
from keyrack.validation.unvalidated import Unvalidated

_ALREADY = "the user is a member already"
_NO_MEMBER = "there is no such member"
_LAST_OWNER = "the contract's last owner cannot go; make somebody else an owner first"
_EDIT_CONTRACT_MEMBERS = "contracts.membership.edit"
EDIT_WORKSPACE_MEMBERS = ("workspaces.workspace.edit", "tenants.workspace.edit_membership")


@dataclass(frozen=True, slots=True)
class NewMember:
    """Who becomes a member, with which roles."""

    user_id: str
    roles: tuple[str, ...]


class Members:
    """Who is in a contract or workspace."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def of_contract(
        self, who: Principal, contract_id: str, *, beginning: str = "", limit: int | None, offset: int | After
    ) -> tuple[Sequence[Member], int]:
        """List a contract's members; return a page and the number of all.

        Args:
            who: is asking.
            contract_id: the contract.
            beginning: only those in whose name or email a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.
        """
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members can list members")
            return await ContractMembers(scope.unit).page(contract_id, beginning=beginning, limit=limit, offset=offset)

    async def of_workspace(
        self,
        who: Principal,
        workspace_id: str,
        *,
        beginning: str = "",
        limit: int | None = None,
        offset: int | After = 0,
    ) -> tuple[Sequence[Member], int]:
        """List a workspace's members; return a page and the number of all. The arguments are as in `of_contract`."""
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace or scope.is_tenant_admin, "only members can list members")
            return await WorkspaceMembers(scope.unit).page(
                workspace_id, beginning=beginning, limit=limit, offset=offset
            )

    async def by_email(self, who: Principal, contract_id: str, email: str) -> Member | None:
        """Return a contract's member with an email, or None."""
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members can list members")
            found, _ = await UserRows(scope.unit).page(email=email)
            for user in found:
                roles = await ContractMembers(scope.unit).roles(contract_id, user.id)
                return None if roles is None else Member(user, roles)
            return None

    async def in_contract(self, who: Principal, contract_id: str, user_id: str) -> Member:
        """Return one of a contract's members.

        Raises:
            NotFound: the contract has no such member.
        """
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members can list members")
            roles = await ContractMembers(scope.unit).roles(contract_id, user_id)
            if roles is None:
                raise NotFound(_NO_MEMBER)
            return Member(await _user(scope, user_id), roles)

    async def in_workspace(self, who: Principal, workspace_id: str, user_id: str) -> Member:
        """Return one of a workspace's members.

        Raises:
            NotFound: the workspace has no such member.
        """
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace or scope.is_tenant_admin, "only members can list members")
            roles = await WorkspaceMembers(scope.unit).roles(workspace_id, user_id)
            if roles is None:
                raise NotFound(_NO_MEMBER)
            return Member(await _user(scope, user_id), roles)

    async def join_contract(self, who: Principal, contract_id: str, new: Unvalidated[NewMember]) -> Member:
        """Make a user of the tenant a member of a contract, at once (section 9).

        Raises:
            RelatedNotFound: the tenant has no such user.
            ValidationFailed: a role is not available.
            AlreadyExists: the user is a member.
            StateConflict: the first member must be an owner.
        """
        async with self._access.contract(who, contract_id, "contract-member.add") as scope:
            scope.require_that(
                scope.is_tenant_admin or (who.tenant_id is None and scope.allows("contracts.membership.edit_directly")),
                "only a tenant admin can add members directly",
            )
            wanted = new.validated()
            await _require_roles(scope, "contracts", wanted.roles)
            user = await UserRows(scope.unit).find(wanted.user_id)
            if user is None:
                raise RelatedNotFound("the tenant has no such user", pointer="/data/id")
            members = ContractMembers(scope.unit)
            if not await members.hold(contract_id) and OWNER not in wanted.roles:
                raise StateConflict("the first member of a contract must be an owner", pointer="/data/attributes/roles")
            try:
                await members.add(contract_id, user.id, wanted.roles)
            except AlreadyExists:
                raise AlreadyExists(_ALREADY, pointer="/data/id") from None
            await ContractInvites(scope.unit).remove_of(contract_id, user.email)  # nothing is left to be accepted
            scope.audit_target("contract-member", user.id)
            return Member(user, wanted.roles)

    async def join_workspace(self, who: Principal, workspace_id: str, new: Unvalidated[NewMember]) -> Member:
        """Make a member of the contract a member of a workspace (section 10).

        Raises:
            RelatedNotFound: the contract has no such member.
            ValidationFailed: a role is not available.
            AlreadyExists: the user is a member.
        """
        async with self._access.workspace(who, workspace_id, "workspace-member.add") as scope:
            scope.require(*EDIT_WORKSPACE_MEMBERS)
            wanted = new.validated()
            await _require_roles(scope, "workspaces", wanted.roles)
            contract_id = scope.place.contract_id or ""
            user = await UserRows(scope.unit).find(wanted.user_id)
            if user is None or not await ContractMembers(scope.unit).keep(contract_id, user.id):
                raise RelatedNotFound("the contract has no such member", pointer="/data/id")
            try:
                await WorkspaceMembers(scope.unit).add(workspace_id, user.id, wanted.roles)
            except AlreadyExists:
                raise AlreadyExists(_ALREADY, pointer="/data/id") from None
            scope.audit_target("member", user.id)
            return Member(user, wanted.roles)

    async def change_in_contract(
        self, who: Principal, contract_id: str, user_id: str, roles: Unvalidated[tuple[str, ...]]
    ) -> Member:
        """Replace the roles of a contract's member (section 9).

        Raises:
            NotFound: the contract has no such member.
            ValidationFailed: a role is not available.
            StateConflict: the contract would be left without an owner.
        """
        async with self._access.contract(who, contract_id, "contract-member.change") as scope:
            require_editor(scope)
            members = ContractMembers(scope.unit)
            held = dict(await members.hold(contract_id))
            _require_member(held, user_id)
            wanted = roles.validated()
            await _require_roles(scope, "contracts", wanted)
            if OWNER not in wanted and _is_last_owner(held, user_id):
                raise StateConflict(_LAST_OWNER, pointer="/data/attributes/roles")
            await members.change(contract_id, user_id, wanted)
            scope.audit_target("contract-member", user_id)
            return Member(await _user(scope, user_id), wanted)

    async def leave_contract(self, who: Principal, contract_id: str, user_id: str) -> None:
        """Take a member out of a contract, its workspaces and its teams (section 9); see `leave_workspace`.

        Raises:
            NotFound: the contract has no such member.
            StateConflict: it is the last owner, and others would remain.
        """
        async with self._access.contract(who, contract_id, "contract-member.remove") as scope:
            require_editor(scope)
            members = ContractMembers(scope.unit)
            held = dict(await members.hold(contract_id))
            _require_member(held, user_id)
            if len(held) > 1 and _is_last_owner(held, user_id):
                raise StateConflict(_LAST_OWNER)
            for workspace_id in await WorkspaceMembers(scope.unit).joined(contract_id, user_id):
                await _leave_workspace(scope, workspace_id, user_id)
            await TeamRows(scope.unit).leave(contract_id, user_id)
            await members.remove(contract_id, user_id)
            scope.audit_target("contract-member", user_id)

    async def change_in_workspace(
        self, who: Principal, workspace_id: str, user_id: str, roles: Unvalidated[tuple[str, ...]]
    ) -> Member:
        """Replace the roles of a workspace's member (section 10).

        Raises:
            NotFound: the workspace has no such member.
            ValidationFailed: a role is not available.
        """
        async with self._access.workspace(who, workspace_id, "workspace-member.change") as scope:
            scope.require(*EDIT_WORKSPACE_MEMBERS)
            members = WorkspaceMembers(scope.unit)
            if not await members.hold(workspace_id, user_id):
                raise NotFound(_NO_MEMBER)
            wanted = roles.validated()
            await _require_roles(scope, "workspaces", wanted)
            await members.change(workspace_id, user_id, wanted)
            scope.audit_target("member", user_id)
            return Member(await _user(scope, user_id), wanted)

    async def leave_workspace(self, who: Principal, workspace_id: str, user_id: str) -> None:
        """Take a member out of a workspace; flows, credentials and secrets pass to the caller (section 10).

        Where the caller is the member, or no user, they pass to another owner, else to another member; with nobody
        left they stay as they are.

        Raises:
            NotFound: the workspace has no such member.
        """
        async with self._access.workspace(who, workspace_id, "workspace-member.remove") as scope:
            scope.require(*EDIT_WORKSPACE_MEMBERS)
            if not await WorkspaceMembers(scope.unit).hold(workspace_id, user_id):
                raise NotFound(_NO_MEMBER)
            await _leave_workspace(scope, workspace_id, user_id)
            scope.audit_target("member", user_id)


def require_editor(scope: Scope) -> None:
    """Insist on somebody who may manage the members of the scope's contract, and whom it invites (section 9).

    Raises:
        Forbidden: the caller may not.
        ContractSuspended: the caller may, but the contract is suspended.
    """
    allowed = scope.is_tenant_admin or scope.allows(_EDIT_CONTRACT_MEMBERS)
    scope.require_that(allowed, f"this needs the permission {_EDIT_CONTRACT_MEMBERS}")


async def _leave_workspace(scope: Scope, workspace_id: str, user_id: str) -> None:
    members = WorkspaceMembers(scope.unit)
    successor: str | None = scope.who.id
    if scope.who.tenant_id is None or successor == user_id:
        others = [member for member in await members.list(workspace_id) if member.user.id != user_id]
        others.sort(key=lambda member: OWNER not in member.roles)
        successor = others[0].user.id if others else None
    if successor is not None:
        await FlowRows(scope.unit).hand_over(workspace_id, user_id, successor)
        await CredentialRows(scope.unit).hand_over(workspace_id, user_id, successor)
        await AuthSecrets(scope.unit).hand_over(workspace_id, user_id, successor)
    await members.remove(workspace_id, user_id)


def _require_member(held: Mapping[str, Sequence[str]], user_id: str) -> None:
    if user_id not in held:
        raise NotFound(_NO_MEMBER)


def _is_last_owner(held: Mapping[str, Sequence[str]], user_id: str) -> bool:
    return OWNER in held[user_id] and not any(OWNER in roles for other, roles in held.items() if other != user_id)


async def _user(scope: Scope, user_id: str) -> User:
    user = await UserRows(scope.unit).find(user_id)
    if user is None:
        raise NotFound(_NO_MEMBER)
    return user


async def wrong_roles(scope: Scope, level: str, roles: Sequence[str], pointer: str) -> list[Problem]:
    """Tell which roles cannot be given in the scope's contract.

    Args:
        scope: at the contract, or a workspace of it.
        level: `contracts` or `workspaces`.
        roles: the roles in a request.
        pointer: where they stand in it.

    Raises:
        NotFound: the contract is gone.
    """
    contract = await ContractRows(scope.unit).find(scope.place.contract_id or "")
    if contract is None:
        raise NotFound
    policy = await RolePolicy(scope.unit).list()
    known = {role.role for role in policy if role.scope == level and is_available(contract, level, role.role)}
    detail = f"there is no such role here; {listed(known)}"
    return [Problem(detail, f"{pointer}/{i}") for i, role in enumerate(roles) if role not in known]


async def _require_roles(scope: Scope, level: str, roles: Sequence[str]) -> None:
    wrong = await wrong_roles(scope, level, roles, "/data/attributes/roles")
    if wrong:
        raise ValidationFailed(*wrong)
