"""More contracts and workspaces than a tenant in test begins with."""

from dataclasses import dataclass

from sqlalchemy import update

from keyrack.model.tenancy import WorkspaceType
from keyrack.store.contracts import ContractMembers, ContractRows
from keyrack.store.schema import tenants
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from support.app import Caller, TenantInTest, World


@dataclass(frozen=True)
class Place:
    """A contract with one workspace, and somebody who is in both."""

    contract_id: str
    workspace_id: str
    member: Caller


async def add_contract(world: World, tenant: TenantInTest, name: str, *, workspace_type: str = "full") -> Place:
    """Give a tenant another contract with a workspace and a member."""
    member = await world.add_user(tenant.id, f"{name}@members.example")
    async with world.store.unit(tenant.id, writes=True) as unit:
        contract_id = await ContractRows(unit).add(name, [], {}, None)
        workspace = await WorkspaceRows(unit).add(contract_id, name, WorkspaceType(workspace_type), {})
        await ContractMembers(unit).add(contract_id, member.id, ["admin"])
        await WorkspaceMembers(unit).add(workspace.id, member.id, ["integrator"])
    return Place(contract_id, workspace.id, member)


async def add_workspace(world: World, tenant: TenantInTest, workspace_type: str) -> str:
    """Give a tenant's contract another workspace with the tenant's integrator in it."""
    async with world.store.unit(tenant.id, writes=True) as unit:
        workspace = await WorkspaceRows(unit).add(tenant.contract_id, workspace_type, WorkspaceType(workspace_type), {})
        await WorkspaceMembers(unit).add(workspace.id, tenant.integrator.id, ["integrator"])
    return workspace.id


async def turn_whitelist_on(world: World, tenant: TenantInTest) -> None:
    """Set `feature_flags.contract_component_whitelist`."""
    flags = {"feature_flags": {"contract_component_whitelist": True}}
    async with world.store.unit(tenant.id, writes=True) as unit:
        await unit.connection.execute(update(tenants).where(tenants.c.id == tenant.id).values(attributes=flags))
