"""Work that goes on beside its worker, so that one slow call holds nothing else up."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

import structlog

from keyrack.errors import DatabaseUnavailable
from keyrack.faults import log_fault

log = structlog.get_logger()


class InFlight:
    """A bounded number of tasks.

    Args:
        most: how many at once.
        patience: seconds `settled` waits for stragglers.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._most = most
        self._patience = patience
        self._tasks: dict[asyncio.Task[None], str] = {}

    @property
    def free(self) -> int:
        """How many more can be started."""
        return self._most - len(self._tasks)

    @property
    def under_way(self) -> Mapping[str, int]:
        """How many are under way, by the name they were started with."""
        return Counter(self._tasks.values())

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Start one; whatever goes wrong in it is its own affair, and logged."""
        self._tasks[asyncio.create_task(work)] = name

    async def settled(self) -> int:
        """Wait until all have ended, or patience has; return how many ended since the last call."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=self._patience)
        return self._gather()

    async def close(self, grace: float) -> None:
        """Let what is under way end within `grace` seconds; stop the rest."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._gather()

    def _gather(self) -> int:
        ended = [(task, name) for task, name in self._tasks.items() if task.done()]
        for task, name in ended:
            del self._tasks[task]
            error = None if task.cancelled() else task.exception()
            if isinstance(error, DatabaseUnavailable):
                log.warning("outcome not stored; it will be tried again", error="DatabaseUnavailable")
            elif error is not None:
                log_fault(error, "fault beside the worker", work=name)
        return len(ended)
