"""Workspaces and their members (contract section 10)."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, delete, or_, select, update

from keyrack.ids import new_id
from keyrack.model import Json
from keyrack.model.tenancy import Member, Workspace, WorkspaceType
from keyrack.store.contracts import group_users
from keyrack.store.core.paging import After, page_of
from keyrack.store.core.unit import TenantTable, deleting, referring
from keyrack.store.schema import users, workspace_members, workspaces
from keyrack.store.users import read_user


class WorkspaceRows(TenantTable):
    """The workspaces of the unit's tenant."""

    table = workspaces

    async def add(self, contract_id: str, name: str, kind: WorkspaceType, attributes: Json) -> Workspace:
        """Create a workspace in a contract."""
        made = Workspace(new_id(), self.unit.tenant_id, contract_id, name, kind, attributes)
        await self.insert(
            {"id": made.id, "contract_id": contract_id, "name": name, "type": kind.value, "attributes": attributes}
        )
        return made

    async def find(self, workspace_id: str) -> Workspace | None:
        """Return a workspace of the tenant, or None."""
        row = await self.first(self.select().where(workspaces.c.id == workspace_id))
        return None if row is None else _workspace(row)

    async def hold(self, workspace_id: str, *, exclusive: bool) -> bool:
        """Keep a workspace until the transaction ends: from deletion, or, `exclusive`, from all use; False if gone."""
        query = self.select(workspaces.c.id).where(workspaces.c.id == workspace_id)
        return await self.value(deleting(query) if exclusive else referring(query, workspaces)) is not None

    async def change(self, workspace: Workspace) -> None:
        """Store a workspace's name and type."""
        changed = {"name": workspace.name, "type": workspace.type.value}
        await self.run(self.update().where(workspaces.c.id == workspace.id).values(**changed))

    async def remove(self, workspace_id: str) -> bool:
        """Delete a workspace with all that is in it (contract section 22); False if there is none."""
        return await self.run(self.delete().where(workspaces.c.id == workspace_id)) == 1

    async def of_contract(self, contract_id: str) -> Sequence[str]:
        """Return the ids of a contract's workspaces."""
        w = workspaces.c
        rows = await self.all(self.select(w.id).where(w.contract_id == contract_id).order_by(w.id))
        return [row.id for row in rows]

    async def page(
        self,
        *,
        contract_id: str | None,
        member: str | None,
        whole_contracts: Sequence[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> tuple[Sequence[Workspace], int]:
        """List workspaces by id; return a page and the total.

        Args:
            contract_id: only those of one contract, if given.
            member: only those a user is a member of, if given, ...
            whole_contracts: ... and those of these contracts.
            limit: how many at most; None for all.
            offset: how many to pass over.
        """
        conditions = [self.mine]
        if contract_id is not None:
            conditions.append(workspaces.c.contract_id == contract_id)
        if member is not None:
            theirs = select(workspace_members.c.workspace_id).where(workspace_members.c.user_id == member)
            conditions.append(or_(workspaces.c.id.in_(theirs), workspaces.c.contract_id.in_(whole_contracts)))
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
        self, workspace_id: str, *, limit: int | None = None, offset: int | After = 0
    ) -> tuple[Sequence[Member], int]:
        """List a workspace's members by user id; return a page and the number of all."""
        m = workspace_members.c
        query = select(users, m.roles).join_from(workspace_members, users, m.user_id == users.c.id)
        query = query.where(self.mine, m.workspace_id == workspace_id).order_by(m.user_id)
        rows, total = await page_of(self.unit.connection, query, m.user_id, limit=limit, offset=offset)
        return [Member(read_user(row), tuple(row.roles)) for row in rows], total

    async def list(self, workspace_id: str) -> Sequence[Member]:
        """List all members of a workspace by user id."""
        members, _ = await self.page(workspace_id)
        return members

    async def roles(self, workspace_id: str, user_id: str) -> tuple[str, ...] | None:
        """Return a member's roles; None if the user is no member."""
        m = workspace_members.c
        row = await self.first(self.select(m.roles).where(m.workspace_id == workspace_id, m.user_id == user_id))
        return None if row is None else tuple(row.roles)

    async def hold(self, workspace_id: str, user_id: str) -> bool:
        """Keep a member from being changed or removed until the transaction ends; False if the user is none."""
        m = workspace_members.c
        query = self.select(m.user_id).where(m.workspace_id == workspace_id, m.user_id == user_id)
        return await self.first(deleting(query)) is not None

    async def roles_held(self, contract_id: str) -> "Sequence[tuple[str, ...]]":
        """Return the roles of each member of each of a contract's workspaces."""
        m, w = workspace_members.c, workspaces.c
        query = self.select(m.roles).join_from(workspace_members, workspaces, m.workspace_id == w.id)
        return [tuple(row.roles) for row in await self.all(query.where(w.contract_id == contract_id))]

    async def joined(self, contract_id: str, user_id: str) -> "Sequence[str]":
        """Return the ids of the contract's workspaces that a user is a member of."""
        m, w = workspace_members.c, workspaces.c
        query = select(m.workspace_id).join_from(workspace_members, workspaces, m.workspace_id == w.id)
        query = query.where(self.mine, w.contract_id == contract_id, m.user_id == user_id).order_by(m.workspace_id)
        return [row.workspace_id for row in await self.all(query)]

    async def ids(self, workspace_ids: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return the user ids of the members of several workspaces."""
        m = workspace_members.c
        rows = await self.all(
            self.select(m.workspace_id.label("place"), m.user_id)
            .where(m.workspace_id.in_(workspace_ids))
            .order_by(m.user_id)
        )
        return group_users(rows)

    async def change(self, workspace_id: str, user_id: str, roles: Sequence[str]) -> bool:
        """Replace a member's roles; False if the user is no member."""
        m = workspace_members.c
        own = (self.mine, m.workspace_id == workspace_id, m.user_id == user_id)
        return await self.run(update(workspace_members).where(*own).values(roles=list(roles))) == 1

    async def remove(self, workspace_id: str, user_id: str) -> bool:
        """Take a member out; False if the user is none."""
        m = workspace_members.c
        own = (self.mine, m.workspace_id == workspace_id, m.user_id == user_id)
        return await self.run(delete(workspace_members).where(*own)) == 1


def _workspace(row: "Row[Any]") -> Workspace:
    return Workspace(row.id, row.tenant_id, row.contract_id, row.name, WorkspaceType(row.type), row.attributes)
