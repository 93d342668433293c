"""Wakes those who wait for another process to finish with a secret.

On PostgreSQL with LISTEN and NOTIFY (`keyrack.store.core.listening`); polling is what remains when that connection is
lost, and what SQLite has. Waiters must look for themselves after every wake-up: one may be missed or come for nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import String, bindparam, func, select

from keyrack.store.core.listening import Listener
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit

CHANNEL = "keyrack_secret"
_POLL_SECONDS = (0.02, 0.05, 0.1, 0.25)

_NOTIFY = Query(select(func.pg_notify(CHANNEL, bindparam("secret", type_=String))))


class Wakeups:
    """Who waits for which secret in this process.

    Args:
        listener: what hears that a secret is done.
    """

    def __init__(self, listener: Listener) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        listener.on(CHANNEL, self._heard)

    @asynccontextmanager
    async def waiting_for(self, secret_id: str) -> AsyncIterator["Waiter"]:
        """Register before looking, so that no notification falls between."""
        waiter = Waiter()
        events = self._waiting.setdefault(secret_id, set())
        events.add(waiter.event)
        try:
            yield waiter
        finally:
            events.discard(waiter.event)
            if not events:
                self._waiting.pop(secret_id, None)

    async def notify(self, unit: Unit, secret_id: str) -> None:
        """Wake all waiters of a secret, in every process, when the unit's transaction commits."""
        if unit.connection.dialect.name == "postgresql":
            await _NOTIFY.rows(unit.connection, secret=secret_id)

    def _heard(self, secret_id: str) -> None:
        for event in self._waiting.get(secret_id, ()):
            event.set()


class Waiter:
    """Waits for a wake-up or, failing that, a moment that grows."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self._polls = 0

    async def wait(self) -> None:
        """Return when woken, or when it is time to look anyway."""
        pause = _POLL_SECONDS[min(self._polls, len(_POLL_SECONDS) - 1)]
        self._polls += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.event.wait(), pause)
        self.event.clear()
