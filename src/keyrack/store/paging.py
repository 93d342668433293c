"""Pages of lists: only the rows of the page are read, and all are counted only where the page does not tell."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Select, func

from keyrack.store.unit import TenantTable

T = TypeVar("T")
_TURN = 100


async def opened(rows: "Sequence[Row[Any]]", read: "Callable[[Row[Any]], Awaitable[T]]") -> list[T]:
    """Read rows that have to be decrypted; however many there are, others get their turn in between."""
    found = []
    for index, row in enumerate(rows):
        if index % _TURN == _TURN - 1:
            await asyncio.sleep(0)
        found.append(await read(row))
    return found


async def page_of(
    table: TenantTable,
    query: "Select[Any]",
    key: ColumnElement[Any],
    *,
    narrow: "Select[Any] | None" = None,
    limit: int | None,
    offset: int,
) -> tuple[Sequence[Row[Any]], int]:
    """Read a page of a list.

    Args:
        table: where to run the query.
        query: all rows of the list, in its order.
        key: the column that names a row. What is passed over is read from an index alone and not row by row: the
            page is first found by this column.
        narrow: the same rows in the same order by a simpler query, without what is only joined to be shown.
        limit: how many at most; None for all.
        offset: how many to pass over.

    Returns:
        The rows of the page and the number of all.
    """
    base, chosen = query if narrow is None else narrow, query
    if limit is not None:
        chosen = query.limit(limit)
        if offset or narrow is not None:
            keys = base.with_only_columns(key, maintain_column_froms=True).limit(limit).offset(offset)
            chosen = query.where(key.in_(keys))
    rows = await table.all(chosen)
    if limit is None or 0 < len(rows) < limit or (offset == 0 and not rows):
        return rows, offset + len(rows)
    counted = base.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    return rows, int(await table.value(counted))
