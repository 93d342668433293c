"""Members of contracts and workspaces (contract sections 9 and 10)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from keyrack.errors import AlreadyExists, NotFound, Problem, RelatedNotFound, StateConflict, ValidationFailed
from keyrack.model import Member, Principal
from keyrack.service.access import Access, Scope
from keyrack.service.contracts import is_available
from keyrack.service.permissions import OWNER
from keyrack.store.contracts import ContractMembers, Contracts
from keyrack.store.tenants import RolePolicy
from keyrack.store.users import Users
from keyrack.store.workspaces import WorkspaceMembers

_ALREADY = "the user is a member already"


@dataclass(frozen=True, slots=True)
class NewMember:
    """Who becomes a member, with which roles."""

    user_id: str
    roles: tuple[str, ...]


class Members:
    """Who is in a contract or workspace."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def of_contract(self, who: Principal, contract_id: str) -> Sequence[Member]:
        """List a contract's members."""
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members can list members")
            return await ContractMembers(scope.unit).list(contract_id)

    async def of_workspace(self, who: Principal, workspace_id: str) -> Sequence[Member]:
        """List a workspace's members."""
        async with self._access.workspace(who, workspace_id) as scope:
            scope.require_that(scope.in_workspace or scope.is_tenant_admin, "only members can list members")
            return await WorkspaceMembers(scope.unit).list(workspace_id)

    async def join_contract(self, who: Principal, contract_id: str, new: Callable[[], NewMember]) -> Member:
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
            wanted = new()
            await _require_roles(scope, "contracts", wanted.roles)
            user = await Users(scope.unit).find(wanted.user_id)
            if user is None:
                raise RelatedNotFound("the tenant has no such user", pointer="/data/id")
            members = ContractMembers(scope.unit)
            if OWNER not in wanted.roles and not await members.list(contract_id):
                raise StateConflict("the first member of a contract must be an owner", pointer="/data/attributes/roles")
            try:
                await members.add(contract_id, user.id, wanted.roles)
            except AlreadyExists:
                raise AlreadyExists(_ALREADY, pointer="/data/id") from None
            scope.touched("contract-member", user.id)
            return Member(user, wanted.roles)

    async def join_workspace(self, who: Principal, workspace_id: str, new: Callable[[], NewMember]) -> Member:
        """Make a member of the contract a member of a workspace (section 10).

        Raises:
            RelatedNotFound: the contract has no such member.
            ValidationFailed: a role is not available.
            AlreadyExists: the user is a member.
        """
        async with self._access.workspace(who, workspace_id, "workspace-member.add") as scope:
            scope.require("workspaces.workspace.edit", "tenants.workspace.edit_membership")
            wanted = new()
            await _require_roles(scope, "workspaces", wanted.roles)
            contract_id = scope.place.contract_id or ""
            user = await Users(scope.unit).find(wanted.user_id)
            if user is None or await ContractMembers(scope.unit).roles(contract_id, user.id) is None:
                raise RelatedNotFound("the contract has no such member", pointer="/data/id")
            try:
                await WorkspaceMembers(scope.unit).add(workspace_id, user.id, wanted.roles)
            except AlreadyExists:
                raise AlreadyExists(_ALREADY, pointer="/data/id") from None
            scope.touched("member", user.id)
            return Member(user, wanted.roles)


async def _require_roles(scope: Scope, level: str, roles: Sequence[str]) -> None:
    contract = await Contracts(scope.unit).find(scope.place.contract_id or "")
    if contract is None:
        raise NotFound
    policy = await RolePolicy(scope.unit).list()
    known = {role.role for role in policy if role.scope == level and is_available(contract, level, role.role)}
    pointer = "/data/attributes/roles"
    wrong = [
        Problem("there is no such role here", f"{pointer}/{i}") for i, role in enumerate(roles) if role not in known
    ]
    if wrong:
        raise ValidationFailed(*wrong)
