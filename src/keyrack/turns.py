"""Yields to other tasks during long loops, so that no list holds the event loop for long."""

import asyncio
import time
from collections.abc import Callable

STEP_SECONDS = 0.001
"""How long one who works in steps keeps the event loop; a single step may take longer."""


class Turns:
    """Counts the time since others had their turn.

    Args:
        now: seconds, monotonic.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now = now
        self._since = now()

    async def step(self) -> None:
        """Tell that a step is done: others run now if `STEP_SECONDS` have passed since they last could."""
        if self._now() - self._since >= STEP_SECONDS:
            await asyncio.sleep(0)
            self._since = self._now()
