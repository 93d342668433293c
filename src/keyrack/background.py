"""Runs one background task until it is stopped, such as one that writes down now and then what was noted."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from keyrack.errors import DatabaseUnavailable
from keyrack.logs import log_fault


class Background:
    """A task that can be started and stopped, once each or again.

    Args:
        name: the task's, for whoever looks at the running tasks of a process.
        work: what goes on; it deals with its own errors and does not end by itself.
    """

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._work = work
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, unless it has begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name=self._name)

    async def stop(self) -> None:
        """Cancel it and wait until it has ended; nothing happens if it has not begun."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None


class NowAndThen:
    """Lets a process write down what it has noted in memory, every few seconds and when it stops.

    Args:
        name: as of `Background`.
        write: writes it; what could not be written stays noted, for the next time.
        interval: seconds between two writings.
        fault: what the log says when it failed for another reason than that the database is gone.
    """

    def __init__(self, name: str, write: Callable[[], Awaitable[object]], interval: float, fault: str) -> None:
        self._write = write
        self._interval = interval
        self._fault = fault
        self._task = Background(name, self._run)

    def start(self) -> None:
        """Begin to write now and then."""
        self._task.start()

    async def close(self) -> None:
        """Write a last time and stop."""
        await self._task.stop()
        await self._tried()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._tried()

    async def _tried(self) -> None:
        try:
            await self._write()
        except DatabaseUnavailable:
            pass  # next time
        except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
            log_fault(error, self._fault)
