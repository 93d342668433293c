"""Lists of a workspace's flows: filtered, searched, sorted and cut into pages in the database (contract section 17)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, or_

from keyrack.model import Flow
from keyrack.store.flows import read_flow
from keyrack.store.paging import page_of
from keyrack.store.schema import flows
from keyrack.store.search_key import search_key
from keyrack.store.unit import TenantTable

_SORTABLE = {"created_at": flows.c.created_at, "updated_at": flows.c.updated_at, "name": flows.c.name_key}


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
        """List a workspace's flows; return a page and the total."""
        c = flows.c
        conditions = [c.workspace_id == workspace_id]
        equal = {c.status: wanted.status, c.type: wanted.type, c.user_id: wanted.user_id}
        conditions += [column == value for column, value in equal.items() if value]
        if wanted.has_draft is not None:
            conditions.append(c.draft.is_not(None) if wanted.has_draft else c.draft.is_(None))
        if wanted.search:
            conditions.append(self._mentions(search_key(wanted.search)))
        query = self.select().where(*conditions).order_by(*_order(wanted.sort))
        rows, total = await page_of(self, query, c.id, limit=limit, offset=offset)
        return [read_flow(row) for row in rows], total

    def _mentions(self, key: str) -> ColumnElement[bool]:
        """Neither a pattern, in which `%` and `_` would mean something, nor the database's idea of letters."""
        find = func.strpos if self.unit.connection.dialect.name == "postgresql" else func.instr
        return or_(find(flows.c.name_key, key) > 0, find(flows.c.description_key, key) > 0)


def _order(sort: str | None) -> list[ColumnElement[Any]]:
    """The id decides between equals, in the direction of the sort, so that an index gives the order."""
    if not sort:
        return [flows.c.id]
    columns = [_SORTABLE[sort.removeprefix("-")], flows.c.id]
    return [column.desc() for column in columns] if sort.startswith("-") else [*columns]
