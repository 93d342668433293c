"""Components, their builds and their environment variables.

Reading goes as far as `tenant_sees` (contract section 5): a tenant's own components and global ones. Writing is
limited to the owning tenant like everything else.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, and_, cast, delete, literal, or_, select, tuple_

from keyrack.errors import NotFound
from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.components import Component, ComponentAccess, Version, uses_oauth_client
from keyrack.store.component_visibility import tenant_sees
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TenantTable, deleting, referring
from keyrack.store.schema import component_env, component_versions, component_whitelists, components, teams
from keyrack.turns import Turns

_FEW = 1000
"""Components that a statement names one by one; a whole list is not: there is a limit to what a statement may name."""


class ComponentRows(TenantTable):
    """Component repositories a tenant owns or sees."""

    table = components

    @property
    def seen(self) -> ColumnElement[bool]:
        """`tenant_sees` of the unit's tenant."""
        return tenant_sees(self.unit.tenant_id)

    async def find(self, component_id: str) -> Component | None:
        """Return a component the tenant sees, or None."""
        found = await self._read(self._query().where(components.c.id == component_id))
        return found[0] if found else None

    async def find_by_name(self, team_name: str, name: str) -> Component | None:
        """Return the component `team/name` if the tenant sees it; team names are unique in the installation."""
        found = await self._read(self._query().where(teams.c.name == team_name, components.c.name == name))
        return found[0] if found else None

    async def hold(self, names: Sequence[tuple[str, str]], ids: Sequence[str] = ()) -> None:
        """Keep components that a flow is going to name from being deleted until the transaction ends.

        Their builds are kept too: whoever deletes one locks its component. Read the components after this.

        Args:
            names: (team name, component name) pairs.
            ids: further components by id.
        """
        named = or_(tuple_(teams.c.name, components.c.name).in_(names), components.c.id.in_(ids))
        query = select(components.c.id).join_from(components, teams, components.c.team_id == teams.c.id)
        await self.all(referring(query.where(self.seen, named).order_by(components.c.id), components))

    async def lock_all_of(self, contract_id: str) -> None:
        """Make others who want to change, delete or name a component of a contract wait; see `lock_to_delete`."""
        query = self.select(components.c.id).where(components.c.contract_id == contract_id)
        await self.all(deleting(query.order_by(components.c.id)))

    async def seen_among(self, component_ids: Sequence[str]) -> frozenset[str]:
        """Return those of the given ids that the tenant sees."""
        found: set[str] = set()
        for start in range(0, len(component_ids), _FEW):
            few = components.c.id.in_(component_ids[start : start + _FEW])
            found.update(row.id for row in await self.all(select(components.c.id).where(self.seen, few)))
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
        await self.run(self.update().where(components.c.id == component_id).values(access=access.value))

    async def set_whitelist(self, component_id: str, contract_ids: Sequence[str]) -> None:
        """Replace this tenant's part of a component's whitelist; the component may be another tenant's."""
        mine = component_whitelists.c.tenant_id == self.unit.tenant_id
        await self.run(delete(component_whitelists).where(mine, component_whitelists.c.component_id == component_id))
        for contract_id in dict.fromkeys(contract_ids):
            await self.insert_into(component_whitelists, {"component_id": component_id, "contract_id": contract_id})

    async def remove(self, component_id: str) -> bool:
        """Delete a component of this tenant with its builds and variables; OAuth clients stay (contract 24.6)."""
        return await self.run(self.delete().where(components.c.id == component_id)) == 1

    def _query(self, *descriptor: ColumnElement[Any]) -> "Select[Any]":
        v = component_versions.c
        read = descriptor or (v.descriptor, literal(0).label("left_out"))
        latest = and_(v.component_id == components.c.id, v.revision == components.c.latest_revision)
        return (
            select(components, teams.c.name.label("team_name"), v.number, v.created_at, *read)
            .join_from(components, teams, components.c.team_id == teams.c.id)
            .outerjoin(component_versions, latest)
            .where(self.seen)
            .order_by(components.c.id)
        )

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
        w = component_whitelists.c
        query = select(w.component_id, w.contract_id).where(w.tenant_id == self.unit.tenant_id).order_by(w.contract_id)
        if len(component_ids) <= _FEW:
            query = query.where(w.component_id.in_(component_ids))
        found: dict[str, tuple[str, ...]] = {}
        for row in await self.all(query):
            found[row.component_id] = (*found.get(row.component_id, ()), row.contract_id)
        return found


class ComponentVersions(TenantTable):
    """Builds of the components a tenant sees; only its own can be changed."""

    table = component_versions

    async def page(self, component_id: str, *, limit: int | None, offset: int | After) -> tuple[Sequence[Version], int]:
        """List a component's builds without descriptors, oldest first; return a page and the number of all.

        None if the tenant does not see the component.
        """
        v = component_versions.c
        query = self._seen(v.revision, v.component_id, v.number, v.created_at).where(v.component_id == component_id)
        rows, total = await page_of(
            self.unit.connection, query.order_by(v.number), v.number, limit=limit, offset=offset
        )
        return [Version(row.revision, row.component_id, row.number, row.created_at, {}) for row in rows], total

    async def find(self, component_id: str, revision: str) -> Version | None:
        """Return one build of a component the tenant sees, or None."""
        v = component_versions.c
        row = await self.first(self._seen().where(v.component_id == component_id, v.revision == revision))
        return None if row is None else _version(row)

    async def protocol_blocks(self, component_id: str) -> Sequence[Json]:
        """Return of every build only `oauth2` and `oauth1`, from both places of a descriptor that they may stand in."""
        d = component_versions.c.descriptor
        inner = d["credentials"]
        blocks = self.select(
            d["oauth2"].label("oauth2"),
            d["oauth1"].label("oauth1"),
            inner["oauth2"].label("inner_oauth2"),
            inner["oauth1"].label("inner_oauth1"),
        )
        return [
            {
                "oauth2": row.oauth2,
                "oauth1": row.oauth1,
                "credentials": {"oauth2": row.inner_oauth2, "oauth1": row.inner_oauth1},
            }
            for row in await self.all(blocks.where(component_versions.c.component_id == component_id))
        ]

    async def add(self, component_id: str, revision: str, descriptor: Json) -> Version:
        """Add a build to a component of this tenant; it becomes the latest.

        Raises:
            NotFound: the component is not this tenant's.
            AlreadyExists: the component has that revision.
        """
        c = components.c
        own = (c.id == component_id, c.tenant_id == self.unit.tenant_id)
        latest = {"latest_revision": revision, "uses_oauth_client": uses_oauth_client(descriptor)}
        changed = components.update().where(*own).values(latest_number=c.latest_number + 1, **latest)
        number = await self.value(changed.returning(c.latest_number))
        if number is None:
            raise NotFound
        version = Version(revision, component_id, number, self.unit.clock(), descriptor)
        await self.insert(
            {
                "component_id": component_id, "revision": revision, "number": number, "descriptor": descriptor,
                "created_at": version.created_at,
            }
        )  # fmt: skip
        return version

    async def remove(self, component_id: str, revision: str) -> bool:
        """Delete a build of this tenant; the newest that is left becomes the latest."""
        v, c = component_versions.c, components.c
        if await self.run(self.delete().where(v.component_id == component_id, v.revision == revision)) == 0:
            return False
        newest = self.select().where(v.component_id == component_id).order_by(v.number.desc()).limit(1)
        left = await self.first(newest)
        latest = {
            "latest_revision": None if left is None else left.revision,
            "uses_oauth_client": left is not None and uses_oauth_client(left.descriptor),
        }
        own = (c.id == component_id, c.tenant_id == self.unit.tenant_id)
        await self.run(components.update().where(*own).values(**latest))
        return True

    def _seen(self, *columns: ColumnElement[Any]) -> "Select[Any]":
        joined = component_versions.c.component_id == components.c.id
        query = select(*(columns or component_versions.c)).join_from(component_versions, components, joined)
        return query.where(ComponentRows(self.unit).seen)


class ComponentEnvironment(TenantTable):
    """Environment variables of the tenant's own components, encrypted (contract 13.4)."""

    table = component_env

    async def read(self, component_id: str) -> dict[str, str]:
        """Return a component's variables; none if they were never set or the component is another tenant's."""
        row = await self.first(self.select().where(component_env.c.component_id == component_id))
        if row is None:
            return {}
        variables: dict[str, str] = await self.unit.open(component_env, component_id, "sealed_vars", row.sealed_vars)
        return variables

    async def replace(self, component_id: str, variables: Mapping[str, str]) -> None:
        """Replace the whole set of a component's variables."""
        sealed = await self.unit.seal(component_env, component_id, "sealed_vars", dict(variables))
        changed = self.update().where(component_env.c.component_id == component_id).values(sealed_vars=sealed)
        if await self.run(changed) == 0:
            await self.insert({"component_id": component_id, "sealed_vars": sealed})


def _component(row: "Row[Any]", whitelist: tuple[str, ...]) -> Component:
    latest = None
    if row.latest_revision is not None:
        latest = Version(row.latest_revision, row.id, row.number, row.created_at, row.descriptor or {}, row.left_out)
    return Component(
        row.id, row.tenant_id, row.contract_id, row.team_id, row.team_name, row.name, ComponentAccess(row.access),
        whitelist, row.attributes, latest, row.uses_oauth_client,
    )  # fmt: skip


def _version(row: "Row[Any]") -> Version:
    return Version(row.revision, row.component_id, row.number, row.created_at, row.descriptor)
