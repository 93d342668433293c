"""Keeps what was costly to find out for a few seconds, however many ask."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

_LEAST_SECONDS = 3.0
_MOST_SECONDS = 120.0
_REST = 20
"""How many times as long as finding out took nobody finds out again, so that watching uses a twentieth of a core."""


@dataclass(frozen=True, slots=True)
class _Known(Generic[T]):
    answer: T
    until: float


class RecentAnswer(Generic[T]):
    """What was found out last; asked for again once it is too old. One asks at a time, and the others get its answer.

    Args:
        find_out: does.
    """

    def __init__(self, find_out: Callable[[], Awaitable[T]]) -> None:
        self._find_out = find_out
        self._known: _Known[T] | None = None
        self._asking = asyncio.Lock()

    async def get(self) -> T:
        """Return it, seconds old at most: three, or twenty times what it takes to find out, two minutes in any case.

        Raises:
            DatabaseUnavailable: it had to be found out, and the database is gone.
        """
        async with self._asking:
            began = time.monotonic()
            if self._known is None or began >= self._known.until:
                answer, now = await self._find_out(), time.monotonic()
                kept = min(_MOST_SECONDS, max(_LEAST_SECONDS, _REST * (now - began)))
                self._known = _Known(answer, now + kept)
            return self._known.answer
