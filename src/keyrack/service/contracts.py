"""Contracts (contract section 9): create and read; their roles (6.4)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keyrack.errors import NotFound, Problem, ValidationFailed
from keyrack.model import Contract, Member, Principal, Role
from keyrack.service.access import Access, Scope, home
from keyrack.service.given_id import refuse_taken
from keyrack.service.permissions import OWNER
from keyrack.service.task_users import READ_CONTRACT
from keyrack.store.contracts import ContractMembers
from keyrack.store.contracts import Contracts as Rows
from keyrack.store.directory import Directory
from keyrack.store.tenants import RolePolicy

_EVERYWHERE = ("global.contract.contract.list_all", "contracts.contract.listAll")


@dataclass(frozen=True, slots=True)
class NewContract:
    """What a caller sends to create a contract."""

    name: str
    available_roles: tuple[tuple[str, str], ...]
    custom_data: Any
    given_id: str | None = None


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract with the ids of its members, and whether the caller may see its custom data.

    `members` are there when they were asked for.
    """

    contract: Contract
    member_ids: Sequence[str]
    shows_custom_data: bool
    members: Sequence[Member] | None = None


class Contracts:
    """Use cases of contract section 9."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create(self, who: Principal, new: Callable[[], NewContract]) -> ContractView:
        """Create a contract in the caller's tenant; it has no members yet (contract 0.11).

        Raises:
            Forbidden: the caller has no tenant, or holds no `tenants.contract.create` there.
            ValidationFailed: the body is wrong, or an available role does not exist.
            IdConflict: the body has the id of another contract.
        """
        async with self._access.tenant(who, home(who), "contract.create") as scope:
            scope.require("tenants.contract.create")
            wanted = new()
            known = {(role.scope, role.role) for role in await RolePolicy(scope.unit).list()}
            base = "/data/attributes/available_roles"
            wrong = [
                Problem("the tenant has no such role", f"{base}/{index}")
                for index, pair in enumerate(wanted.available_roles)
                if pair not in known
            ]
            if wrong:
                raise ValidationFailed(*wrong)
            await refuse_taken(scope, "contract", wanted.given_id)
            rows = Rows(scope.unit)
            contract_id = await rows.add(wanted.name, wanted.available_roles, {}, wanted.custom_data)
            scope.touched("contract", contract_id)
            return ContractView(await _there(scope, contract_id), [], shows_custom_data=True)

    async def list(self, who: Principal, *, limit: int | None, offset: int) -> tuple[Sequence[ContractView], int]:
        """List the caller's contracts; a tenant admin sees all of the tenant, a service account all there are.

        Raises:
            Forbidden: the service account may not read the contracts of all tenants.
        """
        if who.tenant_id is None:
            async with self._access.installation(who) as scope:
                scope.require(*_EVERYWHERE)
                places, total = await Directory(scope.unit).contracts(limit=limit, offset=offset)
            return [await self.get(who, place.contract_id or "") for place in places], total
        async with self._access.tenant(who, who.tenant_id) as scope:
            everything = scope.is_tenant_admin or scope.allows("contracts.contract.listAll")
            member = None if everything else who.id
            found, total = await Rows(scope.unit).page(member=member, limit=limit, offset=offset)
            members = await ContractMembers(scope.unit).ids([contract.id for contract in found])
            shown = scope.allows("contracts.contract.get_custom_data")
            return [ContractView(each, members.get(each.id, []), shown) for each in found], total

    async def get(self, who: Principal, contract_id: str, *, with_members: bool = False) -> ContractView:
        """Return a contract to members and tenant admins; a task user gets that of its workspace, without members."""
        door = None if with_members else READ_CONTRACT
        async with self._access.contract(who, contract_id, door=door) as scope:
            seen = scope.in_contract or scope.is_tenant_admin
            scope.require_that(seen, "only members can see the contract")
            contract = await _there(scope, contract_id)
            members = await ContractMembers(scope.unit).list(contract_id)
            return ContractView(
                contract,
                [member.user.id for member in members],
                scope.allows("contracts.contract.get_custom_data"),
                members if with_members else None,
            )

    async def roles(self, who: Principal, contract_id: str) -> Sequence[Role]:
        """Return the roles that can be given in a contract and its workspaces, to its members (6.4)."""
        async with self._access.contract(who, contract_id) as scope:
            seen = scope.in_contract or scope.is_tenant_admin
            scope.require_that(seen, "only members can see the contract's roles")
            contract = await _there(scope, contract_id)
            policy = await RolePolicy(scope.unit).list()
            return [role for role in policy if is_available(contract, role.scope, role.role)]


def is_available(contract: Contract, scope: str, role: str) -> bool:
    """Tell whether a role of the tenant's policy can be given in a contract; no list of roles means all (section 9)."""
    if scope not in ("contracts", "workspaces"):
        return False
    return not contract.available_roles or role == OWNER or (scope, role) in contract.available_roles


async def _there(scope: Scope, contract_id: str) -> Contract:
    contract = await Rows(scope.unit).find(contract_id)
    if contract is None:
        raise NotFound
    return contract
