"""Remembers that the database's disk is full, says so once, and looks by itself whether there is room again."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from keyrack.errors import DatabaseUnavailable
from keyrack.logs import log_fault

log = structlog.get_logger()

_SECONDS = 1.0


class DiskWatch:
    """What a process knows of the database's disk: it has room, or a write was refused and none has succeeded since.

    Args:
        probe: writes something that needs room, and leaves nothing behind.
        seconds: between two looks while the disk is full.
    """

    def __init__(self, probe: Callable[[], Awaitable[None]], seconds: float = _SECONDS) -> None:
        self._probe = probe
        self._seconds = seconds
        self._since: float | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        """Whether the last that is known is that there was no room."""
        return self._since is not None

    def refused(self) -> None:
        """Note that a write was refused for want of room."""
        if self._since is None:
            self._since = time.monotonic()
            log.error("the disk of the database is full: whatever would be stored is refused until there is room")
            self._task = asyncio.create_task(self._until_there_is_room(), name="disk watch")

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _until_there_is_room(self) -> None:
        while self._since is not None:
            await asyncio.sleep(self._seconds)
            try:
                await self._probe()
            except DatabaseUnavailable:
                continue
            except Exception as error:  # noqa: BLE001 - the next look may fare better; nothing may end the loop
                log_fault(error, "the disk of the database could not be looked at")
                continue
            log.warning("the disk of the database has room again", seconds=round(time.monotonic() - self._since))
            self._since = None
