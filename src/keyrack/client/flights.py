"""Lets callers that want the same at the same time share one call and its result, good or bad."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")


class ThreadFlight(Generic[T]):
    """For threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Future[T] | None = None

    def join(self, work: Callable[[], T]) -> T:
        """Do the work, or wait for whoever does it already."""
        with self._lock:
            running = self._running
            if running is None:
                mine = self._running = Future()
        if running is not None:
            return running.result()
        try:
            value = work()
        except BaseException as error:
            self._revalidate()
            mine.set_exception(error)
            raise
        self._revalidate()
        mine.set_result(value)
        return value

    def _revalidate(self) -> None:
        with self._lock:
            self._running = None


class TaskFlight(Generic[T]):
    """For the tasks of one event loop or several; a task that is cancelled does not end the work of the others."""

    def __init__(self) -> None:
        self._running: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[T]] = WeakKeyDictionary()

    async def join(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, or wait for whoever does it already."""
        loop = asyncio.get_running_loop()
        running = self._running.get(loop)
        if running is None or running.done():
            running = self._running[loop] = loop.create_task(_awaited(work))
            running.add_done_callback(_look)
        return await asyncio.shield(running)


async def _awaited(work: Callable[[], Awaitable[T]]) -> T:
    return await work()


def _look(task: asyncio.Task[T]) -> None:
    """Take note of an error even when all who waited for it were cancelled."""
    if not task.cancelled():
        task.exception()
