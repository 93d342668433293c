"""Runs jobs beside their worker, so that one slow call holds nothing else up."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from keyrack.errors import DatabaseUnavailable
from keyrack.fair_share import Places
from keyrack.logs import log_fault

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Work:
    tenant_id: str
    name: str
    slow: bool


class InFlight:
    """A bounded number of tasks, shared out among tenants.

    Args:
        most: how many at once.
        patience: seconds `settled` waits for stragglers.
    """

    def __init__(self, most: int, patience: float) -> None:
        self._places = Places(most)
        self._patience = patience
        self._tasks: dict[asyncio.Task[None], _Work] = {}

    @property
    def places(self) -> Places:
        """How many more can be started, and for whom: a copy, to plan with."""
        return self._places.copy()

    @property
    def under_way(self) -> Mapping[str, int]:
        """How many are under way, by the name they were started with."""
        return Counter(work.name for work in self._tasks.values())

    def start(self, tenant_id: str, name: str, work: Coroutine[Any, Any, None], *, slow: bool) -> None:
        """Start one that was planned with `places`; whatever goes wrong in it is its own affair, and logged.

        Args:
            tenant_id: for whom; empty for the installation.
            name: what the work is about.
            work: to be done.
            slow: it failed or hung lately.
        """
        self._places.hold(tenant_id, slow=slow)
        self._tasks[asyncio.create_task(work)] = _Work(tenant_id, name, slow)

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
        ended = [(task, work) for task, work in self._tasks.items() if task.done()]
        for task, work in ended:
            del self._tasks[task]
            self._places.give_back(work.tenant_id, slow=work.slow)
            error = None if task.cancelled() else task.exception()
            if isinstance(error, DatabaseUnavailable):
                log.warning("outcome not stored; it will be tried again", error="DatabaseUnavailable")
            elif error is not None:
                log_fault(error, "fault beside the worker", work=work.name)
        return len(ended)
