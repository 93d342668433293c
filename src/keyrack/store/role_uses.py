"""Finds where roles of a tenant's policy are in use, which forbids removing them (contract section 6.4)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, String, cast, select

from keyrack.store.core.unit import TenantTable
from keyrack.store.schema import contract_invites, contract_members, contracts, users, workspace_members

_NONE = "[]"


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
        c, m, w, u, i = contracts.c, contract_members.c, workspace_members.c, users.c, contract_invites.c
        mine = self.unit.tenant_id
        found: dict[RoleUse, None] = {}
        for row in await self.all(self.select(c.id, c.available_roles)):
            found |= {RoleUse(scope, role, "contract", row.id): None for scope, role in row.available_roles}
        held: tuple[tuple[str, str, Select[Any]], ...] = (
            (
                "contracts",
                "contract",
                select(m.contract_id.label("place"), m.roles).where(m.tenant_id == mine).distinct(),
            ),
            (
                "workspaces",
                "workspace",
                select(w.workspace_id.label("place"), w.roles).where(w.tenant_id == mine).distinct(),
            ),
            (
                "contracts",
                "contract",
                select(i.contract_id.label("place"), i.roles).where(i.tenant_id == mine).distinct(),
            ),
            (
                "workspaces",
                "workspace",
                select(i.workspace_id.label("place"), i.workspace_roles.label("roles"))
                .where(i.tenant_id == mine, i.workspace_id.is_not(None))
                .distinct(),
            ),
            (
                "tenants",
                "user",
                select(u.id.label("place"), u.tenant_roles.label("roles")).where(
                    u.tenant_id == mine, cast(u.tenant_roles, String) != _NONE
                ),
            ),
        )
        for scope, kind, query in held:
            for row in await self.all(query):
                found |= {RoleUse(scope, role, kind, row.place): None for role in row.roles}
        return list(found)
