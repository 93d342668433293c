"""Stops an operation at a chosen point of its transaction, so that a race has one outcome."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest


class Pause:
    """Makes the next call of a method wait until `release`; `reached` is set when it has got there.

    The method itself runs unchanged afterwards.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, method: str) -> None:
        self.reached = asyncio.Event()
        self._go_on = asyncio.Event()
        original: Callable[..., Awaitable[Any]] = getattr(owner, method)

        async def paused(*given: Any, **named: Any) -> Any:
            if not self.reached.is_set():
                self.reached.set()
                await self._go_on.wait()
            return await original(*given, **named)

        monkeypatch.setattr(owner, method, paused)

    def release(self) -> None:
        self._go_on.set()


async def is_waiting(task: "asyncio.Task[Any]") -> bool:
    """Tell whether a request is still waiting for somebody after half a second."""
    await asyncio.wait([task], timeout=0.5)
    return not task.done()
