"""Waiting for what comes by itself, stopping an operation at a chosen point, and letting a method fail for a moment."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from inspect import isawaitable
from typing import Any, TypeVar
from unittest import mock

import pytest

from keyrack.fair_share import FairSlots
from support.statements_seen import statements_seen

SECONDS = 60.0


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, which may have to be awaited; fail after a minute."""
    deadline = time.monotonic() + SECONDS
    while not (await found if isawaitable(found := condition()) else found):
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
    """Tell whether a request is waiting for somebody: it has not ended, and stands still in the database.

    That is so when a statement that it began meanwhile has got no answer for a tenth of a second, or it has waited as
    long for its turn among the writers of SQLite; and when it has not ended for half a second, whatever it does.
    """
    with _standing_still(task) as begun:
        deadline = time.monotonic() + 0.5
        while not task.done() and time.monotonic() < min(deadline, begun[0] + 0.1):
            await asyncio.wait([task], timeout=0.01)
    return not task.done()


@contextmanager
def _standing_still(task: "asyncio.Task[Any]") -> Iterator[list[float]]:
    """Give, and keep up to date, since when a task has waited for the database or its turn there; infinity else."""
    begun = [math.inf]

    def note(at: float) -> None:
        with suppress(RuntimeError):  # of a thread without a loop
            if asyncio.current_task() is task:
                begun[0] = at

    def begins(*_: Any) -> None:
        note(time.monotonic())

    def ends(*_: Any) -> None:
        note(math.inf)

    take = FairSlots.take

    async def takes(slots: FairSlots, holder: str) -> None:
        begins()
        await take(slots, holder)
        ends()

    with statements_seen(begins, ends), mock.patch.object(FairSlots, "take", takes):
        yield begun


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
