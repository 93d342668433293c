"""Shares of tenants: how much of something one tenant may hold at a time, and for whom a call is made (invariant 7)."""

import asyncio
from contextvars import ContextVar

calling_for: ContextVar[str] = ContextVar("calling_for", default="")
"""Id of the tenant for whom this task calls a provider; empty: the installation. Set by `ProviderClient.send`."""


class Shares:
    """Gives out places, so many to each holder. Who wants more waits behind its own calls, never behind another's.

    Costs memory only for holders that have or await a place. For one event loop.

    Args:
        each: places of one holder.
    """

    def __init__(self, each: int) -> None:
        self._each = each
        self._gates: dict[str, asyncio.Semaphore] = {}
        self._users: dict[str, int] = {}

    async def take(self, holder: str) -> None:
        """Take a place, waiting for one; `give_back` must follow, once."""
        gate = self._gates.setdefault(holder, asyncio.Semaphore(self._each))
        self._users[holder] = self._users.get(holder, 0) + 1
        try:
            await gate.acquire()
        except BaseException:
            self._leave(holder)
            raise

    def give_back(self, holder: str) -> None:
        """Give a place back."""
        self._gates[holder].release()
        self._leave(holder)

    def _leave(self, holder: str) -> None:
        self._users[holder] -= 1
        if not self._users[holder]:
            del self._users[holder], self._gates[holder]
