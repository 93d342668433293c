"""Looks up what records name: tenant, contract, workspace, users; reports what is not there."""

from typing import Any

from keyrack.model.tenancy import Contract, Workspace
from keyrack.service.importers.platform.kinds import Expected
from keyrack.service.importers.platform.known import Known
from keyrack.service.importers.platform.links import Link

_CONTRACT = "/relationships/contract/data/id"
_WORKSPACE = "/relationships/workspace/data/id"


async def tenant_of(known: Known, link: Any, at: str) -> str | None:
    """Return the tenant a record names, or the only one of the file; report what is wrong with it."""
    if not isinstance(link, Link):
        if known.only_tenant is None:
            known.report.problem("tenant is required unless the file has exactly one", f"{at}/relationships/tenant")
        return known.only_tenant
    if await known.tenant(link.data.id) is None:
        known.unknown("tenants", link.data.id, "there is no such tenant", f"{at}/relationships/tenant/data/id")
        return None
    return link.data.id


async def contract_of(known: Known, contract_id: str, at: str) -> Contract | None:
    """Return the contract a record names; report it if there is none."""
    contract = await known.contract(contract_id)
    if contract is None:
        known.unknown("contracts", contract_id, "there is no such contract", f"{at}{_CONTRACT}")
    return contract


async def workspace_of(known: Known, workspace_id: str, at: str) -> Workspace | None:
    """Return the workspace a record names; report it if there is none."""
    workspace = await known.workspace(workspace_id)
    if workspace is None:
        known.unknown("workspaces", workspace_id, "there is no such workspace", f"{at}{_WORKSPACE}")
    return workspace


def in_contract(contract: Contract) -> Expected:
    """Return where a record in a contract must be stored, if it is."""
    return {"tenant_id": (contract.tenant_id, "/id"), "contract_id": (contract.id, _CONTRACT)}


def in_workspace(workspace: Workspace) -> Expected:
    """Return where a record in a workspace must be stored, if it is."""
    return {"tenant_id": (workspace.tenant_id, "/id"), "workspace_id": (workspace.id, _WORKSPACE)}


async def check_member(known: Known, user_id: str, contract: Contract, pointer: str) -> None:
    """Insist on a member of a contract (contract sections 10 and 12)."""
    if await check_user(known, user_id, contract.tenant_id, pointer) and not await known.is_member(contract, user_id):
        known.report.problem("the user is no member of the contract", pointer)


async def check_owner(known: Known, user_id: str, tenant_id: str, at: str) -> None:
    """Insist that what belongs to a user belongs to one of the tenant."""
    await check_user(known, user_id, tenant_id, f"{at}/relationships/user/data/id")


async def check_user(known: Known, user_id: str, tenant_id: str, pointer: str) -> bool:
    """Insist on a user of a tenant; tell whether it is one."""
    home = await known.user_tenant(user_id)
    if home != tenant_id:
        known.unknown("users", user_id, "the tenant has no such user", pointer)
    return home == tenant_id
