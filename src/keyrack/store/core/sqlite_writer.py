"""Gives the turns to write to an SQLite file, and commits together what those who wait for each other do.

There is one writer in a process. What it does is in one transaction with what others who wait for their turn do, so
that one wait for the disk serves them all.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from keyrack import metrics
from keyrack.fair_share import FairSlots
from keyrack.store.core.database_errors import unavailable

T = TypeVar("T")

BUSY_MS = 30_000
"""How long a lock of another process is waited for."""
_GROUP_UNITS = 64
_GROUP_SECONDS = 0.02
_LOOK_AGAIN_SECONDS = 0.002


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


class Writer:
    """The one connection of a process that writes, and the turns on it.

    A unit is a savepoint of a transaction. When it ends and others wait for their turn, the next goes on in the same
    transaction; the last one commits it, and each unit ends when that is done. While a transaction is open, somebody
    holds or awaits the turn, or a task is about to commit it.

    Args:
        connect: opens the connection; called in a thread.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._threads = Threads(1, "sqlite-writer")
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
        began = time.perf_counter()
        try:
            await self._take(holder)
            try:
                group = await self._entered()
            except BaseException:
                self._leave(holder)
                raise
        finally:
            metrics.database_waited(time.perf_counter() - began, to_write=True)
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
                if not is_busy(error) or time.monotonic() > until:
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


class Threads:
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


def is_busy(error: sqlite3.OperationalError) -> bool:
    """Tell whether an error says that somebody else has a lock."""
    return error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
