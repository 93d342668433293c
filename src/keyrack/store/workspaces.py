"""Workspaces and their members (contract section 10)."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Integer, Row, bindparam, delete, or_, select, update

from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.tenancy import Member, Workspace, WorkspaceType
from keyrack.store.contracts import group_users, some_users
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable, deleting, referring
from keyrack.store.schema import users, workspace_members, workspaces
from keyrack.store.search_index import is_named
from keyrack.store.users import read_user

_w, _m = workspaces.c, workspace_members.c

_BY_ID = TenantQuery(workspaces, select(*_w).where(_w.id == bindparam("id")))
_ID = select(_w.id).where(_w.id == bindparam("id"))
_HELD = TenantQuery(workspaces, referring(_ID, workspaces))
_HELD_ALONE = TenantQuery(workspaces, deleting(_ID))
_REMOVAL = TenantChange(workspaces, delete(workspaces).where(_w.id == bindparam("id")), scans=True)
_OF_CONTRACT = TenantQuery(
    workspaces, select(_w.id).where(_w.contract_id == bindparam("contract")).order_by(_w.id), scans=True
)
_MEMBER = (_m.workspace_id == bindparam("workspace"), _m.user_id == bindparam("user"))
_ROLES = TenantQuery(workspace_members, select(_m.roles).where(*_MEMBER))
_MEMBER_HELD = TenantQuery(workspace_members, deleting(select(_m.user_id).where(*_MEMBER)))
_ROLES_CHANGE = TenantChange(
    workspace_members, update(workspace_members).where(*_MEMBER).values(roles=bindparam("roles"))
)
_MEMBER_REMOVAL = TenantChange(workspace_members, delete(workspace_members).where(*_MEMBER))
_ROLES_HELD = TenantQuery(
    workspace_members,
    select(_m.roles)
    .join_from(workspace_members, workspaces, _m.workspace_id == _w.id)
    .where(_w.contract_id == bindparam("contract")),
    scans=True,
)
_JOINED = TenantQuery(
    workspace_members,
    select(_m.workspace_id)
    .join_from(workspace_members, workspaces, _m.workspace_id == _w.id)
    .where(_w.contract_id == bindparam("contract"), _m.user_id == bindparam("user"))
    .order_by(_m.workspace_id),
    scans=True,
)
_MEMBERS_OF = TenantQuery(
    workspace_members,
    select(_m.workspace_id.label("place"), _m.user_id)
    .where(_m.workspace_id.in_(bindparam("ids", expanding=True)))
    .order_by(_m.user_id),
    scans=True,
)
_SOME_OF = TenantQuery(
    workspace_members,
    select(_m.user_id)
    .where(_m.workspace_id == bindparam("place"))
    .order_by(_m.user_id)
    .limit(bindparam("most", type_=Integer)),
    scans=True,
)
_INSIDE = TenantQuery(
    workspace_members,
    select(_m.workspace_id.label("place")).where(
        _m.user_id == bindparam("user"), _m.workspace_id.in_(bindparam("ids", expanding=True))
    ),
    scans=True,
)


class WorkspaceRows(TenantTable):
    """The workspaces of the unit's tenant."""

    table = workspaces

    async def add(
        self, contract_id: str, name: str, kind: WorkspaceType, attributes: Json, made_id: str | None = None
    ) -> Workspace:
        """Create a workspace in a contract, with the given id if there is one.

        Raises:
            AlreadyExists: another one has the id.
        """
        made = Workspace(made_id or new_id(), self.unit.tenant_id, contract_id, name, kind, attributes)
        await self.insert(
            {"id": made.id, "contract_id": contract_id, "name": name, "type": kind.value, "attributes": attributes}
        )
        return made

    async def find(self, workspace_id: str) -> Workspace | None:
        """Return a workspace of the tenant, or None."""
        row = await self.ask_one(_BY_ID, id=workspace_id)
        return None if row is None else _workspace(row)

    async def hold(self, workspace_id: str, *, exclusive: bool) -> bool:
        """Keep a workspace until the transaction ends: from deletion, or, `exclusive`, from all use; False if gone."""
        return await self.ask_one(_HELD_ALONE if exclusive else _HELD, id=workspace_id) is not None

    async def change(self, workspace: Workspace) -> None:
        """Store a workspace's name and type."""
        await self.set_columns(workspace.id, {"name": workspace.name, "type": workspace.type.value})

    async def remove(self, workspace_id: str) -> bool:
        """Delete a workspace with all that is in it (contract section 22); False if there is none."""
        return await self.make(_REMOVAL, id=workspace_id) == 1

    async def of_contract(self, contract_id: str) -> Sequence[str]:
        """Return the ids of a contract's workspaces."""
        return [row.id for row in await self.ask(_OF_CONTRACT, contract=contract_id)]

    async def page(
        self,
        *,
        contract_id: str | None,
        member: str | None,
        whole_contracts: Sequence[str] = (),
        beginning: str = "",
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[Sequence[Workspace], int]:
        """List workspaces by id; return a page and the total.

        Args:
            contract_id: only those of one contract, if given.
            member: only those a user is a member of, if given, ...
            whole_contracts: ... and those of these contracts.
            beginning: only those in whose name a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over.
        """
        conditions = [self.mine]
        if contract_id is not None:
            conditions.append(workspaces.c.contract_id == contract_id)
        if member is not None:
            theirs = select(workspace_members.c.workspace_id).where(workspace_members.c.user_id == member)
            conditions.append(or_(workspaces.c.id.in_(theirs), workspaces.c.contract_id.in_(whole_contracts)))
        if beginning:
            conditions.append(is_named("workspace", workspaces.c.id, beginning))
        query = select(workspaces).where(*conditions).order_by(workspaces.c.id)
        rows, total = await page_of(self.unit.connection, query, workspaces.c.id, limit=limit, offset=offset)
        return [_workspace(row) for row in rows], total


class WorkspaceMembers(TenantTable):
    """Who is in which workspace, with which roles."""

    table = workspace_members

    async def add(self, workspace_id: str, user_id: str, roles: Sequence[str]) -> None:
        """Make a user a member.

        Raises:
            AlreadyExists: the user is one.
        """
        await self.insert({"workspace_id": workspace_id, "user_id": user_id, "roles": list(roles)})

    async def page(
        self, workspace_id: str, *, beginning: str = "", limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[Member], int]:
        """List a workspace's members by user id; return a page and the number of all.

        Args:
            workspace_id: the workspace.
            beginning: only those in whose name or email a word begins so, or that have this id; empty for all.
            limit: how many at most; None for all.
            offset: how many to pass over, or after which one to begin.
        """
        m = workspace_members.c
        query = select(users, m.roles).join_from(workspace_members, users, m.user_id == users.c.id)
        query = query.where(self.mine, m.workspace_id == workspace_id).order_by(m.user_id)
        if beginning:
            query = query.where(is_named("user", m.user_id, beginning))
        rows, total = await page_of(self.unit.connection, query, m.user_id, limit=limit, offset=offset)
        return [Member(read_user(row), tuple(row.roles)) for row in rows], total

    async def list(self, workspace_id: str) -> Sequence[Member]:
        """List all members of a workspace by user id."""
        members, _ = await self.page(workspace_id)
        return members

    async def roles(self, workspace_id: str, user_id: str) -> tuple[str, ...] | None:
        """Return a member's roles; None if the user is no member."""
        row = await self.ask_one(_ROLES, workspace=workspace_id, user=user_id)
        return None if row is None else tuple(row.roles)

    async def hold(self, workspace_id: str, user_id: str) -> bool:
        """Keep a member from being changed or removed until the transaction ends; False if the user is none."""
        return await self.ask_one(_MEMBER_HELD, workspace=workspace_id, user=user_id) is not None

    async def roles_held(self, contract_id: str) -> "Sequence[tuple[str, ...]]":
        """Return the roles of each member of each of a contract's workspaces."""
        return [tuple(row.roles) for row in await self.ask(_ROLES_HELD, contract=contract_id)]

    async def joined(self, contract_id: str, user_id: str) -> "Sequence[str]":
        """Return the ids of the contract's workspaces that a user is a member of."""
        return [row.workspace_id for row in await self.ask(_JOINED, contract=contract_id, user=user_id)]

    async def ids(self, workspace_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the user ids of the members of several workspaces."""
        return group_users(await self.ask(_MEMBERS_OF, ids=workspace_ids))

    async def some_ids(self, workspace_ids: Sequence[str], user_id: str, most: int) -> Mapping[str, Sequence[str]]:
        """Return user ids of members of several workspaces, `most` of each or one more: a user's own comes first.

        Args:
            workspace_ids: the workspaces.
            user_id: the user.
            most: how many others of each; 0: none.
        """
        return await some_users(self, _INSIDE, _SOME_OF, workspace_ids, user_id, most)

    async def change(self, workspace_id: str, user_id: str, roles: Sequence[str]) -> bool:
        """Replace a member's roles; False if the user is no member."""
        return await self.make(_ROLES_CHANGE, workspace=workspace_id, user=user_id, roles=list(roles)) == 1

    async def remove(self, workspace_id: str, user_id: str) -> bool:
        """Take a member out; False if the user is none."""
        return await self.make(_MEMBER_REMOVAL, workspace=workspace_id, user=user_id) == 1


def _workspace(row: "Row[Any]") -> Workspace:
    return Workspace(row.id, row.tenant_id, row.contract_id, row.name, WorkspaceType(row.type), row.attributes)
