"""Finds what blocks a deletion, and how much of it a caller may learn (contract 0.1, 0.15, section 22)."""

from collections.abc import Sequence

from keyrack.errors import InUse
from keyrack.model.flows import Reference
from keyrack.service.authz.access import Scope
from keyrack.store.directory import Directory
from keyrack.store.usage import Usages


async def require_component_unused(scope: Scope, component_id: str, revision: str | None, what: str) -> None:
    """Insist that no flow of any tenant names a component, or one revision of it (section 22).

    Raises:
        InUse: a flow names it in graph, draft or versions.
    """
    counts = await Directory(scope.unit.across_tenants()).flows_using(component_id, revision)
    if counts:
        own = await Usages(scope.unit).flows_of(component_id, revision)
        raise in_use(what, sum(counts.values()), await nameable(scope, own))


async def require_contract_unused(scope: Scope, contract_id: str) -> None:
    """Insist that no flow of another contract, of whichever tenant, names a component of a contract (section 9, 22).

    Raises:
        InUse: one names it in graph, draft or versions.
    """
    counts = await Directory(scope.unit.across_tenants()).flows_using_contract(contract_id)
    if counts:
        own = await Usages(scope.unit).flows_of_contract(contract_id)
        raise in_use("a component of the contract", sum(counts.values()), await nameable(scope, own))


async def require_client_unused(scope: Scope, component_id: str) -> None:
    """Insist that no flow of the tenant names an OAuth client's component now; old versions do not count (0.1).

    Raises:
        InUse: a flow names it in its current graph or draft.
    """
    flows = await Usages(scope.unit).flows_of(component_id)
    blocking = [flow for flow in flows if flow.is_current]
    if blocking:
        raise in_use("the OAuth client", len(blocking), await nameable(scope, blocking))


async def nameable(scope: Scope, flows: Sequence[Reference]) -> Sequence[Reference]:
    """Keep the flows whose id and name the caller may learn (contract 0.15).

    A tenant admin may know all of the tenant, others those of their own workspaces.
    """
    if scope.is_tenant_admin or scope.who.tenant_id is None:
        return flows
    mine = await Usages(scope.unit).workspaces_of(scope.who.id)
    return [flow for flow in flows if flow.workspace_id in mine]


def in_use(what: str, total: int, known: Sequence[Reference]) -> InUse:
    """Say which flows block; those the caller may not know are a number (contract 0.15)."""
    named = ", ".join(f"{flow.flow_name!r} ({flow.flow_id})" for flow in known)
    others = total - len(known)
    parts = [part for part in (named, f"{others} more" if others else "") if part]
    return InUse(
        f"{what} is in use by flows: {' and '.join(parts)}",
        meta={"flow_ids": [flow.flow_id for flow in known], "flows": total},
    )
