"""Contracts, workspaces and teams (contract sections 9, 10 and 12): create and read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from keyrack.errors import AlreadyExists, NotFound, Problem, RelatedNotFound, ValidationFailed
from keyrack.ids import new_id
from keyrack.model import Contract, Principal, Team, Workspace, WorkspaceType
from keyrack.service.access import Access
from keyrack.service.permissions import OWNER
from keyrack.store.contracts import ContractMembers, Contracts
from keyrack.store.standing import Standing
from keyrack.store.teams import Teams
from keyrack.store.tenants import RolePolicy, Tenants
from keyrack.store.workspaces import WorkspaceMembers, Workspaces

_LIST_ALL = "contracts.workspace.listAll"


@dataclass(frozen=True, slots=True)
class NewContract:
    """What a caller sends to create a contract."""

    name: str
    available_roles: tuple[tuple[str, str], ...]
    custom_data: Any


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract with the ids of its members, and whether the caller may see its custom data."""

    contract: Contract
    member_ids: Sequence[str]
    shows_custom_data: bool


@dataclass(frozen=True, slots=True)
class WorkspaceView:
    """A workspace with the ids of its members."""

    workspace: Workspace
    member_ids: Sequence[str]


class Estates:
    """What a tenant is divided into."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def create_contract(self, who: Principal, new: Callable[[], NewContract]) -> ContractView:
        """Create a contract in the caller's tenant; it has no members yet (contract 0.11).

        Raises:
            Forbidden: the caller holds no `tenants.contract.create` in a tenant.
            ValidationFailed: the body is wrong, or an available role does not exist.
        """
        async with self._access.tenant(who, _home(who), "contract.create") as scope:
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
            contracts = Contracts(scope.unit)
            contract_id = await contracts.add(wanted.name, wanted.available_roles, {}, wanted.custom_data)
            scope.touched("contract", contract_id)
            contract = await contracts.find(contract_id)
            if contract is None:
                raise NotFound
            return ContractView(contract, [], shows_custom_data=True)

    async def contracts(self, who: Principal, *, limit: int | None, offset: int) -> tuple[Sequence[ContractView], int]:
        """List the caller's contracts; a tenant admin sees all of the tenant."""
        async with self._access.tenant(who, _home(who)) as scope:
            everything = scope.is_tenant_admin or scope.allows("contracts.contract.listAll")
            member = None if everything else who.id
            found, total = await Contracts(scope.unit).page(member=member, limit=limit, offset=offset)
            members = await ContractMembers(scope.unit).ids([contract.id for contract in found])
            shown = scope.allows("contracts.contract.get_custom_data")
            return [ContractView(each, members.get(each.id, []), shown) for each in found], total

    async def contract(self, who: Principal, contract_id: str) -> ContractView:
        """Return a contract to members and tenant admins."""
        async with self._access.contract(who, contract_id) as scope:
            scope.require_that(scope.in_contract or scope.is_tenant_admin, "only members can see the contract")
            contract = await Contracts(scope.unit).find(contract_id)
            if contract is None:
                raise NotFound
            members = await ContractMembers(scope.unit).ids([contract_id])
            shown = scope.allows("contracts.contract.get_custom_data")
            return ContractView(contract, members.get(contract_id, []), shown)

    async def create_workspace(
        self, who: Principal, contract_id: Callable[[], str], name: Callable[[], str]
    ) -> WorkspaceView:
        """Create a workspace in a contract; its creator becomes its owner.

        Raises:
            RelatedNotFound: there is no such contract.
            Forbidden: the caller may not create workspaces there.
        """
        try:
            async with self._access.contract(who, contract_id(), "workspace.create") as scope:
                scope.require("contracts.workspace.create")
                scope.require_that(who.tenant_id is not None, "a service account cannot own a workspace")
                wanted = name()
                tenant = await Tenants(scope.unit).find(scope.unit.tenant_id)
                kind = WorkspaceType((tenant.attributes if tenant else {}).get("default_workspace_type", "full"))
                contract = scope.place.contract_id or ""
                workspace = await Workspaces(scope.unit).add(contract, wanted, kind, {})
                await WorkspaceMembers(scope.unit).add(workspace.id, who.id, [OWNER])
                scope.touched("workspace", workspace.id)
                return WorkspaceView(workspace, [who.id])
        except NotFound:
            pointer = "/data/relationships/contract/data/id"
            raise RelatedNotFound("there is no such contract", pointer=pointer) from None

    async def workspaces(
        self, who: Principal, contract_id: str | None, *, limit: int | None, offset: int
    ) -> tuple[Sequence[WorkspaceView], int]:
        """List the caller's workspaces; with `contracts.workspace.listAll` all of that contract."""
        if contract_id is not None:
            entered = self._access.contract(who, contract_id)
        else:
            entered = self._access.tenant(who, _home(who))
        async with entered as scope:
            member = None if who.tenant_id is None else who.id
            sees_all = scope.is_tenant_admin or scope.allows(_LIST_ALL)
            whole = [contract_id] if contract_id is not None and sees_all else []
            if contract_id is not None:
                known = scope.in_contract or scope.is_tenant_admin
                scope.require_that(known, "only members of the contract can list its workspaces")
            else:
                whole = await self._whole_contracts(who) if who.tenant_id is not None else []
            found, total = await Workspaces(scope.unit).page(
                contract_id=contract_id, member=member, whole_contracts=whole, limit=limit, offset=offset
            )
            members = await WorkspaceMembers(scope.unit).ids([workspace.id for workspace in found])
            return [WorkspaceView(each, members.get(each.id, [])) for each in found], total

    async def workspace(self, who: Principal, workspace_id: str) -> WorkspaceView:
        """Return a workspace to members, holders of `contracts.workspace.listAll` and tenant admins."""
        async with self._access.workspace(who, workspace_id) as scope:
            allowed = scope.in_workspace or scope.is_tenant_admin or scope.allows(_LIST_ALL)
            scope.require_that(allowed, "only members can see the workspace")
            workspace = await Workspaces(scope.unit).find(workspace_id)
            if workspace is None:
                raise NotFound
            members = await WorkspaceMembers(scope.unit).ids([workspace_id])
            return WorkspaceView(workspace, members.get(workspace_id, []))

    async def create_team(self, who: Principal, contract_id: Callable[[], str], name: Callable[[], str | None]) -> Team:
        """Create a team in a contract; its creator becomes a member (section 12).

        Raises:
            RelatedNotFound: there is no such contract.
            AlreadyExists: the installation has a team of that name.
        """
        try:
            async with self._access.contract(who, contract_id(), "team.create") as scope:
                scope.require("contracts.devTeam.edit")
                teams = Teams(scope.unit)
                wanted = name() or f"team-{new_id()[-8:]}"
                try:
                    team_id = await teams.add(scope.place.contract_id or "", wanted)
                except AlreadyExists:
                    pointer = "/data/attributes/name"
                    raise AlreadyExists("there is a team of this name", pointer=pointer) from None
                if scope.in_contract and who.tenant_id is not None:
                    await teams.add_member(team_id, who.id)
                scope.touched("team", team_id)
                return _there(await teams.find(team_id))
        except NotFound:
            pointer = "/data/relationships/contract/data/id"
            raise RelatedNotFound("there is no such contract", pointer=pointer) from None

    async def teams(self, who: Principal, contract_id: str) -> Sequence[Team]:
        """List a contract's teams."""
        async with self._access.contract(who, contract_id) as scope:
            known = scope.in_contract or scope.allows("contracts.devTeams.get")
            scope.require_that(known, "only members of the contract can see its teams")
            return await Teams(scope.unit).list(contract_id)

    async def team(self, who: Principal, team_id: str) -> Team:
        """Return a team.

        Raises:
            NotFound: there is none the caller can see.
        """
        place = await self._access.locate("team", team_id)
        if who.tenant_id is not None and who.tenant_id != place.tenant_id:
            raise NotFound
        async with self._access.at(who, place) as scope:
            if not (scope.in_contract or scope.allows("contracts.devTeams.get")):
                raise NotFound
            return _there(await Teams(scope.unit).find(team_id))

    async def join_team(self, who: Principal, team_id: str, user_id: Callable[[], str]) -> Team:
        """Make a member of the contract a member of a team (section 12).

        Raises:
            RelatedNotFound: the contract has no such member.
        """
        await self.team(who, team_id)
        place = await self._access.locate("team", team_id)
        async with self._access.at(who, place, "team-member.add") as scope:
            scope.require("contracts.devTeam.edit")
            wanted = user_id()
            if await ContractMembers(scope.unit).roles(place.contract_id or "", wanted) is None:
                raise RelatedNotFound("the contract has no such member", pointer="/data/id")
            teams = Teams(scope.unit)
            if not await teams.is_member(team_id, wanted):
                await teams.add_member(team_id, wanted)
            scope.touched("team", team_id)
            return _there(await teams.find(team_id))

    async def _whole_contracts(self, who: Principal) -> list[str]:
        """Return the contracts of a user in which `contracts.workspace.listAll` holds."""
        async with self._access.tenant(who, _home(who)) as scope:
            ids = await Standing(scope.unit).contracts_of(who.id)
        whole = []
        for contract_id in ids:
            async with self._access.contract(who, contract_id) as scope:
                if scope.allows(_LIST_ALL):
                    whole.append(contract_id)
        return whole


def _home(who: Principal) -> str:
    if who.tenant_id is None:
        raise ValidationFailed(Problem("a service account has no tenant of its own; address a contract or workspace"))
    return who.tenant_id


def _there(team: Team | None) -> Team:
    if team is None:
        raise NotFound
    return team
