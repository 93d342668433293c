"""Finds where roles of a tenant's policy are in use, which forbids removing them (contract section 6.4)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import String, cast, select

from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.store.schema import contract_invites, contract_members, contracts, users, workspace_members

_NONE = "[]"

_m, _w, _u, _i = contract_members.c, workspace_members.c, users.c, contract_invites.c
_AVAILABLE = TenantQuery(contracts, select(contracts.c.id, contracts.c.available_roles), scans=True)
_HELD: Sequence[tuple[str, str, TenantQuery]] = (
    (
        "contracts",
        "contract",
        TenantQuery(contract_members, select(_m.contract_id.label("place"), _m.roles).distinct(), scans=True),
    ),
    (
        "workspaces",
        "workspace",
        TenantQuery(workspace_members, select(_w.workspace_id.label("place"), _w.roles).distinct(), scans=True),
    ),
    (
        "contracts",
        "contract",
        TenantQuery(contract_invites, select(_i.contract_id.label("place"), _i.roles).distinct(), scans=True),
    ),
    (
        "workspaces",
        "workspace",
        TenantQuery(
            contract_invites,
            select(_i.workspace_id.label("place"), _i.workspace_roles.label("roles"))
            .where(_i.workspace_id.is_not(None))
            .distinct(),
            scans=True,
        ),
    ),
    (
        "tenants",
        "user",
        TenantQuery(
            users,
            select(_u.id.label("place"), _u.tenant_roles.label("roles")).where(cast(_u.tenant_roles, String) != _NONE),
            scans=True,
        ),
    ),
)
"""Scope of the roles, kind of the place, and what asks who holds them."""


@dataclass(frozen=True, slots=True)
class RoleUse:
    """One place where a role is assigned, or may be.

    Attributes:
        scope, role: the role.
        kind: `contract`, `workspace` or `user`.
        id: of the contract or workspace whose members hold it, or somebody is invited with it to, or that may give it,
            or of the user who holds it in the tenant itself.
    """

    scope: str
    role: str
    kind: str
    id: str


class RoleUses(TenantTable):
    """Looks through all that can hold a role of the unit's tenant."""

    table = contracts

    async def list(self) -> Sequence[RoleUse]:
        """List all uses, each once."""
        found: dict[RoleUse, None] = {}
        for row in await self.ask(_AVAILABLE):
            found |= {RoleUse(scope, role, "contract", row.id): None for scope, role in row.available_roles}
        for scope, kind, query in _HELD:
            for row in await self.ask(query):
                found |= {RoleUse(scope, role, kind, row.place): None for role in row.roles}
        return list(found)
