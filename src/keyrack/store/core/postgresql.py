"""Runs statements on PostgreSQL through asyncpg.

Each is prepared once on a connection. A unit that only reads has no transaction; when its connection turns out to be
dead it asks again on a new one.

Behind a pooler that gives each transaction another connection of the server and does not carry prepared statements
along, each unit is a transaction, and nothing is prepared for later: preparing and running are two messages, and only a
transaction sees to it that both reach the same connection (decision 51).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import asyncpg

from keyrack import metrics
from keyrack.fair_share import FairSlots
from keyrack.store.core.connecting import UNPREPARED, Connector
from keyrack.store.core.connection import Connection, Database, Result, UnitMode
from keyrack.store.core.database_errors import LOST, ConstraintViolated, broken_rule
from keyrack.store.core.statements import POSTGRESQL, CompiledStatement
from keyrack.turns import Turns

_READ_AT_ONCE = 4
_BEGIN = {
    UnitMode.write: "BEGIN",
    UnitMode.snapshot: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
}

_inside: ContextVar["asyncio.Task[Any] | None"] = ContextVar("inside", default=None)
"""The task that is in a unit: one that begins another inside of it waits for no place, as it could wait for itself."""


class PostgresqlDatabase(Database):
    """A pool of connections to PostgreSQL.

    Args:
        connect: makes a connection.
        size: how many there may be.
        patience: how long a unit waits for its turn, seconds.
    """

    dialect = POSTGRESQL

    def __init__(self, connect: Connector, size: int, patience: float) -> None:
        self._connect = connect
        self._size = size
        self._patience = patience
        self._places = FairSlots(size)
        self._idle: list[Any] = []
        self._used = 0

    @asynccontextmanager
    async def unit(self, mode: UnitMode, holder: str) -> AsyncIterator[Connection]:
        """Give a unit of work a connection, when its turn has come."""
        task = asyncio.current_task()
        nested = _inside.get() is task
        if not nested:
            began = time.perf_counter()
            try:
                await self._places.take_within(holder, self._patience)
            finally:
                metrics.database_waited(time.perf_counter() - began)
            _inside.set(task)
        try:
            connection = PostgresqlConnection(self, mode)
            self._used += 1
            try:
                await connection.begin()
                yield connection
                await connection.commit()
            except Exception:
                await connection.roll_back()
                raise
            finally:
                self._used -= 1
                self._give_back(connection.let_go())
        finally:
            if not nested:
                _inside.set(None)
                self._places.give_back(holder)

    async def take(self) -> Any:
        """Return a connection of the driver's, which nobody else uses: the one used last, if it is not closed."""
        while self._idle:
            raw = self._idle.pop()
            if not raw.is_closed():
                return raw
        return await self._connect()

    async def take_new(self) -> Any:
        """Return a new connection of the driver's."""
        return await self._connect()

    def begins(self, mode: UnitMode) -> str | None:
        """Return what a unit begins with; None: nothing, as it has no transaction."""
        return _BEGIN.get(mode) or (None if self._connect.prepares else "BEGIN")

    def lost_statement(self) -> None:
        """Note that a prepared statement was not there any more; all connections are made anew."""
        self._connect.lost_statement()
        while self._idle:
            self._idle.pop().terminate()

    def require_room(self) -> None:
        """Its disk cannot be seen from here."""

    def connections(self) -> tuple[int, int]:
        """Return how many connections are in use, and how many there may be."""
        return self._used, self._size

    async def close(self) -> None:
        """Close all connections that are not in use."""
        while self._idle:
            raw = self._idle.pop()
            try:
                await raw.close(timeout=1)
            except Exception:  # noqa: BLE001 - whatever it is, the connection is to end
                raw.terminate()

    def _give_back(self, raw: Any | None) -> None:
        if raw is None or raw.is_closed():
            return
        if len(self._idle) < self._size and raw.prepares is self._connect.prepares:
            self._idle.append(raw)
        else:
            raw.terminate()


class PostgresqlConnection(Connection):
    """A connection to PostgreSQL within a unit."""

    dialect = POSTGRESQL

    def __init__(self, database: PostgresqlDatabase, mode: UnitMode) -> None:
        self.mode = mode
        self._database = database
        self._raw: Any = None
        self._unfinished = False
        self._in_transaction = False
        self._has_run = False

    async def begin(self) -> None:
        """Get a connection of the driver's, and begin the transaction if there is to be one."""
        self._raw = await self._database.take()
        begin = self._database.begins(self.mode)
        if begin is None:
            return
        self._unfinished = self._in_transaction = True
        try:
            await self._raw.execute(begin)
        except TimeoutError:  # which is an OSError too; a database that hangs is not asked twice
            raise
        except LOST:  # it was closed while nobody used it
            await self._begin_anew()

    async def commit(self) -> None:
        """End the transaction, if there is one."""
        if self._in_transaction:
            ended = await self._raw.execute("COMMIT")
            self._unfinished = self._in_transaction = False
            if ended != "COMMIT":
                raise RuntimeError("a unit went on after a statement of it had failed; nothing of it is stored")

    async def roll_back(self) -> None:
        """End the transaction, if there is one, as if nothing had been done."""
        if self._in_transaction and self._raw is not None and not self._raw.is_closed():
            try:
                await self._raw.execute("ROLLBACK")
            except (asyncpg.PostgresError, *LOST):
                return  # what is unfinished is let go with its connection
            self._unfinished = self._in_transaction = False

    def let_go(self) -> Any | None:
        """Return the driver's connection, if it may serve another unit: nothing is unfinished on it."""
        raw, self._raw = self._raw, None
        if raw is None or not self._unfinished:
            return raw
        raw.terminate()
        return None

    async def _run(self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool) -> Result:
        unfinished, self._unfinished = self._unfinished, True  # whoever is cancelled leaves an answer to come
        try:
            result = await self._asked(statement, text, arguments, scans=scans)
        except TimeoutError:
            raise
        except UNPREPARED:  # it was not run
            self._lost_statement()
            if self._in_transaction and self._has_run:
                raise
            await self._begin_anew()
            result = await self._asked(statement, text, arguments, scans=scans)
            unfinished = self._in_transaction
        except LOST:
            if self.mode is not UnitMode.read:
                raise
            await self._begin_anew()
            result = await self._asked(statement, text, arguments, scans=scans)
            unfinished = self._in_transaction
        except asyncpg.ReadOnlySQLTransactionError:
            if self.mode is not UnitMode.snapshot:
                self._raw.terminate()  # it leads to a standby, or to what has become one
            raise
        except asyncpg.IntegrityConstraintViolationError as error:
            self._unfinished = unfinished
            raise ConstraintViolated(
                broken_rule(error.sqlstate, getattr(error, "constraint_name", None)), text
            ) from error
        except Exception:
            self._unfinished = unfinished
            raise
        self._unfinished, self._has_run = unfinished, True
        return result

    def _lost_statement(self) -> None:
        """Give a connection up on which a prepared statement was not there any more."""
        self._raw.terminate()
        self._database.lost_statement()

    async def _begin_anew(self) -> None:
        """Take a new connection, with a transaction if there is to be one."""
        self._raw.terminate()
        self._raw = await self._database.take_new()
        begin = self._database.begins(self.mode)
        if begin is not None:
            self._unfinished = self._in_transaction = True
            await self._raw.execute(begin)

    async def _asked(self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool) -> Result:
        if not statement.returns_rows:
            status = await self._raw.execute(text, *arguments)
            return Result((), int(status.rpartition(" ")[2]))
        found = await self._raw.fetch(text, *arguments)
        read = statement.read
        if not scans or len(found) <= _READ_AT_ONCE:
            return Result([read(row) for row in found], len(found))
        rows, turns = [], Turns()
        for start in range(0, len(found), _READ_AT_ONCE):
            rows += [read(row) for row in found[start : start + _READ_AT_ONCE]]
            await turns.step()
        return Result(rows, len(found))

    async def _run_each(self, statement: CompiledStatement, rows: Sequence[Sequence[Any]]) -> int:
        self._has_run = True
        try:
            if statement.returns_rows:
                return len(await self._raw.fetchmany(statement.text, rows))
            await self._raw.executemany(statement.text, rows)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise ConstraintViolated(
                broken_rule(error.sqlstate, getattr(error, "constraint_name", None)), statement.text
            ) from error
        except UNPREPARED:
            self._lost_statement()
            raise
        return len(rows)

    async def _command(self, text: str) -> None:
        self._has_run = True
        await self._raw.execute(text)
