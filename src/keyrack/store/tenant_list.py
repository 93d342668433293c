"""Tenants for the operator: searched by name, domain or id, with how many grants each has."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, String, bindparam, func, or_, select

from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import auth_secrets, tenants

_t, _s = tenants.c, auth_secrets.c


def _found() -> ColumnElement[bool]:
    """Upper and lower case are the same as far as the database knows: SQLite knows that of ASCII alone."""
    part: ColumnElement[Any] = bindparam("part", type_=String)
    named = or_(func.lower(_t.name).like(part, escape="\\"), _t.app_domain.like(part, escape="\\"))
    return or_(named, _t.id == bindparam("id", type_=String))


_ORDERED = select(_t.id, _t.name, _t.app_domain, _t.created_at).order_by(_t.id)
_SLICE = {"limit": bindparam("most", type_=Integer), "offset": bindparam("over", type_=Integer)}
_ALL = Query(_ORDERED.limit(_SLICE["limit"]).offset(_SLICE["offset"]), scans=True)
_SEARCH = Query(_ORDERED.where(_found()).limit(_SLICE["limit"]).offset(_SLICE["offset"]), scans=True)
_NAMED = Query(
    select(_t.id)
    .where(func.lower(_t.name).like(bindparam("part", type_=String), escape="\\"))
    .order_by(_t.id)
    .limit(_SLICE["limit"]),
    scans=True,
)
_NUMBER = Query(select(func.count().label("number")).select_from(tenants), scans=True)
_FOUND = Query(select(func.count().label("number")).select_from(tenants).where(_found()), scans=True)
_GRANTS = Query(
    select(_s.tenant_id, func.count().label("number"))
    .where(_s.tenant_id.in_(bindparam("ids", expanding=True)))
    .group_by(_s.tenant_id),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class ListedTenant:
    """A tenant as the operator sees it in a list."""

    id: str
    name: str
    app_domain: str
    created_at: datetime
    grants: int


class TenantList:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def page(self, search: str, *, limit: int, offset: int) -> tuple[Sequence[ListedTenant], int]:
        """List tenants by id; return a page and how many there are.

        Args:
            search: part of the name or domain, or an id; empty for all.
            limit: how many at most.
            offset: how many to pass over.
        """
        connection, found = self._unit.connection, {"part": _like(search), "id": search}
        if search:
            rows = await _SEARCH.rows(connection, most=limit, over=offset, **found)
            (counted,) = await _FOUND.rows(connection, **found)
        else:
            rows = await _ALL.rows(connection, most=limit, over=offset)
            (counted,) = await _NUMBER.rows(connection)
        grants = {}
        if rows:
            ids = [row.id for row in rows]
            grants = {row.tenant_id: row.number for row in await _GRANTS.rows(connection, ids=ids)}
        listed = [ListedTenant(row.id, row.name, row.app_domain, row.created_at, grants.get(row.id, 0)) for row in rows]
        return listed, counted.number

    async def named(self, part: str, *, limit: int) -> Sequence[str]:
        """Return the ids of tenants that have something in their names, at most so many."""
        rows = await _NAMED.rows(self._unit.connection, part=_like(part), most=limit)
        return [row.id for row in rows]


def _like(part: str) -> str:
    escaped = part.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
