"""Pages of lists: only the rows of the page are read, and all are counted only where the page does not tell."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func

from keyrack.store.unit import TenantTable


async def page_of(
    table: TenantTable, query: "Select[Any]", key: ColumnElement[Any], *, limit: int | None, offset: int
) -> tuple[Sequence[Row[Any]], int]:
    """Read a page of a list.

    Args:
        table: where to run the query.
        query: all rows of the list, in its order.
        key: the column that names a row. What is passed over is read from an index alone and not row by row: the
            page is first found by this column.
        limit: how many at most; None for all.
        offset: how many to pass over.

    Returns:
        The rows of the page and the number of all.
    """
    chosen = query
    if limit is not None:
        chosen = query.limit(limit)
        if offset:
            keys = query.with_only_columns(key, maintain_column_froms=True).limit(limit).offset(offset)
            chosen = query.where(key.in_(keys))
    rows = await table.all(chosen)
    if limit is None or 0 < len(rows) < limit or (offset == 0 and not rows):
        return rows, offset + len(rows)
    counted = query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    return rows, int(await table.value(counted))
