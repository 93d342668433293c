"""Runs statements on SQLite through the standard library's driver, so that none of them holds up the event loop.

What reads single rows runs on the event loop, which takes less time than handing it to a thread would. What may look
at many rows, waits for a disk or for another process runs in threads. Who writes takes turns
(`keyrack.store.core.sqlite_writer`).
"""

import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from keyrack import metrics
from keyrack.errors import DiskFull
from keyrack.fair_share import FairSlots
from keyrack.store.core.connection import Connection, Database, Result, UnitMode
from keyrack.store.core.database_errors import ConstraintViolated, Rule
from keyrack.store.core.private_files import make_private
from keyrack.store.core.sqlite_writer import BUSY_MS, Threads, Writer, is_busy
from keyrack.store.core.statements import SQLITE, CompiledStatement

_ROOM = 256 * 1024
"""Bytes that count as room: after less, the next writes would be refused again."""


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
        self._threads = Threads(size, "sqlite-reader")
        self._places = FairSlots(size)
        self._idle: list[sqlite3.Connection] = []
        self._point_reader: sqlite3.Connection | None = None
        self._writer = Writer(self._connected)

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

    def require_room(self) -> None:
        """Insist on some room on the disk of the file, of whatever is left for others than root.

        Raises:
            DiskFull: there is less.
        """
        with suppress(OSError):
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < _ROOM:
                raise DiskFull

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
            if is_busy(error):
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
        began = time.perf_counter()
        try:
            await self._places.take_within(holder, BUSY_MS / 1000)
        finally:
            metrics.database_waited(time.perf_counter() - began)
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

    def __init__(self, threads: Threads, raw: sqlite3.Connection) -> None:
        self._threads = threads
        self._raw = raw

    async def _run(self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool) -> Result:
        del scans  # it has a connection of its own
        return await self._threads.run(_asked, self._raw, statement, text, arguments)


_AT_ONCE = 50
"""Rows that are written on the event loop: a millisecond."""


class _Writing(Connection):
    """Writes in the turn of a unit."""

    dialect = SQLITE
    mode = UnitMode.write

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    async def _run(self, statement: CompiledStatement, text: str, arguments: Sequence[Any], *, scans: bool) -> Result:
        raw = self._writer.raw
        if scans:
            return await self._writer.in_thread(_asked, raw, statement, text, arguments)
        return _asked(raw, statement, text, arguments)

    async def _run_each(self, statement: CompiledStatement, rows: Sequence[Sequence[Any]]) -> int:
        with _rules_named(statement.text):
            if len(rows) <= _AT_ONCE:
                return int(self._writer.raw.executemany(statement.text, rows).rowcount)
            cursor = await self._writer.in_thread(self._writer.raw.executemany, statement.text, rows)
            return int(cursor.rowcount)

    async def _command(self, text: str) -> None:
        self._writer.raw.execute(text)


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
    "SQLITE_CONSTRAINT_TRIGGER": Rule.data_key,  # no other trigger refuses anything
}
