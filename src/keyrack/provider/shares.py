"""Divides calls under way among tenants, in all and for each server (invariant 7)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from keyrack.fair_share import FairSlots

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


class CallPlaces:
    """Places of calls under way, in all and to each server; both are divided among tenants (`keyrack.fair_share`).

    Args:
        most: calls in all.
        each_server: calls to one host and port.
    """

    def __init__(self, most: int, each_server: int) -> None:
        self._all = FairSlots(most)
        self._each_server = each_server
        self._servers: dict[str, FairSlots] = {}

    @asynccontextmanager
    async def place(self, tenant_id: str, server: str) -> AsyncIterator[None]:
        """Hold a place for the length of a block, waiting for it; who waits for a server holds nothing else up.

        Args:
            tenant_id: for whom is called; empty for the installation.
            server: scheme, host and port.
        """
        slots = self._servers.setdefault(server, FairSlots(self._each_server))
        try:
            async with slots.place(tenant_id), self._all.place(tenant_id):
                yield
        finally:
            if slots.idle:
                self._servers.pop(server, None)
