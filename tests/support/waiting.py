"""Waiting for what comes by itself, without betting on how soon."""

import asyncio
import time
from collections.abc import Callable

SECONDS = 60.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds; fail after a minute."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in {SECONDS:.0f} s"
        await asyncio.sleep(0.01)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait, without an event loop, until a condition holds; fail after a minute."""
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"not in {SECONDS:.0f} s"
        time.sleep(0.01)
