"""Teams, the owners of component repositories (contract section 12)."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, select

from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.tenancy import Team
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TENANT, TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import components, team_members, teams

_t, _m, _c = teams.c, team_members.c, components.c

_BY_ID = TenantQuery(teams, select(*_t).where(_t.id == bindparam("id")))
_MEMBERS_OF = TenantQuery(team_members, select(_m.team_id, _m.user_id).where(_m.team_id == bindparam("team")))
_COMPONENTS_OF = TenantQuery(components, select(_c.team_id, _c.id).where(_c.team_id == bindparam("team")), scans=True)
_REMOVAL = TenantChange(teams, delete(teams).where(_t.id == bindparam("id")), scans=True)
_LEAVING = TenantChange(
    team_members,
    delete(team_members).where(
        _m.user_id == bindparam("user"),
        _m.team_id.in_(select(_t.id).where(_t.tenant_id == TENANT, _t.contract_id == bindparam("contract"))),
    ),
    scans=True,
)
_MEMBER = (_m.team_id == bindparam("team"), _m.user_id == bindparam("user"))
_MEMBER_REMOVAL = TenantChange(team_members, delete(team_members).where(*_MEMBER))
_OF_MEMBER = TenantQuery(team_members, select(_m.team_id).where(_m.user_id == bindparam("user")))
_MEMBERSHIP = TenantQuery(team_members, select(_m.user_id).where(*_MEMBER))


class TeamRows(TenantTable):
    """The teams of the unit's tenant."""

    table = teams

    async def add(self, contract_id: str, name: str) -> str:
        """Create a team without members; return its id.

        Raises:
            AlreadyExists: a team of that name exists in the installation.
        """
        team_id = new_id()
        await self.insert({"id": team_id, "contract_id": contract_id, "name": name})
        return team_id

    async def find(self, team_id: str) -> Team | None:
        """Return a team of the tenant with the ids of its members and components, or None."""
        rows = await self.ask(_BY_ID, id=team_id)
        members, owned = await self.ask(_MEMBERS_OF, team=team_id), await self.ask(_COMPONENTS_OF, team=team_id)
        return next(iter(_read(rows, members, owned)), None)

    async def page(
        self, contract_id: str, *, limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[Team], int]:
        """List a contract's teams by id; return a page and the number of all."""
        mine = teams.c.contract_id == contract_id
        query = self.select().where(mine).order_by(teams.c.id)
        rows, total = await page_of(self.unit.connection, query, teams.c.id, limit=limit, offset=offset)
        chosen = self.select(teams.c.id).where(mine) if limit is None else [row.id for row in rows]
        return await self._with_members(rows, chosen), total

    async def set_docker_registry(self, team_id: str, registry: Json | None) -> bool:
        """Store how the team's images are fetched, or forget it; False if there is no such team."""
        sealed = None if registry is None else await self.unit.seal(teams, team_id, "sealed_docker_registry", registry)
        return await self.set_columns(team_id, {"sealed_docker_registry": sealed}) == 1

    async def remove(self, team_id: str) -> bool:
        """Delete a team with its memberships; False if there is none."""
        return await self.make(_REMOVAL, id=team_id) == 1

    async def add_member(self, team_id: str, user_id: str) -> None:
        """Make a user a member.

        Raises:
            AlreadyExists: the user is one.
        """
        await self.insert_into(team_members, {"team_id": team_id, "user_id": user_id})

    async def leave(self, contract_id: str, user_id: str) -> None:
        """Take a user out of all teams of a contract."""
        await self.make(_LEAVING, contract=contract_id, user=user_id)

    async def remove_member(self, team_id: str, user_id: str) -> bool:
        """Take a user out of a team; False if the user is no member."""
        return await self.make(_MEMBER_REMOVAL, team=team_id, user=user_id) == 1

    async def is_member(self, team_id: str, user_id: str) -> bool:
        """Tell whether a user is in a team of the tenant."""
        return await self.ask_one(_MEMBERSHIP, team=team_id, user=user_id) is not None

    async def of_member(self, user_id: str) -> frozenset[str]:
        """Return the ids of the teams that a user is in."""
        return frozenset(row.team_id for row in await self.ask(_OF_MEMBER, user=user_id))

    async def _with_members(self, rows: Sequence[Row[Any]], chosen: Select[Any] | list[str]) -> Sequence[Team]:
        m, c = team_members.c, components.c
        mine = (m.tenant_id == self.unit.tenant_id, m.team_id.in_(chosen))
        members = await self.all(select(m.team_id, m.user_id).where(*mine))
        own = (c.tenant_id == self.unit.tenant_id, c.team_id.in_(chosen))
        owned = await self.all(select(c.team_id, c.id).where(*own))
        return _read(rows, members, owned)


def _read(rows: Sequence[Row[Any]], members: Sequence[Row[Any]], owned: Sequence[Row[Any]]) -> Sequence[Team]:
    users_of, components_of = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    for member in members:
        users_of[member.team_id].append(member.user_id)
    for component in owned:
        components_of[component.team_id].append(component.id)
    return [
        Team(
            row.id,
            row.tenant_id,
            row.contract_id,
            row.name,
            tuple(sorted(users_of[row.id])),
            tuple(sorted(components_of[row.id])),
        )
        for row in rows
    ]
