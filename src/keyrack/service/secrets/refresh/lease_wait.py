"""Waits until another process is done with a secret, and tells for how long."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyrack import metrics, tracing
from keyrack.store.wakeups import Waiter, Wakeups


class LeaseWait:
    """Waits for the lease of a secret, if it has to be waited for at all.

    Args:
        waiter: is woken when the secret is done.
        secret_id: the secret.
    """

    def __init__(self, waiter: Waiter, secret_id: str) -> None:
        self._waiter = waiter
        self._secret_id = secret_id
        self._began: float | None = None
        self._span = tracing.UNTRACED

    async def wait(self) -> None:
        """Return when it is time to look again."""
        if self._began is None:
            self._began = time.monotonic()
            self._span = tracing.span("wait for another process", {tracing.SECRET: self._secret_id})
        await self._waiter.wait()

    def over(self) -> None:
        """Note that the lease is not waited for any more."""
        if self._began is not None:
            metrics.lease_waited(time.monotonic() - self._began, here=False)
            self._span.end()
            self._began = None


@asynccontextmanager
async def lease_wait(wakeups: Wakeups, secret_id: str) -> AsyncIterator[LeaseWait]:
    """Register before looking, so that no notification falls between."""
    async with wakeups.waiting_for(secret_id) as waiter:
        wait = LeaseWait(waiter, secret_id)
        try:
            yield wait
        finally:
            wait.over()
