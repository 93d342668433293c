"""Runs the background worker's loops side by side, and ends them together."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog

from keyrack.errors import DatabaseUnavailable
from keyrack.logs import log_fault
from keyrack.worker.refreshing import RefreshWorker

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PeriodicTask:
    """Something to do again and again.

    Attributes:
        name: for the log.
        tick: does a share of it and returns how much; more than nothing means to go on at once.
        interval: seconds to the next round when there was nothing to do.
    """

    name: str
    tick: Callable[[], Awaitable[int]]
    interval: float


class Worker:
    """Refreshes what is due and runs the periodic tasks.

    Args:
        refreshing: the refreshing of secrets.
        periodic: what else there is to do.
        interval: seconds between looks for due secrets.
    """

    def __init__(self, refreshing: RefreshWorker, periodic: Sequence[PeriodicTask], interval: float) -> None:
        self._refreshing = refreshing
        self._periodic = periodic
        self._interval = interval
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin."""
        self._tasks = [asyncio.create_task(self._refreshing.run(self._interval), name="refreshing")]
        self._tasks += [asyncio.create_task(_repeat(task), name=task.name) for task in self._periodic]

    async def stop(self, seconds: float) -> None:
        """Claim nothing more and finish what is running, within some seconds."""
        claiming, periodic = self._tasks[:1], self._tasks[1:]
        await _cancel(periodic)
        await self._refreshing.stop(seconds)
        await _cancel(claiming)
        self._tasks = []


async def _cancel(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _repeat(task: PeriodicTask) -> None:
    while True:
        done = 0
        try:
            done = await task.tick()
        except DatabaseUnavailable:
            log.debug("a periodic task waits for the database", task=task.name)
        except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
            log_fault(error, "a periodic task failed", task=task.name)
        if not done:
            await asyncio.sleep(task.interval)
