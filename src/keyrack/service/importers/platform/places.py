"""Imports contracts, workspaces and teams, with their members."""

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET
from sqlalchemy import Row, Table

from keyrack.model.tenancy import Contract, Team, Workspace, WorkspaceType
from keyrack.service.importers.platform.kinds import Piece, same_place
from keyrack.service.importers.platform.known import Known
from keyrack.service.importers.platform.named import check_member, check_user, contract_of, in_contract, tenant_of
from keyrack.service.importers.platform.place_records import ContractRecord, MemberRecords, TeamRecord, WorkspaceRecord
from keyrack.service.tenancy.available_roles import is_available, with_owners
from keyrack.store.core.bulk import Complete, RowToWrite
from keyrack.store.schema import contract_members, contracts, team_members, teams, workspace_members, workspaces

_CONTRACT_OWN = ("name", "available_roles", "status", "custom_data")
_WORKSPACE_OWN = ("name", "type")


@dataclass(frozen=True, slots=True)
class ContractKind:
    """Contracts with their members."""

    table: Table = contracts

    async def check(self, known: Known, record: ContractRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a contract."""
        tenant_id = await tenant_of(known, record.relationships.tenant, at)
        seen = None if tenant_id is None else await known.tenant(tenant_id)
        if tenant_id is None or seen is None:
            known.broken["contracts"].add(record.id)
            return
        same_place(known, at, stored, {"tenant_id": (tenant_id, "/id")})
        contract = _contract(record, tenant_id)
        for index, (scope, role) in enumerate(contract.available_roles):
            if not seen.has(scope, role):
                known.report.problem("the tenant has no such role", f"{at}/attributes/available_roles/{index}")
        known.told["contracts", record.id] = contract
        if record.meta.members is not UNSET:
            known.told["contract_members", record.id] = frozenset(member.id for member in record.meta.members)
        await _check_members(known, record.meta, contract, "contracts", at)

    async def piece(self, known: Known, record: ContractRecord) -> Piece:
        """Return a contract's rows."""
        contract = await known.contract(record.id)
        tenant_id = contract.tenant_id if contract else ""
        about: Contract = _contract(record, tenant_id)
        values = {
            "name": about.name,
            "status": about.status,
            "available_roles": [list(pair) for pair in about.available_roles],
            "attributes": about.attributes,
            "custom_data": about.custom_data,
        }
        main = RowToWrite(contracts, tenant_id, {"id": record.id}, values)
        return Piece(main, *_members(contract_members, "contract_id", record.id, tenant_id, record.meta))


def _contract(record: ContractRecord, tenant_id: str) -> Contract:
    about = record.attributes
    pairs = with_owners(tuple((pair["scope"], pair["role"]) for pair in about.get("available_roles", ())))
    others = {name: value for name, value in about.items() if name not in _CONTRACT_OWN}
    status = about.get("status", "active")
    return Contract(record.id, tenant_id, about["name"], status, pairs, others, about.get("custom_data"))


@dataclass(frozen=True, slots=True)
class WorkspaceKind:
    """Workspaces with their members."""

    table: Table = workspaces

    async def check(self, known: Known, record: WorkspaceRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a workspace."""
        contract = await contract_of(known, record.relationships.contract.data.id, at)
        if contract is None:
            known.broken["workspaces"].add(record.id)
            return
        same_place(known, at, stored, in_contract(contract))
        known.told["workspaces", record.id] = _workspace(record, contract.tenant_id)
        await _check_members(known, record.meta, contract, "workspaces", at)

    async def piece(self, known: Known, record: WorkspaceRecord) -> Piece:
        """Return a workspace's rows."""
        seen = await known.workspace(record.id)
        tenant_id = seen.tenant_id if seen else ""
        about = _workspace(record, tenant_id)
        values = {"name": about.name, "type": about.type.value, "attributes": about.attributes}
        main = RowToWrite(workspaces, tenant_id, {"id": record.id}, values, {"contract_id": about.contract_id})
        return Piece(main, *_members(workspace_members, "workspace_id", record.id, tenant_id, record.meta))


def _workspace(record: WorkspaceRecord, tenant_id: str) -> Workspace:
    about = record.attributes
    kind = WorkspaceType(about.get("type", "full"))
    others = {name: value for name, value in about.items() if name not in _WORKSPACE_OWN}
    return Workspace(record.id, tenant_id, record.relationships.contract.data.id, about["name"], kind, others)


@dataclass(frozen=True, slots=True)
class TeamKind:
    """Teams with their members."""

    table: Table = teams

    async def check(self, known: Known, record: TeamRecord, at: str, stored: "Row[Any] | None") -> None:
        """Report what is wrong with a team."""
        contract = await contract_of(known, record.relationships.contract.data.id, at)
        if contract is None:
            known.broken["teams"].add(record.id)
            return
        same_place(known, at, stored, in_contract(contract))
        name, pointer = record.attributes.name, f"{at}/attributes/name"
        if known.unique(pointer, "another team of the file has this name", "team", name):
            for row in await known.bulk.rows(teams.c.name, [name]):
                if row.id != record.id:
                    known.report.problem("a stored team has this name", pointer)
        known.told["teams", record.id] = Team(record.id, contract.tenant_id, contract.id, name, (), ())
        known.told["team_names", name] = record.id
        users = [] if record.relationships.users is UNSET else record.relationships.users.ids
        for index, user_id in enumerate(users):
            await check_member(known, user_id, contract, f"{at}/relationships/users/data/{index}/id")

    async def piece(self, known: Known, record: TeamRecord) -> Piece:
        """Return a team's rows."""
        seen = await known.team(record.id)
        tenant_id = seen.tenant_id if seen else ""
        first = {"contract_id": record.relationships.contract.data.id}
        main = RowToWrite(teams, tenant_id, {"id": record.id}, {"name": record.attributes.name}, first)
        if record.relationships.users is UNSET:
            return Piece(main)
        ids = list(dict.fromkeys(record.relationships.users.ids))
        others = [RowToWrite(team_members, tenant_id, {"team_id": record.id, "user_id": user_id}) for user_id in ids]
        return Piece(main, others, [Complete(team_members, {"team_id": record.id}, "user_id", frozenset(ids))])


async def _check_members(known: Known, meta: MemberRecords, contract: Contract, scope: str, at: str) -> None:
    seen = await known.tenant(contract.tenant_id)
    for index, member in enumerate([] if meta.members is UNSET else meta.members):
        pointer = f"{at}/meta/members/{index}"
        known.unique(f"{pointer}/id", "is a member already", "member", at, member.id)
        if scope == "contracts":
            await check_user(known, member.id, contract.tenant_id, f"{pointer}/id")
        else:
            await check_member(known, member.id, contract, f"{pointer}/id")
        for place, role in enumerate(member.attributes.roles):
            if seen is not None and not (seen.has(scope, role) and is_available(contract, scope, role)):
                known.report.problem("there is no such role here", f"{pointer}/attributes/roles/{place}")


def _members(
    table: Table, column: str, parent: str, tenant_id: str, meta: MemberRecords
) -> tuple[list[RowToWrite], list[Complete]]:
    if meta.members is UNSET:
        return [], []
    rows = [
        RowToWrite(table, tenant_id, {column: parent, "user_id": member.id}, {"roles": list(member.attributes.roles)})
        for member in meta.members
    ]
    keep = frozenset(member.id for member in meta.members)
    return rows, [Complete(table, {column: parent}, "user_id", keep)]
