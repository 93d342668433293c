"""The builds of components (contract section 13): read by who sees the component, written by its own tenant."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, select, update

from keyrack.errors import NotFound
from keyrack.model import Json
from keyrack.model.components import Version, uses_oauth_client
from keyrack.store.components import ComponentRows, SeenQuery
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import component_versions, components

_c, _v = components.c, component_versions.c
_BUILD = (_v.component_id == bindparam("component"), _v.revision == bindparam("build"))
_BUILD_SEEN = SeenQuery(
    components, select(*_v).join_from(component_versions, components, _v.component_id == _c.id).where(*_BUILD)
)
_INNER = _v.descriptor["credentials"]
_PROTOCOL_BLOCKS = TenantQuery(
    component_versions,
    select(
        _v.descriptor["oauth2"].label("oauth2"),
        _v.descriptor["oauth1"].label("oauth1"),
        _INNER["oauth2"].label("inner_oauth2"),
        _INNER["oauth1"].label("inner_oauth1"),
    ).where(_v.component_id == bindparam("component")),
    scans=True,
)
_NEW_BUILD = TenantChange(
    components,
    update(components)
    .where(_c.id == bindparam("component"))
    .values(
        latest_number=_c.latest_number + 1,
        latest_revision=bindparam("build"),
        uses_oauth_client=bindparam("needs_client"),
    )
    .returning(_c.latest_number),
)
_BUILD_REMOVAL = TenantChange(component_versions, delete(component_versions).where(*_BUILD))
_NEWEST_BUILD = TenantQuery(
    component_versions,
    select(*_v).where(_v.component_id == bindparam("component")).order_by(_v.number.desc()).limit(1),
)


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
        row = await self.ask_one(_BUILD_SEEN, component=component_id, build=revision)
        return None if row is None else _version(row)

    async def protocol_blocks(self, component_id: str) -> Sequence[Json]:
        """Return of every build only `oauth2` and `oauth1`, from both places of a descriptor that they may stand in."""
        return [
            {
                "oauth2": row.oauth2,
                "oauth1": row.oauth1,
                "credentials": {"oauth2": row.inner_oauth2, "oauth1": row.inner_oauth1},
            }
            for row in await self.ask(_PROTOCOL_BLOCKS, component=component_id)
        ]

    async def add(self, component_id: str, revision: str, descriptor: Json) -> Version:
        """Add a build to a component of this tenant; it becomes the latest.

        Raises:
            NotFound: the component is not this tenant's.
            AlreadyExists: the component has that revision.
        """
        needs_client = uses_oauth_client(descriptor)
        changed = await self.make_one(_NEW_BUILD, component=component_id, build=revision, needs_client=needs_client)
        if changed is None:
            raise NotFound
        version = Version(revision, component_id, changed.latest_number, self.unit.clock(), descriptor)
        await self.insert(
            {
                "component_id": component_id, "revision": revision, "number": version.number,
                "descriptor": descriptor, "created_at": version.created_at,
            }
        )  # fmt: skip
        return version

    async def remove(self, component_id: str, revision: str) -> bool:
        """Delete a build of this tenant; the newest that is left becomes the latest."""
        if await self.make(_BUILD_REMOVAL, component=component_id, build=revision) == 0:
            return False
        left = await self.ask_one(_NEWEST_BUILD, component=component_id)
        latest = {
            "latest_revision": None if left is None else left.revision,
            "uses_oauth_client": left is not None and uses_oauth_client(left.descriptor),
        }
        await ComponentRows(self.unit).set_columns(component_id, latest)
        return True

    def _seen(self, *columns: ColumnElement[Any]) -> "Select[Any]":
        joined = component_versions.c.component_id == components.c.id
        query = select(*(columns or component_versions.c)).join_from(component_versions, components, joined)
        return query.where(ComponentRows(self.unit).seen)


def _version(row: "Row[Any]") -> Version:
    return Version(row.revision, row.component_id, row.number, row.created_at, row.descriptor)
