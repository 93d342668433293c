"""Runs statements on SQLite through the standard library's driver, so that none of them holds up the event loop.

What reads single rows runs on the event loop, which takes less time than handing it to a thread would. What may look
at many rows, waits for a disk or for another process runs in threads. There is one writer in a process; what it does
is in one transaction with what others who wait for their turn do, so that one wait for the disk serves them all.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from keyrack.fair_share import FairSlots
from keyrack.store.core.connection import Connection, Database, Result, UnitMode
from keyrack.store.core.database_errors import ConstraintViolated, Rule, unavailable
from keyrack.store.core.private_files import make_private
from keyrack.store.core.statements import SQLITE, CompiledStatement

T = TypeVar("T")

BUSY_MS = 30_000
"""How long a lock of another process is waited for."""
_GROUP_UNITS = 64
_GROUP_SECONDS = 0.02
_LOOK_AGAIN_SECONDS = 0.002


def prepare(connection: Any) -> None:
    """Set up a connection: durable, with references that hold, and lower case as Unicode has it."""
    connection.create_function("lower", 1, _lower, deterministic=True)  # SQLite's own knows ASCII only
    connection.isolation_level = None  # transactions are begun below, not guessed by the driver
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # a committed rotation must survive a power cut
        "foreign_keys=ON",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


class SqliteDatabase(Database):
    """An SQLite file.

    Args:
        path: the file; it is made if it is missing.
        size: how many connections may read in threads.
    """

    dialect = SQLITE

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._size = size
        self._threads = _Threads(size, "sqlite-reader")
        self._places = FairSlots(size)
        self._idle: list[sqlite3.Connection] = []
        self._point_reader: sqlite3.Connection | None = None
        self._writer = _Writer(self._connected)

    @asynccontextmanager
    async def unit(self, mode: UnitMode, holder: str) -> AsyncIterator[Connection]:
        """Give a unit of work a connection, when its turn has come."""
        if mode is UnitMode.read:
            yield _Reading(self, holder)
        elif mode in (UnitMode.write, UnitMode.each):
            async with self._writer.turn(holder):
                yield _Writing(self._writer)
        else:
            async with self._snapshot(holder) as connection:
                yield connection

    def connections(self) -> tuple[int, int]:
        """Return how many connections are in use in threads or to write, and how many there may be."""
        return min(self._places.held + self._writer.held, self._size), self._size

    async def close(self) -> None:
        """Close all connections."""
        await self._writer.close()
        self._threads.close()
        while self._idle:
            self._idle.pop().close()
        if self._point_reader is not None:
            self._point_reader.close()
            self._point_reader = None

    async def read_row(self, text: str, arguments: Sequence[Any]) -> list[Any] | None:
        """Run a query of few rows on the event loop; None if it would have to wait for somebody's lock."""
        if self._point_reader is None:
            opened = await self._threads.run(self._connected)
            if self._point_reader is None:
                opened.execute("PRAGMA query_only=ON")
                opened.execute("PRAGMA busy_timeout=0")
                self._point_reader = opened
            else:
                opened.close()
        try:
            return self._point_reader.execute(text, arguments).fetchall()
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                return None
            raise

    async def read_rows(self, holder: str, statement: CompiledStatement, text: str, arguments: Sequence[Any]) -> Result:
        """Run a query in a thread."""
        async with self._reading(holder) as raw:
            return await self._threads.run(_asked, raw, statement, text, arguments)

    @asynccontextmanager
    async def _snapshot(self, holder: str) -> AsyncIterator[Connection]:
        async with self._reading(holder) as raw:
            await self._threads.run(raw.execute, "BEGIN")
            try:
                yield _Snapshot(self._threads, raw)
            finally:
                await self._threads.run(raw.execute, "ROLLBACK")

    @asynccontextmanager
    async def _reading(self, holder: str) -> AsyncIterator[sqlite3.Connection]:
        await self._places.take_within(holder, BUSY_MS / 1000)
        try:
            raw = self._idle.pop() if self._idle else await self._threads.run(self._connected)
            try:
                yield raw
            finally:
                self._idle.append(raw)
        finally:
            self._places.give_back(holder)

    def _connected(self) -> sqlite3.Connection:
        make_private(self._path)
        raw = sqlite3.connect(self._path, timeout=BUSY_MS / 1000, check_same_thread=False, cached_statements=500)
        try:
            prepare(raw)
        except BaseException:
            raw.close()
            raise
        return raw


class _Reading(Connection):
    """Reads without a transaction."""

    dialect = SQLITE
    mode = UnitMode.read

    def __init__(self, database: SqliteDatabase, holder: str) -> None:
        self._database = database
        self._holder = holder

    async def _run(self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool) -> Result:
        if not scans:
            found = await self._database.read_row(text, arguments)
            if found is not None:
                return Result([statement.read(row) for row in found], len(found))
        return await self._database.read_rows(self._holder, statement, text, arguments)


class _Snapshot(Connection):
    """Reads as of one moment."""

    dialect = SQLITE
    mode = UnitMode.snapshot

    def __init__(self, threads: "_Threads", raw: sqlite3.Connection) -> None:
        self._threads = threads
        self._raw = raw

    async def _run(self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool) -> Result:
        del scans  # it has a connection of its own
        return await self._threads.run(_asked, self._raw, statement, text, arguments)


class _Writing(Connection):
    """Writes in the turn of a unit."""

    dialect = SQLITE
    mode = UnitMode.write

    def __init__(self, writer: "_Writer") -> None:
        self._writer = writer

    async def _run(self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool) -> Result:
        raw = self._writer.raw
        if scans:
            return await self._writer.in_thread(_asked, raw, statement, text, arguments)
        return _asked(raw, statement, text, arguments)

    async def _run_each(self, text: str, rows: Sequence[Sequence[Any]]) -> None:
        with _rules_named(text):
            await self._writer.in_thread(self._writer.raw.executemany, text, rows)

    async def _command(self, text: str) -> None:
        self._writer.raw.execute(text)


class _Group:
    """Units that are committed together."""

    def __init__(self) -> None:
        self.units = 0
        self.began = time.monotonic()
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended.add_done_callback(lambda ended: ended.cancelled() or ended.exception())  # all may have gone away

    @property
    def is_full(self) -> bool:
        """Whether it is to be committed now, whoever waits."""
        return self.units >= _GROUP_UNITS or time.monotonic() - self.began > _GROUP_SECONDS


class _Writer:
    """The one connection of a process that writes, and the turns on it.

    A unit is a savepoint of a transaction. When it ends and others wait for their turn, the next goes on in the same
    transaction; the last one commits it, and each unit ends when that is done. While a transaction is open, somebody
    holds or awaits the turn, or a task is about to commit it.

    Args:
        connect: opens the connection; called in a thread.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._threads = _Threads(1, "sqlite-writer")
        self._turns = FairSlots(1)
        self._group: _Group | None = None
        self._raw: sqlite3.Connection | None = None
        self._ends: set[asyncio.Task[None]] = set()

    @property
    def raw(self) -> sqlite3.Connection:
        """The driver's connection; only for whoever has the turn."""
        if self._raw is None:
            raise RuntimeError("nobody has the turn to write")
        return self._raw

    @property
    def held(self) -> int:
        """1 while somebody has the turn, else 0."""
        return self._turns.held

    async def in_thread(self, call: Callable[..., T], *given: Any) -> T:
        """Call something that uses the connection where it does not hold up the event loop."""
        return await self._threads.run(call, *given)

    @asynccontextmanager
    async def turn(self, holder: str) -> AsyncIterator[None]:
        """Have the turn to write in a block; what the block does is committed, or undone if it raises."""
        await self._take(holder)
        try:
            group = await self._entered()
        except BaseException:
            self._leave(holder)
            raise
        try:
            yield
            self.raw.execute("RELEASE SAVEPOINT unit")
            group.units += 1
        except BaseException as error:
            self._undo(group, error)
            self._leave(holder)
            raise
        self._leave(holder)
        await asyncio.shield(group.ended)

    async def close(self) -> None:
        """Close the connection, when all that was begun has ended."""
        while self._ends:
            await asyncio.wait(self._ends)
        self._threads.close()
        if self._raw is not None:
            self._raw.close()
            self._raw = None

    async def _take(self, holder: str) -> None:
        try:
            await self._turns.take_within(holder, BUSY_MS / 1000)
        except BaseException:
            if self._group is not None and self._turns.idle:  # the turn came when nobody wanted it any more
                self._end_soon(holder, taken=False)
            raise

    async def _entered(self) -> _Group:
        """Begin a transaction, or go on in the one that is open; return who is committed together."""
        if self._raw is None:
            self._raw = await self._threads.run(self._connect)
            self._raw.execute("PRAGMA busy_timeout=0")
        if self._group is None:
            await self._begin(self._raw)
            self._group = _Group()
        self._raw.execute("SAVEPOINT unit")
        return self._group

    async def _begin(self, raw: sqlite3.Connection) -> None:
        """Take the lock of the file; another process may have it."""
        until = time.monotonic() + BUSY_MS / 1000
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if not _is_busy(error) or time.monotonic() > until:
                    raise
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            else:
                return

    def _undo(self, group: _Group, error: BaseException) -> None:
        """Undo what a unit did; if the database has given up the whole transaction, so have all that are in it."""
        if self.raw.in_transaction:
            self.raw.execute("ROLLBACK TO SAVEPOINT unit")
            self.raw.execute("RELEASE SAVEPOINT unit")
        else:
            self._group = None
            if group.units:
                group.ended.set_exception(unavailable(error))

    def _leave(self, holder: str) -> None:
        group = self._group
        if group is None or (self._turns.awaited and not group.is_full):
            self._turns.give_back(holder)
        elif group.units:
            self._end_soon(holder, taken=True)
        else:
            self._group = None
            self.raw.execute("ROLLBACK")
            self._turns.give_back(holder)

    def _end_soon(self, holder: str, *, taken: bool) -> None:
        """Commit what is open, whoever is cancelled meanwhile, and give the turn back."""
        task = asyncio.create_task(self._end(holder, taken=taken))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    async def _end(self, holder: str, *, taken: bool) -> None:
        if not taken:
            await self._turns.take(holder)
        try:
            group, self._group = self._group, None
            if group is None:
                return
            try:
                await self._threads.run(self.raw.execute, "COMMIT" if group.units else "ROLLBACK")
            except BaseException as error:  # noqa: BLE001 - each unit is told
                if self.raw.in_transaction:
                    self.raw.execute("ROLLBACK")
                group.ended.set_exception(unavailable(error))
            else:
                group.ended.set_result(None)
        finally:
            self._turns.give_back(holder)


class _Threads:
    """Threads that use connections."""

    def __init__(self, most: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(most, name)

    async def run(self, call: Callable[..., T], *given: Any) -> T:
        """Call something in a thread. Whoever is cancelled waits for its end: the connection is in use until then."""
        called = asyncio.get_running_loop().run_in_executor(self._executor, call, *given)
        try:
            return await asyncio.shield(called)
        except asyncio.CancelledError:
            await asyncio.wait([called])
            raise

    def close(self) -> None:
        """End the threads that have nothing to do."""
        self._executor.shutdown(wait=False)


def _asked(raw: sqlite3.Connection, statement: CompiledStatement, text: str, arguments: Sequence[Any]) -> Result:
    with _rules_named(text):
        cursor = raw.execute(text, arguments)
        if not statement.returns_rows:
            return Result((), cursor.rowcount)
        found = cursor.fetchall()
    return Result([statement.read(row) for row in found], len(found))


@contextmanager
def _rules_named(text: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise ConstraintViolated(_RULES.get(error.sqlite_errorname, Rule.other), text) from error


_RULES = {
    "SQLITE_CONSTRAINT_UNIQUE": Rule.unique,
    "SQLITE_CONSTRAINT_PRIMARYKEY": Rule.unique,
    "SQLITE_CONSTRAINT_FOREIGNKEY": Rule.reference,
}


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
