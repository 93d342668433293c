"""Reads what a user holds at a place, its roles and their permissions, in one statement; with the place if need be.

Finding a place looks across tenants, as `keyrack.store.directory` does; what comes back with it is the place's ids and
the caller's own roles, and only if the caller is a user of the place's tenant.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Text, and_, bindparam, cast, func, null, select

from keyrack.store import schema as t
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantQuery, TenantTable, Unit
from keyrack.store.directory import Location

_REMEMBERED = 4096
"""Different lists of permissions that are kept as they were parsed; a tenant's roles are a few."""


@dataclass(frozen=True, slots=True)
class AssignedRoles:
    """Names of the roles a user holds, level by level; None where the user is no member."""

    tenant: tuple[str, ...]
    contract: tuple[str, ...] | None
    workspace: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a user holds at a place.

    Attributes:
        roles: at the place and above.
        policy: permissions by (scope, role), of those roles alone.
    """

    roles: AssignedRoles
    policy: Mapping[tuple[str, str], frozenset[str]]


_U, _C, _W, _R = t.users.c, t.contract_members.c, t.workspace_members.c, t.roles.c
_HELD: Sequence[ColumnElement[Any]] = (
    _U.tenant_roles,
    _C.roles.label("contract_roles"),
    _W.roles.label("workspace_roles"),
    _R.scope,
    _R.role,
    cast(_R.permissions, Text).label("permissions"),
)


def _with_memberships(
    query: "Select[Any]", contract_id: ColumnElement[Any], workspace_id: ColumnElement[Any]
) -> "Select[Any]":
    """Join a user's memberships of a place, and all roles of the user's tenant, to a query that has the user."""
    return (
        query.outerjoin(t.contract_members, and_(_C.user_id == _U.id, _C.contract_id == contract_id))
        .outerjoin(t.workspace_members, and_(_W.user_id == _U.id, _W.workspace_id == workspace_id))
        .outerjoin(t.roles, _R.tenant_id == _U.tenant_id)
    )


def _at(place: FromClause) -> Query:
    mine = and_(_U.id == bindparam("user_id"), _U.tenant_id == place.c.tenant_id)
    ids = (place.c.tenant_id, place.c.contract_id, place.c.workspace_id, _U.id.label("user_id"))
    query = select(*ids, *_HELD).select_from(place).outerjoin(t.users, mine)
    return Query(_with_memberships(query, place.c.contract_id, place.c.workspace_id))


def _leaf(table: Any) -> FromClause:
    w = t.workspaces.c
    query = select(w.tenant_id, w.contract_id, w.id.label("workspace_id"))
    return query.join_from(table, t.workspaces, table.c.workspace_id == w.id).where(_is_asked(table)).subquery("place")


def _is_asked(table: Any) -> ColumnElement[bool]:
    asked: ColumnElement[bool] = table.c.id == bindparam("place")
    return asked


def _nothing(name: str) -> ColumnElement[Any]:
    return cast(null(), t.contracts.c.id.type).label(name)


_T, _P, _S = t.tenants.c, t.contracts.c, t.workspaces.c
_AT = {
    "tenant": _at(
        select(_T.id.label("tenant_id"), _nothing("contract_id"), _nothing("workspace_id"))
        .where(_is_asked(t.tenants))
        .subquery("place")
    ),
    "contract": _at(
        select(_P.tenant_id, _P.id.label("contract_id"), _nothing("workspace_id"))
        .where(_is_asked(t.contracts))
        .subquery("place")
    ),
    "workspace": _at(
        select(_S.tenant_id, _S.contract_id, _S.id.label("workspace_id"))
        .where(_is_asked(t.workspaces))
        .subquery("place")
    ),
    "flow": _at(_leaf(t.flows)),
    "credential": _at(_leaf(t.credentials)),
    "auth_client": _at(
        select(
            t.auth_clients.c.tenant_id,
            func.coalesce(t.auth_clients.c.contract_id, _S.contract_id).label("contract_id"),
            t.auth_clients.c.workspace_id,
        )
        .outerjoin_from(t.auth_clients, t.workspaces, t.auth_clients.c.workspace_id == _S.id)
        .where(_is_asked(t.auth_clients))
        .subquery("place")
    ),
}
_OF = TenantQuery(
    t.users,
    _with_memberships(
        select(*_HELD).select_from(t.users),
        bindparam("contract_id", type_=_C.contract_id.type),
        bindparam("workspace_id", type_=_W.workspace_id.type),
    ).where(_U.id == bindparam("user_id")),
)


async def find_with_standing(
    unit: Unit, kind: str, place_id: str, user_id: str
) -> tuple[Location, Standing | None] | None:
    """Find a place in whichever tenant, and what a user holds there.

    Args:
        unit: the installation's.
        kind: `tenant`, `contract` or `workspace`; `flow` or `credential` for the workspace of one; `auth_client` for
            the scope of one, which has an empty tenant id if the client is global.
        place_id: its id.
        user_id: the caller.

    Returns:
        The place and the standing, which is None if the user is of another tenant; None if there is no such place.
    """
    rows = await _AT[kind].rows(unit.connection, place=place_id, user_id=user_id)
    if not rows:
        return None
    first = rows[0]
    place = Location(first.tenant_id, first.contract_id, first.workspace_id)
    return place, None if first.user_id is None else _standing(rows)


class Standings(TenantTable):
    """What users of the unit's tenant hold."""

    table = t.users

    async def of(self, user_id: str, place: Location) -> Standing | None:
        """Return what a user holds at a place of this tenant; None if the user is not of this tenant."""
        rows = await self.ask(
            _OF, user_id=user_id, contract_id=place.contract_id or "", workspace_id=place.workspace_id or ""
        )
        return _standing(rows) if rows else None


def _standing(rows: Sequence[Any]) -> Standing:
    first = rows[0]
    tenant = tuple(first.tenant_roles)
    contract = None if first.contract_roles is None else tuple(first.contract_roles)
    workspace = None if first.workspace_roles is None else tuple(first.workspace_roles)
    held = {"tenants": tenant, "contracts": contract or (), "workspaces": workspace or ()}
    policy = {
        (row.scope, row.role): permissions_of(row.permissions)
        for row in rows
        if row.role is not None and row.role in held.get(row.scope, ())
    }
    return Standing(AssignedRoles(tenant, contract, workspace), policy)


@lru_cache(_REMEMBERED)
def permissions_of(text: str) -> frozenset[str]:
    """Parse a stored list of permissions."""
    return frozenset(json.loads(text))
