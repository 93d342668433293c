"""Every column that holds encrypted values (the schema names them `sealed_...`), and which data key a value names."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Column, String, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from keyrack.store.schema import metadata

PREFIX = "sealed_"

SEALED_COLUMNS: Mapping[Table, Sequence[Column[Any]]] = {
    table: columns
    for table in metadata.sorted_tables
    if (columns := tuple(column for column in table.c if column.name.startswith(PREFIX)))
}
"""The columns by their table."""


class named_key(FunctionElement[str]):  # noqa: N801 - reads as a function of the database
    """The id of the data key that a value of a column was encrypted with (`keyrack.crypto.envelope`)."""

    type = String()
    inherit_cache = True
    name = "named_key"


@compiles(named_key, "postgresql")
def _postgresql(element: named_key, compiler: SQLCompiler, **more: Any) -> str:
    return f"encode(substr({compiler.process(element.clauses, **more)}, 2, 12), 'hex')"


@compiles(named_key, "sqlite")
def _sqlite(element: named_key, compiler: SQLCompiler, **more: Any) -> str:
    return f"lower(hex(substr({compiler.process(element.clauses, **more)}, 2, 12)))"
