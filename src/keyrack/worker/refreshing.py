"""Refreshes secrets that are due. Workers share the work through leases."""

import asyncio
from contextlib import suppress

import structlog

from keyrack import metrics
from keyrack.errors import DatabaseUnavailable, KeyrackError
from keyrack.fair_share import Places
from keyrack.logs import log_fault
from keyrack.service.secrets.refresh.refresher import Claimed, Refresher
from keyrack.store.leases import Due

log = structlog.get_logger()

_PARTS = 8
"""Into how many the places are parted: when one is free, it is worth a look for what is due."""


class RefreshWorker:
    """Claims due secrets and refreshes them, of each tenant no more at a time than its share.

    Args:
        refresher: does it.
        concurrency: refreshes at a time in this process.
    """

    def __init__(self, refresher: Refresher, concurrency: int) -> None:
        self._refresher = refresher
        self._places = Places(concurrency)
        self._tasks: dict[asyncio.Task[None], Due] = {}
        self._room = asyncio.Event()
        self._returned = 0
        self._stopping = False
        self._claiming = asyncio.Lock()

    async def tick(self) -> int:
        """Claim as many due secrets as there is room for and start on them.

        Returns:
            How many were claimed.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        async with self._claiming:
            if not self._places.free or self._stopping:
                return 0
            claimed = await self._refresher.claim(self._places.copy())
            metrics.claimed(len(claimed))
            for each in claimed:
                self._places.hold(each.due.tenant_id, slow=each.due.slow)
                task = asyncio.create_task(self._refresh(each))
                self._tasks[task] = each.due
                task.add_done_callback(self._done)
            return len(claimed)

    async def run(self, interval: float) -> None:
        """Claim and refresh for ever: while there is more to do, as soon as a part of the places has become free.

        Else, or if that takes longer, every `interval` seconds. A look that finds nothing is no end while refreshes are
        running: what is due may be of tenants that have their share.

        What takes long holds nothing up: whatever room there is, is used after `interval` seconds.
        """
        while True:
            claimed = 0
            try:
                claimed = await self.tick()
            except DatabaseUnavailable:
                pass
            except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
                log_fault(error, "claiming due secrets failed")
            if claimed and self._is_part(self._places.free):
                continue
            self._returned = 0
            self._room.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._room.wait()

    async def stop(self, seconds: float) -> None:
        """Claim nothing more and finish what was claimed; what is not finished in time is left to its lease."""
        self._stopping = True
        async with self._claiming:  # what is being claimed now is worked on, not forgotten
            pass
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def _done(self, task: "asyncio.Task[None]") -> None:
        due = self._tasks.pop(task)
        self._places.give_back(due.tenant_id, slow=due.slow)
        self._returned += 1
        if self._is_part(self._returned):
            self._room.set()

    def _is_part(self, places: int) -> bool:
        return places * _PARTS >= self._places.most

    async def _refresh(self, claimed: Claimed) -> None:
        due = claimed.due
        try:
            await self._refresher.refresh_due(claimed)
        except KeyrackError as error:
            log.info("refresh failed", secret=due.secret_id, error=type(error).__qualname__)
        except Exception as error:  # noqa: BLE001 - one secret's fault is not the others'
            log_fault(error, "refresh failed unexpectedly", secret=due.secret_id)
