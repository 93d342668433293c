"""Reads columns that may hold a megabyte apart from the page they belong to, in batches.

A list whose documents are small is one statement as ever. Of larger ones it says how large they are, and whoever sends
the list reads them in batches (`in_batches`), each in a unit of its own. How large a value is, the database says
without handing it out.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import lru_cache, reduce
from operator import add
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Integer, LargeBinary, case, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

T = TypeVar("T")

ALONG_BYTES = 2 << 20
"""What all rows of a page together may have read along."""
BATCH_BYTES = 1 << 20
"""What is read at once as it is stored, unless a single value is larger. Its JSON text may be longer: six bytes for a
control character, and PostgreSQL writes 1e300 out."""
_MOST_ROWS = 1000
"""Rows that a statement names one by one; also those expected of a list that is not cut into pages."""
_MEASURED = 64 * 1024
"""Bytes as PostgreSQL compressed them up to which a document is read to tell its size: most are, and must not be taken
for larger than they are."""
_SHAPES = 256
"""Pages of how many rows and columns are remembered as expressions."""
_MOST_SAVED = 255
"""How many times smaller than it is the database's compression makes a value at best (lz4; pglz: 90)."""


class size_at_most(FunctionElement[int]):  # noqa: N801 - reads as a function of the database
    """Bytes of a document or ciphertext as the database has it in memory, or more."""

    type = Integer()
    inherit_cache = True
    name = "size_at_most"


@compiles(size_at_most, "sqlite")
def _sqlite_size(element: size_at_most, compiler: SQLCompiler, **more: Any) -> str:
    return f"length(CAST({compiler.process(element.clauses, **more)} AS BLOB))"


@compiles(size_at_most, "postgresql")
def _postgresql_size(element: size_at_most, compiler: SQLCompiler, **more: Any) -> str:
    column = compiler.process(element.clauses, **more)
    if isinstance(next(iter(element.clauses)).type, LargeBinary):
        return f"octet_length({column})"
    stored = f"pg_column_size({column})"
    whole = f"pg_column_size(jsonb_path_query_first({column}, '$'))"  # of a copy, which is not compressed
    return (
        f"(CASE WHEN pg_column_compression({column}) IS NULL THEN {stored}"
        f" WHEN {stored} <= {_MEASURED} THEN {whole} ELSE {stored} * {_MOST_SAVED} END)"
    )


@lru_cache(_SHAPES)
def read_along(limit: int | None, *columns: ColumnElement[Any]) -> "tuple[ColumnElement[Any], ...]":
    """Return what a page selects in place of columns that may be large.

    Args:
        limit: how many rows the page has at most; None for all.
        columns: JSON documents and ciphertexts of one row.

    Returns:
        The columns under their names, all null where together they are large, and `left_out`: then their bytes at
        most, else 0.
    """
    share = ALONG_BYTES // min(limit or _MOST_ROWS, _MOST_ROWS)
    size = reduce(add, [func.coalesce(size_at_most(column), 0) for column in columns])
    left_out = case((size > share, size), else_=0).label("left_out")
    return (*(case((size <= share, column)).label(column.key) for column in columns), left_out)


async def in_batches(
    found: Sequence[T],
    left_out: Callable[[T], int],
    key: Callable[[T], str],
    read: Callable[[Sequence[T]], Awaitable[Mapping[str, T]]],
    owner: Callable[[T], str] = lambda _: "",
) -> AsyncIterator[T]:
    """Yield what a list found, in its order, with what was left out.

    No transaction is open while the next one is waited for, and a batch is let go before the next is read. What was
    deleted meanwhile is passed over: the list is then shorter than its total says. What `read` raises (the database
    is gone) ends the iteration; the answer, which has begun, is cut off, so that no caller takes it for whole.

    Args:
        found: of the page.
        left_out: bytes that were left out of one; 0: nothing.
        key: what it is called in the result of `read`.
        read: return some of them whole, by key, in a unit of its own.
        owner: a batch has only those of one.
    """
    batches = _batches([each for each in found if left_out(each)], left_out, owner)
    asked, whole = set[str](), dict[str, T]()
    for each in found:
        if not left_out(each):
            yield each
            continue
        name = key(each)
        if name not in asked:
            batch = next(batches)
            asked, whole = {key(one) for one in batch}, {}
            whole = dict(await read(batch))
        if (one := whole.pop(name, None)) is not None:
            yield one


def _batches(found: Sequence[T], left_out: Callable[[T], int], owner: Callable[[T], str]) -> Iterator[Sequence[T]]:
    batch, size = list[T](), 0
    for each in found:
        full = size + left_out(each) > BATCH_BYTES or len(batch) == _MOST_ROWS
        if batch and (full or owner(each) != owner(batch[0])):
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += left_out(each)
    if batch:
        yield batch
