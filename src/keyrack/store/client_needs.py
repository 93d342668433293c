"""Lists the components a tenant sees by whether they need an OAuth client and whether the tenant has one for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, and_, bindparam, false, func, not_, or_, select, true, tuple_

from keyrack.model.components import ClientNeed, ComponentAccess, ComponentNeed
from keyrack.store.component_visibility import visibility_parts
from keyrack.store.components import SeenQuery
from keyrack.store.core.paging import keys_in_groups
from keyrack.store.core.unit import TENANT, TenantTable
from keyrack.store.schema import components, oauth_clients, teams

_c, _x = components.c, oauth_clients.c
_BY_IDS = SeenQuery(
    components,
    select(
        _c.id,
        _c.tenant_id,
        teams.c.name.label("team_name"),
        _c.name,
        _c.access,
        _c.latest_revision,
        _c.uses_oauth_client,
        _x.id.label("oauth_client_id"),
        _x.secret_expires_at,
    )
    .join_from(components, teams, _c.team_id == teams.c.id)
    .outerjoin(oauth_clients, and_(_x.component_id == _c.id, _x.tenant_id == TENANT))
    .where(_c.id.in_(bindparam("ids", expanding=True))),
    scans=True,
)


_BY_NAMES = SeenQuery(
    components,
    select(_c.id, teams.c.name.label("team_name"), _c.name)
    .join_from(components, teams, _c.team_id == teams.c.id)
    .where(tuple_(teams.c.name, _c.name).in_(bindparam("names", expanding=True))),
    scans=True,
)


class ComponentNeeds(TenantTable):
    """The components that the unit's tenant sees, with what they need."""

    table = components

    async def page(
        self, needs: Sequence[ClientNeed], search: str, *, limit: int, offset: int
    ) -> tuple[Sequence[ComponentNeed], int]:
        """List components by need and then name; return a page and the total.

        Args:
            needs: which components, and in which order; none is of two of them.
            search: what the name must have in it, whatever the case of letters, or the id; empty for all.
            limit: how many at most.
            offset: how many to pass over.
        """
        groups = [self._parts(need, search) for need in needs]
        keys, total = await keys_in_groups(self.unit.connection, groups, limit=limit, offset=offset)
        found = await self.by_ids([key.id for key in keys])
        return [found[key.id] for key in keys if key.id in found], total

    async def by_ids(self, component_ids: Sequence[str]) -> Mapping[str, ComponentNeed]:
        """Return by id those of some components that the tenant sees."""
        return {row.id: self._read(row) for row in await self.ask(_BY_IDS, ids=component_ids)}

    async def ids_of(self, names: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], str]:
        """Return the ids of those of some components that the tenant sees, by the names of team and component."""
        return {(row.team_name, row.name): row.id for row in await self.ask(_BY_NAMES, names=names)}

    def _parts(self, need: ClientNeed, search: str) -> Sequence["Select[Any]"]:
        """Return the keys of a group, each part in the order of an index that has all that is looked at."""
        served = select(_x.id).where(_x.tenant_id == self.unit.tenant_id, _x.component_id == _c.id)
        has_client = served.correlate(components).exists()
        conditions = {
            ClientNeed.lacking: [_c.uses_oauth_client == true(), not_(has_client)],
            ClientNeed.served: [_c.uses_oauth_client == true(), has_client],
            ClientNeed.needed: [_c.uses_oauth_client == true()],
            ClientNeed.none: [_c.uses_oauth_client == false()],
        }[need]
        if search:
            # Names are ASCII (contract 13.1), of which both databases know the small letters.
            named = func.lower(_c.name).contains(search.lower().rpartition("/")[2], autoescape=True)
            conditions = [*conditions, or_(named, _c.id == search)]
        parts = visibility_parts(self.unit.tenant_id)
        return [select(_c.name, _c.id).where(part, *conditions) for part in parts]

    def _read(self, row: Any) -> ComponentNeed:
        return ComponentNeed(
            row.id,
            row.team_name,
            row.name,
            ComponentAccess(row.access),
            row.tenant_id == self.unit.tenant_id,
            row.latest_revision is not None,
            row.uses_oauth_client,
            row.oauth_client_id,
            row.secret_expires_at,
        )
