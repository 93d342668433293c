"""Lists of a workspace's flows: filtered, searched, sorted and cut into pages in the database (contract section 17)."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Text, cast, func, null, or_, select
from sqlalchemy.sql.base import ReadOnlyColumnCollection

from keyrack.model.flows import Flow, FlowStatus, Reference
from keyrack.store.auth_client_usage import MOST
from keyrack.store.core.large_columns import read_along
from keyrack.store.core.paging import page_of, search_key
from keyrack.store.core.unit import TenantTable
from keyrack.store.flows import read_flow
from keyrack.store.schema import auth_secrets, flow_credentials, flow_secrets, flows, workspace_members

Columns = ReadOnlyColumnCollection[str, Any]
_LARGE = {flows.c.graph, flows.c.attributes, flows.c.description, flows.c.description_key}
_SORTABLE = {"created_at": "created_at", "updated_at": "updated_at", "name": "name_key"}


@dataclass(frozen=True, slots=True)
class FlowFilter:
    """What a list of flows is narrowed to; None and empty texts narrow nothing."""

    status: str | None = None
    type: str | None = None
    user_id: str | None = None
    has_draft: bool | None = None
    search: str | None = None
    """What the name or the description must have in it, whatever the case of letters."""
    sort: str | None = None
    """`created_at`, `updated_at` or `name`, with `-` in front for descending."""


class FlowList(TenantTable):
    """The flows of the unit's tenant, as lists."""

    table = flows

    async def page(
        self, workspace_id: str, wanted: FlowFilter, *, limit: int | None, offset: int
    ) -> tuple[Sequence[Flow], int]:
        """List a workspace's flows without their drafts; return a page and the total.

        Large graphs and attributes are left out; see `whole`.
        """
        c = flows.c
        conditions = [c.workspace_id == workspace_id]
        equal = {c.status: wanted.status, c.type: wanted.type, c.user_id: wanted.user_id}
        conditions += [column == value for column, value in equal.items() if value]
        if wanted.has_draft is not None:
            conditions.append(c.draft.is_not(None) if wanted.has_draft else c.draft.is_(None))
        if wanted.search:
            conditions.append(self._mentions(search_key(wanted.search)))
        if wanted.search and limit is not None:
            rows, total = await self._looked_through(conditions, wanted.sort, limit, offset)
        else:
            query = self.select(*_columns(limit)).where(*conditions).order_by(*_order(wanted.sort, c))
            rows, total = await page_of(self.unit.connection, query, c.id, limit=limit, offset=offset)
        return [
            replace(read_flow(row), left_out=row.left_out) if row.left_out else read_flow(row) for row in rows
        ], total

    async def using(
        self,
        workspace_id: str,
        *,
        limit: int,
        offset: int,
        secret_id: str = "",
        credential_id: str = "",
        search: str = "",
    ) -> tuple[Sequence[Flow], int]:
        """List by id a workspace's flows whose current graph names a secret, or a credential; a page and the total.

        Args:
            workspace_id: the workspace.
            limit: how many at most.
            offset: how many to pass over.
            secret_id: the secret, unless it is a credential.
            credential_id: the credential.
            search: what the name or the description must have in it; empty for all.
        """
        c, index = flows.c, flow_secrets if secret_id else flow_credentials
        used = index.c.secret_id == secret_id if secret_id else index.c.credential_id == credential_id
        naming = select(index.c.flow_id).where(used, index.c.tenant_id == self.unit.tenant_id)
        query = self.select(*_columns(limit)).where(c.workspace_id == workspace_id, c.id.in_(naming)).order_by(c.id)
        if search:
            query = query.where(self._mentions(search_key(search)))
        rows, total = await page_of(self.unit.connection, query, c.id, limit=limit, offset=offset)
        return [read_flow(row) for row in rows], total

    async def using_client(
        self, auth_client_id: str, user_id: str | None, *, limit: int, offset: int, search: str = ""
    ) -> tuple[Sequence[Reference], int]:
        """List by id the flows whose current graph names a connection of an auth client; a page and the total.

        Args:
            auth_client_id: the client.
            user_id: only those of the workspaces of this user; None: all.
            limit: how many at most.
            offset: how many to pass over.
            search: what the name or the description must have in it; empty for all.
        """
        c, m, mine = flows.c, workspace_members.c, self.unit.tenant_id
        query = self.select(c.id, c.name, c.status, c.workspace_id).order_by(c.id)
        query = query.where(c.id.in_(self._naming_one_of(auth_client_id)))
        if user_id is not None:
            places = select(m.workspace_id).where(m.user_id == user_id, m.tenant_id == mine)
            query = query.where(c.workspace_id.in_(places))
        if search:
            query = query.where(self._mentions(search_key(search)))
        rows, total = await page_of(self.unit.connection, query, c.id, limit=limit, offset=offset)
        return [
            Reference(row.id, row.name, FlowStatus(row.status), row.workspace_id, ("graph",)) for row in rows
        ], total

    async def count_using_client(self, auth_client_id: str) -> int:
        """Count the flows that `using_client` lists, whosever they are."""
        named = self._naming_one_of(auth_client_id).distinct().subquery()
        return int(await self.value(select(func.count()).select_from(named)))

    async def whole(self, found: Sequence[Flow]) -> Mapping[str, Flow]:
        """Return by id those of some flows of a list that are still there, with what was left out."""
        c = flows.c
        query = self.select(c.id, cast(c.graph, Text).label("graph"), cast(c.attributes, Text).label("attributes"))
        rows = {row.id: row for row in await self.all(query.where(c.id.in_([each.id for each in found])))}
        return {
            each.id: replace(
                each,
                graph_text=rows[each.id].graph.encode(),
                attributes=await asyncio.to_thread(json.loads, rows[each.id].attributes),
            )
            for each in found
            if each.id in rows
        }

    async def _looked_through(
        self, conditions: Sequence[ColumnElement[bool]], sort: str | None, limit: int, offset: int
    ) -> tuple[Sequence[Row[Any]], int]:
        """Find a page where no index helps: each flow is looked at once, for the page and for the number of all.

        In the order of their names they would be read from all over the table, and twice.
        """
        c = flows.c
        hits = self.select(c.id, *_sorted_by(sort, c)).where(*conditions).cte("hits")
        page = select(hits.c.id).order_by(*_order(sort, hits.c)).limit(limit).offset(offset)
        number = select(func.count()).select_from(hits)
        total = number.scalar_subquery().label("total")
        query = self.select(*_columns(limit), total).where(c.id.in_(page)).order_by(*_order(sort, c))
        rows = await self.all(query)
        if rows or not offset:
            return rows, rows[0].total if rows else 0
        return rows, int(await self.value(number))

    def _naming_one_of(self, auth_client_id: str) -> "Select[Any]":
        """Return the query of the ids of flows whose current graph names one of a client's secrets, or of the first."""
        s, index, mine = auth_secrets.c, flow_secrets.c, self.unit.tenant_id
        some = select(s.id).where(s.auth_client_id == auth_client_id, s.tenant_id == mine).limit(MOST).subquery()
        return select(index.flow_id).where(index.tenant_id == mine, index.secret_id.in_(some.select()))

    def _mentions(self, key: str) -> ColumnElement[bool]:
        """Neither a pattern, in which `%` and `_` would mean something, nor the database's idea of letters."""
        find = func.strpos if self.unit.connection.dialect.name == "postgresql" else func.instr
        return or_(find(flows.c.name_key, key) > 0, find(flows.c.description_key, key) > 0)


def _columns(limit: int | None) -> list[ColumnElement[Any]]:
    c = flows.c
    light = [column for column in c if column not in _LARGE and column is not c.draft]
    return [*light, null().label("draft"), *read_along(limit, c.graph, c.attributes)]


def _sorted_by(sort: str | None, c: "Columns") -> list[ColumnElement[Any]]:
    return [c[_SORTABLE[sort.removeprefix("-")]]] if sort else []


def _order(sort: str | None, c: "Columns") -> list[ColumnElement[Any]]:
    """The id decides between equals, in the direction of the sort, so that an index gives the order."""
    columns = [*_sorted_by(sort, c), c.id]
    return [column.desc() for column in columns] if sort and sort.startswith("-") else columns
