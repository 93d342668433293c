"""Queries that are compiled once, from the same Core expressions as all others, and run on the raw driver.

A `Query` is made when its module is imported, from an expression whose values are named parameters. A method of the
store asks for its rows; how they are had is none of its business.
"""

import keyword
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
from sqlalchemy import Dialect, Select
from sqlalchemy.dialects.postgresql import asyncpg as postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

from keyrack.errors import DatabaseUnavailable


@dataclass(frozen=True, slots=True)
class CompiledQuery:
    """A query's text for a driver.

    Attributes:
        text: with the driver's placeholders.
        parameters: names of the bound parameters in the order of the placeholders.
        write: by name, what makes of a parameter's value the driver's, where they differ.
        read: makes of a driver's row one with named members and Python's values, as SQLAlchemy would.
    """

    text: str
    parameters: tuple[str, ...]
    write: Mapping[str, Callable[[Any], Any]]
    read: Callable[[Sequence[Any]], Any]


def compiled(query: "Select[Any]", dialect: Dialect, values: Dialect | None = None) -> CompiledQuery:
    """Compile a query.

    Args:
        query: all its values are named bound parameters.
        dialect: whose placeholders to use.
        values: whose rules say what a driver's values mean; those of `dialect` by default.

    Raises:
        ValueError: a column has the name of a Python keyword, so no row could have a member of that name.
    """
    made = query.compile(dialect=dialect)
    columns = list(query.selected_columns)
    rules = values or dialect
    processors = [column.type.dialect_impl(rules).result_processor(rules, None) for column in columns]
    needed = [(place, processor) for place, processor in enumerate(processors) if processor is not None]
    names = [str(column.name) for column in columns]
    if any(keyword.iskeyword(name) for name in names):
        raise ValueError("a column has the name of a Python keyword")
    row_type = namedtuple("Row", names)  # type: ignore[misc] # noqa: PYI024 - the members are the query's columns

    def read(row: Sequence[Any]) -> Any:
        row_values = list(row)
        for place, processor in needed:
            row_values[place] = processor(row_values[place])
        return row_type._make(row_values)

    writers = {
        name: processor
        for name, bound in made.binds.items()
        if (processor := bound.type.dialect_impl(rules).bind_processor(rules)) is not None
    }
    return CompiledQuery(str(made), tuple(made.positiontup or ()), writers, read)


_ASYNCPG = postgresql.dialect()  # type: ignore[no-untyped-call] # SQLAlchemy leaves its dialects untyped


class Query:
    """A query with named parameters, compiled once.

    Where there is no transaction, PostgreSQL's driver runs it itself, which saves SQLAlchemy's look-up and greenlet. In
    a transaction, which SQLAlchemy began, and on SQLite it goes through SQLAlchemy.

    Args:
        select: all its values are named bound parameters.
    """

    def __init__(self, select: "Select[Any]") -> None:
        self._select = select
        self._compiled = compiled(select, _ASYNCPG)

    @property
    def text(self) -> str:
        """What PostgreSQL is asked."""
        return self._compiled.text

    async def rows(self, connection: AsyncConnection, **values: Any) -> Sequence[Any]:
        """Run the query; return its rows, which have the columns as members.

        Args:
            connection: of a unit of work.
            values: the parameters, by name.

        Raises:
            DatabaseUnavailable: the server closed the connection.
        """
        driver = driver_of(connection)
        if driver is None:
            rows: Sequence[Any] = (await connection.execute(self._select, values)).all()
            return rows
        made = self._compiled
        given = [made.write[name](values[name]) if name in made.write else values[name] for name in made.parameters]
        try:
            found = await driver.fetch(made.text, *given)
        except asyncpg.PostgresError as error:
            if driver.is_closed():
                raise DatabaseUnavailable from error
            raise
        return [made.read(row) for row in found]


def driver_of(connection: AsyncConnection) -> Any | None:
    """Return the driver's own connection, if it is PostgreSQL's and no transaction is to be begun on it."""
    sync = connection.sync_connection
    adapter: Any = None if sync is None else sync.connection.dbapi_connection
    return adapter.driver_connection if getattr(adapter, "autocommit", False) is True else None
