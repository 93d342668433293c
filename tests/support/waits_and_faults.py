"""Waiting for what comes by itself, stopping an operation at a chosen point, and letting a method fail for a moment."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

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


F = TypeVar("F")
S = TypeVar("S")


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


async def in_turn(
    monkeypatch: pytest.MonkeyPatch, at: tuple[type, str], first: Coroutine[Any, Any, F], second: Coroutine[Any, Any, S]
) -> tuple[F, S]:
    """Begin one operation while another stands still in mid-transaction; return what both came to.

    Fails unless the second waits for the first.

    Args:
        monkeypatch: of the test.
        at: the class and the method before whose next call the first stands still.
        first: the one that stands still.
        second: the one that begins meanwhile.
    """
    pause = Pause(monkeypatch, *at)
    begun = asyncio.create_task(first)
    await asyncio.wait_for(pause.reached.wait(), 30)
    late = asyncio.create_task(second)
    assert await is_waiting(late), f"it did not wait: {_told(await late)}"
    pause.release()
    return await begun, await late


def _told(came: object) -> object:
    """Return the text of an answer, or what else there is to say."""
    return getattr(came, "text", came)


def fail_once(
    monkeypatch: pytest.MonkeyPatch, owner: type, method: str, error: Callable[[], BaseException], times: int = 1
) -> None:
    """Let a method fail before it does anything."""
    original = getattr(owner, method)
    left = [times]

    async def failing(self: Any, *args: Any, **more: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise error()
        return await original(self, *args, **more)

    monkeypatch.setattr(owner, method, failing)
