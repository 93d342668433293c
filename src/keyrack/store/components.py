"""Components; their builds are in `component_builds.py`, their variables in `component_variables.py`.

Reading goes as far as `tenant_sees` (contract section 5): a tenant's own components and global ones. Writing is
limited to the owning tenant like everything else.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    cast,
    delete,
    literal,
    or_,
    select,
    tuple_,
)

from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.components import Component, ComponentAccess, Version
from keyrack.store.component_visibility import tenant_sees
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TENANT, TenantChange, TenantQuery, TenantTable, deleting, referring
from keyrack.store.schema import component_versions, component_whitelists, components, teams
from keyrack.turns import Turns

_FEW = 1000
"""Components that a statement names one by one; a whole list is not: there is a limit to what a statement may name."""


class SeenQuery(TenantQuery):
    """A query over the components that the unit's tenant sees (`tenant_sees`)."""

    @classmethod
    def condition(cls, table: Table) -> ColumnElement[bool]:
        """Return the condition that the tenant sees a component."""
        del table  # always `components`
        return tenant_sees(TENANT)


def _latest(*descriptor: ColumnElement[Any]) -> "Select[Any]":
    """Return the query of components by id with their teams' names and latest builds.

    Args:
        descriptor: what is read of the build's descriptor, with how much was left out; by default all of it.
    """
    v = component_versions.c
    read = descriptor or (v.descriptor, literal(0).label("left_out"))
    latest = and_(v.component_id == components.c.id, v.revision == components.c.latest_revision)
    return (
        select(components, teams.c.name.label("team_name"), v.number, v.created_at, *read)
        .join_from(components, teams, components.c.team_id == teams.c.id)
        .outerjoin(component_versions, latest)
        .order_by(components.c.id)
    )


_c, _w = components.c, component_whitelists.c

_BY_ID = SeenQuery(components, _latest().where(_c.id == bindparam("id")))
_BY_NAME = SeenQuery(components, _latest().where(teams.c.name == bindparam("team"), _c.name == bindparam("name")))
_HELD = SeenQuery(
    components,
    referring(
        select(_c.id)
        .join_from(components, teams, _c.team_id == teams.c.id)
        .where(
            or_(
                tuple_(teams.c.name, _c.name).in_(bindparam("names", expanding=True)),
                _c.id.in_(bindparam("ids", expanding=True)),
            )
        )
        .order_by(_c.id),
        components,
    ),
    scans=True,
)
_ALL_LOCKED = TenantQuery(
    components,
    deleting(select(_c.id).where(_c.contract_id == bindparam("contract")).order_by(_c.id)),
    scans=True,
)
_AMONG = SeenQuery(components, select(_c.id).where(_c.id.in_(bindparam("ids", expanding=True))))
_REMOVAL = TenantChange(components, delete(components).where(_c.id == bindparam("id")), scans=True)
_WHITELISTED = select(_w.component_id, _w.contract_id).order_by(_w.contract_id)
_WHITELISTS = TenantQuery(component_whitelists, _WHITELISTED, scans=True)
_WHITELISTS_OF = TenantQuery(
    component_whitelists, _WHITELISTED.where(_w.component_id.in_(bindparam("ids", expanding=True))), scans=True
)
_WHITELIST = TenantQuery(component_whitelists, _WHITELISTED.where(_w.component_id == bindparam("component")))
_WHITELIST_GONE = TenantChange(
    component_whitelists, delete(component_whitelists).where(_w.component_id == bindparam("component"))
)


class ComponentRows(TenantTable):
    """Component repositories a tenant owns or sees."""

    table = components

    @property
    def seen(self) -> ColumnElement[bool]:
        """`tenant_sees` of the unit's tenant."""
        return tenant_sees(self.unit.tenant_id)

    async def find(self, component_id: str) -> Component | None:
        """Return a component the tenant sees, or None."""
        found = await self._whole(await self.ask(_BY_ID, id=component_id))
        return found[0] if found else None

    async def find_by_name(self, team_name: str, name: str) -> Component | None:
        """Return the component `team/name` if the tenant sees it; team names are unique in the installation."""
        found = await self._whole(await self.ask(_BY_NAME, team=team_name, name=name))
        return found[0] if found else None

    async def hold(self, names: Sequence[tuple[str, str]], ids: Sequence[str] = ()) -> None:
        """Keep components that a flow is going to name from being deleted until the transaction ends.

        Their builds are kept too: whoever deletes one locks its component. Read the components after this.

        Args:
            names: (team name, component name) pairs.
            ids: further components by id.
        """
        await self.ask(_HELD, names=names, ids=ids)

    async def lock_all_of(self, contract_id: str) -> None:
        """Make others who want to change, delete or name a component of a contract wait; see `lock_to_delete`."""
        await self.ask(_ALL_LOCKED, contract=contract_id)

    async def seen_among(self, component_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the given ids that the tenant sees."""
        found: set[str] = set()
        for start in range(0, len(component_ids), _FEW):
            found.update(row.id for row in await self.ask(_AMONG, ids=component_ids[start : start + _FEW]))
        return frozenset(found)

    async def list(self, ids: Sequence[str]) -> Sequence[Component]:
        """List by id those of some components that the tenant sees."""
        return await self._read(self._query().where(components.c.id.in_(ids)))

    async def matching(
        self, parts: Sequence[ColumnElement[bool]], *, leave_out: bool = False, limit: int | None, offset: int | After
    ) -> tuple[Sequence[Component], int]:
        """List by id what the tenant sees and meets a condition; return a page and the total. See `component_list`.

        Args:
            parts: conditions; what one of them holds for, the tenant sees, and no other one holds for.
            leave_out: large descriptors are left out for now; see `whole`.
            limit: how many at most; None for all.
            offset: how many to pass over, or where a stretch begins.
        """
        c = components.c
        found = [select(c.id).where(part) for part in parts]
        descriptor = read_along(limit, component_versions.c.descriptor) if leave_out else ()
        rows, total = await page_of(
            self.unit.connection, self._query(*descriptor), c.id, parts=found, limit=limit, offset=offset
        )
        return await self._whole(rows), total

    async def whole(self, found: "Sequence[Component]") -> Mapping[str, Component]:
        """Return by id those of some components of a list whose latest build is still there, with its descriptor."""
        v = component_versions.c
        builds = [(each.id, each.latest.revision) for each in found if each.latest is not None]
        query = select(v.component_id, v.revision, cast(v.descriptor, Text).label("descriptor"))
        query = query.join_from(component_versions, components, v.component_id == components.c.id).where(self.seen)
        rows = await self.all(query.where(tuple_(v.component_id, v.revision).in_(builds)))
        texts = {row.component_id: row.descriptor for row in rows}
        return {
            each.id: replace(
                each,
                latest=replace(each.latest, left_out=0, descriptor=await asyncio.to_thread(json.loads, texts[each.id])),
            )
            for each in found
            if each.latest is not None and each.id in texts
        }

    async def add(self, contract_id: str, team_id: str, name: str, attributes: Json) -> str:
        """Create a component with access `team` and no build; return its id.

        Raises:
            AlreadyExists: the team has a component of that name.
        """
        component_id = new_id()
        await self.insert(
            {
                "id": component_id, "contract_id": contract_id, "team_id": team_id, "name": name,
                "access": ComponentAccess.team.value, "attributes": attributes,
                "latest_revision": None, "latest_number": 0,
                "uses_oauth_client": False,
            }
        )  # fmt: skip
        return component_id

    async def set_access(self, component_id: str, access: ComponentAccess) -> None:
        """Change who can use a component of this tenant."""
        await self.set_columns(component_id, {"access": access.value})

    async def set_whitelist(self, component_id: str, contract_ids: Sequence[str]) -> None:
        """Replace this tenant's part of a component's whitelist; the component may be another tenant's."""
        await self.make(_WHITELIST_GONE, component=component_id)
        for contract_id in dict.fromkeys(contract_ids):
            await self.insert_into(component_whitelists, {"component_id": component_id, "contract_id": contract_id})

    async def remove(self, component_id: str) -> bool:
        """Delete a component of this tenant with its builds and variables; OAuth clients stay (contract 24.6)."""
        return await self.make(_REMOVAL, id=component_id) == 1

    def _query(self, *descriptor: ColumnElement[Any]) -> "Select[Any]":
        return _latest(*descriptor).where(self.seen)

    async def _read(self, query: "Select[Any]") -> Sequence[Component]:
        return await self._whole(await self.all(query))

    async def _whole(self, rows: "Sequence[Row[Any]]") -> Sequence[Component]:
        whitelists = await self._whitelists([row.id for row in rows])
        found, turns = list[Component](), Turns()
        for row in rows:
            found.append(_component(row, whitelists.get(row.id, ())))
            await turns.step()
        return found

    async def _whitelists(self, component_ids: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        if not component_ids:
            return {}
        if len(component_ids) == 1:
            rows = await self.ask(_WHITELIST, component=component_ids[0])
        elif len(component_ids) <= _FEW:
            rows = await self.ask(_WHITELISTS_OF, ids=component_ids)
        else:
            rows = await self.ask(_WHITELISTS)
        found: dict[str, tuple[str, ...]] = {}
        for row in rows:
            found[row.component_id] = (*found.get(row.component_id, ()), row.contract_id)
        return found


def _component(row: "Row[Any]", whitelist: tuple[str, ...]) -> Component:
    latest = None
    if row.latest_revision is not None:
        latest = Version(row.latest_revision, row.id, row.number, row.created_at, row.descriptor or {}, row.left_out)
    return Component(
        row.id, row.tenant_id, row.contract_id, row.team_id, row.team_name, row.name, ComponentAccess(row.access),
        whitelist, row.attributes, latest, row.uses_oauth_client,
    )  # fmt: skip
