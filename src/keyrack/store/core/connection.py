"""What a unit of work has of a database: a connection that runs statements, whichever database it is."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from enum import Enum
from types import MappingProxyType
from typing import Any

from sqlalchemy import Executable

from keyrack.store.core.statements import CompiledStatement, StatementDialect, Values


class UnitMode(Enum):
    """How statements belong together (decision 17)."""

    read = "read"
    """Each sees what is committed when it begins: there is no transaction, whose beginning and end would be two more
    round trips."""

    write = "write"
    """One transaction. SQLite takes its lock at once, so that two writers queue up instead of failing when the second
    one wants to upgrade."""

    each = "each"
    """Each is a transaction of its own: for a single change, which needs no beginning and end around it."""

    snapshot = "snapshot"
    """One transaction that sees all as of one moment, and does not write."""


class Result:
    """What came of a statement.

    Attributes:
        rows: with the columns as members.
        rowcount: how many rows were found or touched.
    """

    __slots__ = ("rowcount", "rows")

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self.rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        """Go through the rows."""
        return iter(self.rows)

    def all(self) -> Sequence[Any]:
        """Return the rows."""
        return self.rows

    def first(self) -> Any | None:
        """Return the first row, or None."""
        return self.rows[0] if self.rows else None

    def one_or_none(self) -> Any | None:
        """Return the only row, or None.

        Raises:
            LookupError: there are several.
        """
        if len(self.rows) > 1:
            raise LookupError("several rows where one was expected")
        return self.first()

    def one(self) -> Any:
        """Return the only row.

        Raises:
            LookupError: there is none, or there are several.
        """
        row = self.one_or_none()
        if row is None:
            raise LookupError("no row where one was expected")
        return row

    def scalar(self) -> Any | None:
        """Return the first value of the first row, or None."""
        return self.rows[0][0] if self.rows else None

    def scalar_one(self) -> Any:
        """Return the only value.

        Raises:
            LookupError: there is no row, or there are several.
        """
        return self.one()[0]

    def column(self) -> list[Any]:
        """Return the first value of each row."""
        return [row[0] for row in self.rows]


class Connection(ABC):
    """A database's connection, within a unit of work.

    Attributes:
        dialect: what compiles its statements.
        mode: how the unit's statements belong together.
    """

    dialect: StatementDialect
    mode: UnitMode

    async def execute(self, statement: Executable, rows: Values | Sequence[Values] = MappingProxyType({})) -> Result:
        """Run a statement that was built for this once; those that run often are a `Query` or a `Change`.

        Args:
            statement: with its values in it.
            rows: values of its named parameters; or the rows of an insertion, each with the same columns.
        """
        if isinstance(rows, Mapping):
            compiled, values = self.dialect.shaped(statement, rows)
            return await self.perform(compiled, values, scans=True)
        compiled, _ = self.dialect.shaped(statement, rows[0], list(rows[0]))
        return await self.perform_each(compiled, rows)

    async def perform(self, statement: CompiledStatement, values: Values, *, scans: bool) -> Result:
        """Run a compiled statement: every statement but those of `perform_each` comes through here.

        Args:
            statement: compiled for this database.
            values: of its parameters, by name.
            scans: whether it may look at many rows.

        Raises:
            DatabaseUnavailable: the database cannot be used.
            ConstraintViolated: a rule of the schema forbids it.
        """
        text, arguments = statement.bound(values)
        return await self._run(statement, text, arguments, scans=scans)

    async def perform_each(self, statement: CompiledStatement, rows: Sequence[Values]) -> Result:
        """Run a compiled statement for each of several rows of values; raises as `perform`.

        Returns:
            No rows, and how many were touched. PostgreSQL says that only of a statement that returns them; of others it
            is as many as were given.
        """
        arguments = [statement.bound(row)[1] for row in rows]
        return Result((), await self._run_each(statement, arguments))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the block does if it raises; the transaction goes on."""
        await self._command("SAVEPOINT inner_part")
        try:
            yield
        except Exception:
            await self._command("ROLLBACK TO SAVEPOINT inner_part")
            raise
        await self._command("RELEASE SAVEPOINT inner_part")

    @abstractmethod
    async def _run(
        self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool
    ) -> Result: ...

    async def _run_each(self, statement: CompiledStatement, rows: Sequence[Sequence[Any]]) -> int:
        del statement, rows
        raise RuntimeError(f"a unit of mode {self.mode.value} was asked to insert rows")

    async def _command(self, text: str) -> None:
        del text
        raise RuntimeError(f"a unit of mode {self.mode.value} was asked for a savepoint")


class Database(ABC):
    """A database of either kind.

    Attributes:
        dialect: what compiles its statements.
    """

    dialect: StatementDialect

    @abstractmethod
    def unit(self, mode: UnitMode, holder: str) -> AbstractAsyncContextManager[Connection]:
        """Give a unit of work a connection, when its turn has come.

        Args:
            mode: how its statements belong together.
            holder: who needs it; connections are divided among holders (`keyrack.fair_share`).

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way, or no turn came in time.
            ConstraintViolated: a rule of the schema forbids what was done.
        """

    @abstractmethod
    def require_room(self) -> None:
        """Insist that the database's disk has room for more than a moment's writes, as far as can be seen from here.

        Raises:
            DiskFull: it has not.
        """

    @abstractmethod
    def connections(self) -> tuple[int, int]:
        """Return how many connections are in use, and how many there may be."""

    @abstractmethod
    async def close(self) -> None:
        """Close all connections."""
