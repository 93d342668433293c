"""Reads pages of lists: only the rows of the page, with a count only where the page does not tell it."""

import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any, TypeVar

import structlog
from sqlalchemy import ColumnElement, Integer, Row, Select, Subquery, Table, bindparam, func, select, union_all

from keyrack import metrics
from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import WrongKey
from keyrack.store.core.connection import Connection
from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.turns import Turns

log = structlog.get_logger()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class After:
    """Where a stretch of a list begins: what came before it is not counted and not passed over, however much it is.

    So a list is read from end to end in stretches, each in a unit of its own. What is in the list all the time is in
    exactly one of them; what comes or goes meanwhile may be in one.

    Attributes:
        key: of the last row before it, in the order of the list; None: there is none.
    """

    key: str | int | None = None


async def opened(rows: "Sequence[Row[Any]]", read: "Callable[[Row[Any]], Awaitable[T]]") -> list[T]:
    """Read rows that have to be decrypted; however much there is, others get their turn in between."""
    found, turns = [], Turns()
    for row in rows:
        found.append(await read(row))
        await turns.step()
    return found


async def readable(
    rows: "Sequence[Row[Any]]", read: "Callable[[Row[Any]], Awaitable[T]]", without: "Callable[[Row[Any]], T]"
) -> list[T]:
    """Read rows as `opened`; one whose ciphertext is damaged costs itself, not the list.

    Args:
        rows: of one list.
        read: decrypts a row.
        without: makes of a damaged row what can be told of it. It is logged and counted each time.
    """

    async def tolerant(row: "Row[Any]") -> T:
        with suppress(DecryptionFailed, WrongKey, ValueError):  # ValueError: what was opened is no JSON
            return await read(row)
        log.error("a stored value cannot be decrypted; it is left out of a list", row=row.id)
        metrics.unreadable_value()
        return without(row)

    return await opened(rows, tolerant)


async def page_of(
    connection: Connection,
    query: "Select[Any]",
    key: ColumnElement[Any],
    *,
    parts: "Sequence[Select[Any]] | None" = None,
    limit: int | None,
    offset: int | After,
) -> tuple[Sequence[Row[Any]], int]:
    """Read a page of a list, or a stretch of one that is read from end to end.

    Args:
        connection: where to run the query.
        query: all rows of the list, in its order; with parts it may be more than the list's.
        key: the column that names a row. What is passed over is read from an index alone and not row by row: the
            page is first found by this column.
        parts: the keys of the same rows, each found by one of these simpler queries, which an index answers alone; the
            list is in the order of keys. Without parts `query` is asked.
        limit: how many at most; None for all.
        offset: how many to pass over, or where a stretch begins; then the list is in the order of `key`.

    Returns:
        The rows of the page and the number of all; the rows of a stretch and their number.
    """
    if isinstance(offset, After):
        rows = (await connection.execute(_stretch(query, key, parts, limit, offset))).all()
        return rows, len(rows)
    chosen = query
    if limit is not None:
        chosen = query.limit(limit)
        if parts:
            chosen = query.where(key.in_(_merged(parts).limit(limit).offset(offset)))
        elif offset:
            keys = query.with_only_columns(key, maintain_column_froms=True)
            chosen = query.where(key.in_(keys.limit(limit).offset(offset)))
    elif parts:
        chosen = query.where(key.in_(union_all(*parts)))
    rows = (await connection.execute(chosen)).all()
    if _tells_total(len(rows), limit, offset):
        return rows, offset + len(rows)
    counted = query.with_only_columns(func.count(), maintain_column_froms=True).order_by(None)
    number = await connection.execute(_counted(parts) if parts else counted)
    return rows, int(number.scalar_one())


async def keys_in_groups(
    connection: Connection, groups: "Sequence[Sequence[Select[Any]]]", *, limit: int, offset: int
) -> tuple[Sequence[Row[Any]], int]:
    """Read the keys of a page of a list that is made of groups, one after the other.

    Args:
        connection: where to run the queries.
        groups: each as the parts of which it is the sum; no row is in two parts. A part selects the columns by which a
            group is in order, and an index gives them in that order.
        limit: how many at most.
        offset: how many to pass over.

    Returns:
        The columns of the rows of the page, and the number of all rows.
    """
    found, total = list[Row[Any]](), 0
    for parts in groups:
        number = int((await connection.execute(_counted(parts))).scalar_one())
        passed, wanted = max(0, offset - total), limit - len(found)
        if passed < number and wanted > 0:
            found += (await connection.execute(_merged(parts).limit(wanted).offset(passed))).all()
        total += number
    return found, total


class PagedQuery:
    """A list of one tenant's rows, for one way to narrow it: its statements are made once, each when it is needed.

    For lists that are asked for often; `page_of` builds the statements of others anew each time.

    Args:
        table: whose rows are the tenant's.
        query: all rows of the list, in its order; its values are named parameters, others than `most`, `over`, `last`.
        key: the column that names a row.
    """

    def __init__(self, table: Table, query: "Select[Any]", key: ColumnElement[Any]) -> None:
        self._table = table
        self._query = query
        self._key = key

    async def page(
        self, owner: TenantTable, *, limit: int | None, offset: int | After, **values: Any
    ) -> tuple[Sequence[Row[Any]], int]:
        """Read a page or a stretch, as `page_of`.

        Args:
            owner: of the tenant whose list it is.
            limit: how many at most; None for all.
            offset: how many to pass over, or where a stretch begins; then the list is in the order of the key.
            values: of the query's parameters.
        """
        if isinstance(offset, After):
            if offset.key is None:
                rows = await owner.ask(self._first, most=limit, **values)
            else:
                rows = await owner.ask(self._next, most=limit, last=offset.key, **values)
            return rows, len(rows)
        if limit is None:
            rows = await owner.ask(self._every, **values)
        elif offset:
            rows = await owner.ask(self._later, most=limit, over=offset, **values)
        else:
            rows = await owner.ask(self._first, most=limit, **values)
        if _tells_total(len(rows), limit, offset):
            return rows, offset + len(rows)
        return rows, int((await owner.ask(self._count, **values))[0].number)

    @cached_property
    def _every(self) -> TenantQuery:
        return TenantQuery(self._table, self._query, scans=True)

    @cached_property
    def _first(self) -> TenantQuery:
        return TenantQuery(self._table, self._query.limit(_MOST), scans=True)

    @cached_property
    def _next(self) -> TenantQuery:
        return TenantQuery(self._table, self._query.where(self._key > bindparam("last")).limit(_MOST), scans=True)

    @cached_property
    def _later(self) -> TenantQuery:
        keys = self._query.with_only_columns(self._key, maintain_column_froms=True)
        keys = keys.where(TenantQuery.condition(self._table)).limit(_MOST).offset(_OVER)
        return TenantQuery(self._table, self._query.where(self._key.in_(keys)), scans=True)

    @cached_property
    def _count(self) -> TenantQuery:
        number = func.count().label("number")
        counted = self._query.with_only_columns(number, maintain_column_froms=True).order_by(None)
        return TenantQuery(self._table, counted, scans=True)


def _tells_total(found: int, limit: int | None, offset: int) -> bool:
    """Tell whether a page of so many rows says by itself how many there are in all."""
    return limit is None or 0 < found < limit or (offset == 0 and not found)


_MOST, _OVER = bindparam("most", type_=Integer), bindparam("over", type_=Integer)


def _stretch(
    query: "Select[Any]",
    key: ColumnElement[Any],
    parts: "Sequence[Select[Any]] | None",
    limit: int | None,
    begin: After,
) -> "Select[Any]":
    parts = parts or ()
    if begin.key is not None:
        query, parts = query.where(key > begin.key), [part.where(key > begin.key) for part in parts]
    if parts:
        query = query.where(key.in_(_merged(parts).limit(limit)))
    return query.limit(limit)


def _merged(parts: "Sequence[Select[Any]]") -> "Select[Any]":
    every = union_all(*(select(*part.c) for part in _in_order(parts))).subquery()
    return select(*every.c).order_by(*every.c)


def _counted(parts: "Sequence[Select[Any]]") -> "Select[Any]":
    return select(reduce(add, [select(func.count()).select_from(part).scalar_subquery() for part in _in_order(parts)]))


def _in_order(parts: "Sequence[Select[Any]]") -> "Sequence[Subquery]":
    """Let each part say the order: PostgreSQL else sorts all of them, and reads the table rather than an index."""
    return [part.order_by(*part.selected_columns).subquery() for part in parts]


def search_key(text: str) -> str:
    """Return a text without what searching ignores: caseless as Unicode says, so every database compares alike."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
