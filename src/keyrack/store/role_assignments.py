"""Reads the roles a user holds, wherever that is, and the permissions of a tenant's roles."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Text, bindparam, cast, null, select, union_all

from keyrack.store import schema as t
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.store.directory import Location
from keyrack.store.standings import permissions_of


@dataclass(frozen=True, slots=True)
class HeldRoles:
    """Names of the roles a user holds at one place."""

    place: Location
    roles: tuple[str, ...]


_U, _C, _M, _W = t.users.c, t.contract_members.c, t.workspace_members.c, t.workspaces.c
_NO_ID = cast(null(), _C.contract_id.type)
_MINE, _USER = bindparam("tenant_id", type_=_U.tenant_id.type), bindparam("user_id", type_=_U.id.type)
_EVERYWHERE = Query(
    union_all(
        select(
            _NO_ID.label("contract_id"), _NO_ID.label("workspace_id"), cast(_U.tenant_roles, Text).label("roles")
        ).where(_U.id == _USER, _U.tenant_id == _MINE),
        select(_C.contract_id, _NO_ID, cast(_C.roles, Text)).where(_C.user_id == _USER, _C.tenant_id == _MINE),
        select(_W.contract_id, _W.id, cast(_M.roles, Text))
        .join_from(t.workspace_members, t.workspaces, _M.workspace_id == _W.id)
        .where(_M.user_id == _USER, _M.tenant_id == _MINE),
    ),
    scans=True,
)
_POLICY = TenantQuery(
    t.roles, select(t.roles.c.scope, t.roles.c.role, cast(t.roles.c.permissions, Text).label("permissions"))
)
_CONTRACTS = TenantQuery(t.contract_members, select(_C.contract_id).where(_C.user_id == _USER))


class RoleAssignments(TenantTable):
    """Reads a user's roles and the tenant's role policy."""

    table = t.roles

    async def everywhere(self, user_id: str) -> Sequence[HeldRoles]:
        """Return the roles a user holds, place by place: in the tenant, its contracts and workspaces."""
        rows = await _EVERYWHERE.rows(self.unit.connection, tenant_id=self.unit.tenant_id, user_id=user_id)
        return [
            HeldRoles(Location(self.unit.tenant_id, row.contract_id, row.workspace_id), tuple(json.loads(row.roles)))
            for row in rows
        ]

    async def policy(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """Return the permissions of every (scope, role) of the tenant."""
        rows = await self.ask(_POLICY)
        return {(row.scope, row.role): permissions_of(row.permissions) for row in rows}

    async def contracts_of(self, user_id: str) -> frozenset[str]:
        """Return the ids of the contracts a user is a member of."""
        return frozenset(row.contract_id for row in await self.ask(_CONTRACTS, user_id=user_id))
