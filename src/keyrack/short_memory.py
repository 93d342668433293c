"""Keeps values for a second at most, so that what is secret in them does not stay in memory."""

import asyncio
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

SECONDS = 1.0
_MOST = 1_000


class ShortMemory(Generic[K, V]):
    """A thousand values at most, all of which are forgotten at once, a second after the first of them was kept."""

    def __init__(self) -> None:
        self._kept: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """Return what was kept, if it has not been forgotten."""
        return self._kept.get(key)

    def keep(self, key: K, value: V) -> None:
        """Keep a value, if there is room; called in the event loop."""
        if not self._kept:
            asyncio.get_running_loop().call_later(SECONDS, self._kept.clear)
        if len(self._kept) < _MOST or key in self._kept:
            self._kept[key] = value

    def forget(self) -> None:
        """Forget all."""
        self._kept.clear()
