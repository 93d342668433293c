"""What blocks a deletion, and how much of it a caller may learn (contract 0.15, section 22)."""

from collections.abc import Sequence

from keyrack.errors import InUse
from keyrack.model import Reference
from keyrack.service.access import Scope
from keyrack.store.usage import Usages


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
