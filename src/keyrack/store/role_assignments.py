"""Reads a user's memberships and the roles they carry, in one query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import and_, bindparam, select

from keyrack.store import schema as t
from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.store.directory import Location


@dataclass(frozen=True, slots=True)
class AssignedRoles:
    """Names of the roles a user holds, level by level; None where the user is no member."""

    tenant: tuple[str, ...]
    contract: tuple[str, ...] | None
    workspace: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class HeldRoles:
    """Names of the roles a user holds at one place."""

    place: Location
    roles: tuple[str, ...]


def _roles_of() -> TenantQuery:
    u, c, w = t.users.c, t.contract_members.c, t.workspace_members.c
    in_contract = and_(c.user_id == u.id, c.contract_id == bindparam("contract_id"))
    in_workspace = and_(w.user_id == u.id, w.workspace_id == bindparam("workspace_id"))
    query = (
        select(u.tenant_roles, c.roles.label("contract_roles"), w.roles.label("workspace_roles"))
        .select_from(t.users)
        .outerjoin(t.contract_members, in_contract)
        .outerjoin(t.workspace_members, in_workspace)
    )
    return TenantQuery(t.users, query.where(u.id == bindparam("id")))


_ROLES_OF = _roles_of()
_POLICY = TenantQuery(t.roles, select(t.roles.c.scope, t.roles.c.role, t.roles.c.permissions))


class RoleAssignments(TenantTable):
    """Reads a user's roles and the tenant's role policy."""

    table = t.roles

    async def roles_of(self, user_id: str, place: Location) -> AssignedRoles | None:
        """Return the roles a user holds at a place and above; None if the user is not of this tenant."""
        row = await self.ask_one(
            _ROLES_OF, id=user_id, contract_id=place.contract_id or "", workspace_id=place.workspace_id or ""
        )
        if row is None:
            return None
        held = [None if names is None else tuple(names) for names in (row.contract_roles, row.workspace_roles)]
        return AssignedRoles(tuple(row.tenant_roles), *held)

    async def everywhere(self, user_id: str) -> Sequence[HeldRoles]:
        """Return the roles a user holds, place by place: in the tenant, its contracts and workspaces."""
        u, c, m, w = t.users.c, t.contract_members.c, t.workspace_members.c, t.workspaces.c
        mine = self.unit.tenant_id
        of_tenant = select(u.tenant_roles.label("roles")).where(u.id == user_id, u.tenant_id == mine)
        of_contracts = select(c.contract_id, c.roles).where(c.user_id == user_id, c.tenant_id == mine)
        of_workspaces = (
            select(w.contract_id, w.id, m.roles)
            .join_from(t.workspace_members, t.workspaces, m.workspace_id == w.id)
            .where(m.user_id == user_id, m.tenant_id == mine)
        )
        return [
            *(HeldRoles(Location(mine), tuple(row.roles)) for row in await self.all(of_tenant)),
            *(HeldRoles(Location(mine, row.contract_id), tuple(row.roles)) for row in await self.all(of_contracts)),
            *(
                HeldRoles(Location(mine, row.contract_id, row.id), tuple(row.roles))
                for row in await self.all(of_workspaces)
            ),
        ]

    async def policy(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Return the permissions of every (scope, role) of the tenant."""
        rows = await self.ask(_POLICY)
        return {(row.scope, row.role): frozenset(row.permissions) for row in rows}

    async def contracts_of(self, user_id: str) -> frozenset[str]:
        """Return the ids of the contracts a user is a member of."""
        c = t.contract_members.c
        rows = await self.all(select(c.contract_id).where(c.user_id == user_id, c.tenant_id == self.unit.tenant_id))
        return frozenset(row.contract_id for row in rows)
