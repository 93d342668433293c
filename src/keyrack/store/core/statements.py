"""Makes drivers' statements of SQLAlchemy Core's: SQL with its parameters in order, once for each and remembered.

A `Query` or `Change` is made when its module is imported, from an expression whose values are named parameters. A
method of the store asks for its rows, or runs it; how that is done on which database is none of its business.
"""

import json
import keyword
from collections import namedtuple
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import msgspec
from sqlalchemy import Delete, Dialect, Executable, Insert, SelectBase, Update
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util import LRUCache

if TYPE_CHECKING:
    from keyrack.store.core.connection import Connection

_REMEMBERED = 2000
"""Shapes of statements that are kept for each database, those used last; now and then half as many more."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CompiledStatement:
    """A statement's text for a driver.

    Attributes:
        text: with the driver's placeholders.
        parameters: names of the bound parameters in the order of the placeholders.
        constants: values of the parameters that the statement itself gives a value, by name.
        write: by name, what makes of a parameter's value the driver's, where they differ.
        read: makes of a driver's row one with named members and Python's values; a plain tuple of a text's row.
        returns_rows: whether rows come back.
        expand: gives text and parameters for an IN over values that are known only when it is run, if there is one.
    """

    text: str
    parameters: tuple[str, ...]
    constants: Values
    write: Mapping[str, Callable[[Any], Any]]
    read: Callable[[Sequence[Any]], Any]
    returns_rows: bool
    expand: Callable[[Values], tuple[str, list[Any]]] | None = None

    def bound(self, values: Values) -> tuple[str, list[Any]]:
        """Return what a driver takes: the text, and the values of the parameters in order."""
        if self.constants:
            values = {**self.constants, **values}
        if self.expand is not None:
            return self.expand(values)
        write = self.write
        if not write:
            return self.text, [values[name] for name in self.parameters]
        return self.text, [write[name](values[name]) if name in write else values[name] for name in self.parameters]


class StatementDialect:
    """Compiles statements for one driver.

    Attributes:
        name: `postgresql` or `sqlite`.

    Args:
        dialect: whose text and placeholders to use.
        values: whose rules say what a driver's values mean; those of `dialect` by default.
    """

    def __init__(self, dialect: Dialect, values: Dialect | None = None) -> None:
        self.name = dialect.name
        self._dialect = dialect
        self._values = values or dialect
        self._shapes: LRUCache[Any, tuple[SQLCompiler, CompiledStatement]] = LRUCache(_REMEMBERED)

    def compile(self, statement: Executable) -> CompiledStatement:
        """Compile a statement; its parameters without a value of their own are given when it is run."""
        return self._made(statement, self._compiler(statement, None, ()))

    def shaped(
        self, statement: Executable, given: Values, columns: Sequence[str] = ()
    ) -> tuple[CompiledStatement, Values]:
        """Return a statement as compiled for the first of its shape, and its values.

        Args:
            statement: values may be anywhere in it.
            given: values of its named parameters.
            columns: of an insertion that has its values from `given`.
        """
        key = statement._generate_cache_key()  # type: ignore[attr-defined]  # noqa: SLF001 - SQLAlchemy has no other name for it
        if key is None:
            return self._made(statement, self._compiler(statement, None, columns)), given
        shape = (key.key, tuple(columns))
        known = self._shapes.get(shape)
        if known is None:
            compiler = self._compiler(statement, key, columns)
            made = replace(self._made(statement, compiler), constants={})  # the next of this shape has other values
            known = self._shapes[shape] = compiler, made
        compiler, made = known
        return made, compiler.construct_params(dict(given), extracted_parameters=key.bindparams)

    def _compiler(self, statement: Executable, key: Any, columns: Sequence[str]) -> SQLCompiler:
        compiled: SQLCompiler = statement.compile(  # type: ignore[attr-defined] # of all that runs
            dialect=self._dialect, cache_key=key, column_keys=list(columns) or None
        )
        return compiled

    def _made(self, statement: Executable, compiler: SQLCompiler) -> CompiledStatement:
        rules = self._values
        write = {
            name: processor
            for name, bound in compiler.binds.items()
            if (processor := bound.type.dialect_impl(rules).bind_processor(rules)) is not None
        }
        constants = {name: bound.effective_value for name, bound in compiler.binds.items() if not bound.required}
        columns = _columns(statement)
        return CompiledStatement(
            str(compiler),
            tuple(compiler.positiontup or ()),
            constants,
            write,
            self._reader(columns) if columns else tuple,
            columns is None or bool(columns),
            _expansion(compiler, write) if compiler.post_compile_params else None,
        )

    def _reader(self, columns: Sequence[Any]) -> Callable[[Sequence[Any]], Any]:
        processors = [column.type.dialect_impl(self._values).result_processor(self._values, None) for column in columns]
        needed = [(place, processor) for place, processor in enumerate(processors) if processor is not None]
        row_type = _row_type([str(getattr(column, "name", "")) for column in columns])
        if not needed:
            make: Callable[[Sequence[Any]], Any] = row_type._make
            return make

        def read(row: Sequence[Any]) -> Any:
            values = list(row)
            for place, processor in needed:
                values[place] = processor(values[place])
            return row_type._make(values)

        return read


def _expansion(
    compiler: SQLCompiler, write: Mapping[str, Callable[[Any], Any]]
) -> Callable[[Values], tuple[str, list[Any]]]:
    """Return what gives each value of an IN a placeholder of its own."""

    def expand(values: Values) -> tuple[str, list[Any]]:
        state = compiler.construct_expanded_state(dict(values))
        parents = {name: parent for parent, names in state.parameter_expansion.items() for name in names}
        arguments = []
        for name in state.positiontup or ():
            processor = write.get(parents.get(name, name))
            value = state.parameters[name]
            arguments.append(value if processor is None else processor(value))
        return state.statement, arguments

    return expand


def _row_type(names: Sequence[str]) -> Any:
    """Return a type for rows with these columns; a column whose name was there before goes by its number.

    Raises:
        ValueError: a column has the name of a Python keyword, so no row could have a member of that name.
    """
    if any(keyword.iskeyword(name) for name in names):
        raise ValueError("a column has the name of a Python keyword")
    return namedtuple("Row", names, rename=True)  # noqa: PYI024 - the members are the query's


def _columns(statement: Executable) -> Sequence[Any] | None:
    """Return the columns of the rows that come back; None where only the database knows."""
    if isinstance(statement, Insert | Update | Delete):
        return list(statement.exported_columns)
    selected = getattr(statement, "selected_columns", None)
    return None if selected is None else list(selected)


def parsed(stored: str | bytes) -> Any:
    """Parse JSON that was stored; what others' JSON may have and this parser refuses, the slower one takes.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return msgspec.json.decode(stored)
    except (msgspec.DecodeError, UnicodeError):
        return json.loads(stored)


POSTGRESQL = StatementDialect(
    asyncpg.dialect(),  # type: ignore[no-untyped-call] # SQLAlchemy leaves its dialects untyped
    PGDialect(json_deserializer=parsed),  # type: ignore[no-untyped-call] # as above
)
SQLITE = StatementDialect(sqlite.dialect(paramstyle="qmark", json_deserializer=parsed))


class Statement:
    """A statement with named parameters, compiled once for each database.

    Args:
        expression: values that differ from one use to the next are named bound parameters.
        scans: whether it may look at many rows; on SQLite it then runs where it does not hold up others.
    """

    def __init__(self, expression: Executable, *, scans: bool = False) -> None:
        self.expression = expression
        self.scans = scans
        self._compiled: dict[str, CompiledStatement] = {}

    def compiled(self, dialect: StatementDialect) -> CompiledStatement:
        """Return the statement for a driver."""
        made = self._compiled.get(dialect.name)
        if made is None:
            made = self._compiled[dialect.name] = dialect.compile(self.expression)
        return made


class Query(Statement):
    """A query with named parameters, compiled once for each database."""

    def __init__(self, select: SelectBase, *, scans: bool = False) -> None:
        super().__init__(cast("Executable", select), scans=scans)

    async def rows(self, connection: "Connection", **values: Any) -> Sequence[Any]:
        """Run the query; return its rows, which have the columns as members.

        Args:
            connection: of a unit of work.
            values: the parameters, by name.
        """
        return (await connection.perform(self.compiled(connection.dialect), values, scans=self.scans)).rows


class Change(Statement):
    """An insertion, update or deletion with named parameters, compiled once for each database."""

    def __init__(self, change: Insert | Update | Delete, *, scans: bool = False) -> None:
        super().__init__(change, scans=scans)

    async def rows(self, connection: "Connection", **values: Any) -> Sequence[Any]:
        """Make the change; return what its RETURNING says of each row, with the columns as members."""
        return (await connection.perform(self.compiled(connection.dialect), values, scans=self.scans)).rows

    async def run(self, connection: "Connection", **values: Any) -> int:
        """Make the change; return how many rows it touched."""
        return (await connection.perform(self.compiled(connection.dialect), values, scans=self.scans)).rowcount

    async def run_each(self, connection: "Connection", rows: Sequence[Values]) -> int:
        """Make the change once for each of several rows of values; return what `Connection.perform_each` counts."""
        return (await connection.perform_each(self.compiled(connection.dialect), rows)).rowcount
