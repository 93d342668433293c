"""Refreshes secrets that are due. Several workers share the work through leases, without knowing of each other."""

import asyncio

import structlog

from keyrack import metrics
from keyrack.errors import DatabaseUnavailable, KeyrackError
from keyrack.faults import log_fault
from keyrack.service.refresh.engine import Refresher
from keyrack.store.leases import Due

log = structlog.get_logger()


class RefreshWorker:
    """Claims due secrets and refreshes them.

    Args:
        refresher: does it.
        concurrency: refreshes at a time in this process.
    """

    def __init__(self, refresher: Refresher, concurrency: int) -> None:
        self._refresher = refresher
        self._concurrency = concurrency
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Event()
        self._room.set()
        self._stopping = False
        self._claiming = asyncio.Lock()

    async def tick(self) -> int:
        """Claim as many due secrets as there is room for and start on them.

        Returns:
            How many were claimed; as many as there was room for means that more are likely due.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        async with self._claiming:
            free = self._concurrency - len(self._tasks)
            if free <= 0 or self._stopping:
                return 0
            dues = await self._refresher.claim(free)
            metrics.claimed(len(dues))
            for due in dues:
                task = asyncio.create_task(self._refresh(due))
                self._tasks.add(task)
                task.add_done_callback(self._done)
            return len(dues)

    async def run(self, interval: float) -> None:
        """Claim and refresh for ever: at once while there is more to do, else every `interval` seconds."""
        while True:
            free = self._concurrency - len(self._tasks)
            try:
                claimed = await self.tick()
            except DatabaseUnavailable:
                claimed = 0
            except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
                log_fault(error, "claiming due secrets failed")
                claimed = 0
            if claimed and claimed == free:
                self._room.clear()
                await self._room.wait()
            else:
                await asyncio.sleep(interval)

    async def stop(self, seconds: float) -> None:
        """Claim nothing more and finish what was claimed; what is not finished in time is left to its lease."""
        self._stopping = True
        async with self._claiming:  # what is being claimed now is worked on, not forgotten
            pass
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if len(self._tasks) <= self._concurrency // 2:
            self._room.set()

    async def _refresh(self, due: Due) -> None:
        try:
            await self._refresher.refresh_due(due)
        except KeyrackError as error:
            log.info("refresh failed", secret=due.secret_id, error=type(error).__qualname__)
        except Exception as error:  # noqa: BLE001 - one secret's fault is not the others'
            log_fault(error, "refresh failed unexpectedly", secret=due.secret_id)
