"""Waking those who wait for another process to finish with a secret.

On PostgreSQL with LISTEN and NOTIFY over one connection of its own; polling is what remains when that connection is
lost, and what SQLite has. Waiters must look for themselves after every wake-up: one may be missed or come for nothing.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from sqlalchemy import func, select

from keyrack.store.engine import ListenerFactory
from keyrack.store.unit import Unit

log = structlog.get_logger()

CHANNEL = "keyrack_secret"
_POLL_SECONDS = (0.02, 0.05, 0.1, 0.25)
_RECONNECT_SECONDS = 2.0


class Wakeups:
    """Who waits for which secret in this process.

    Args:
        connect: makes a connection to listen on; None where the database cannot notify.
    """

    def __init__(self, connect: ListenerFactory | None) -> None:
        self._connect = connect
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen, if the database can notify."""
        if self._connect is not None and self._task is None:
            self._task = asyncio.create_task(self._listen(self._connect), name="wakeups")

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

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
            await unit.connection.execute(select(func.pg_notify(CHANNEL, secret_id)))

    async def _listen(self, connect: ListenerFactory) -> None:
        while True:
            try:
                connection = await connect()
                gone = asyncio.Event()
                connection.add_termination_listener(lambda _connection, gone=gone: gone.set())
                await connection.add_listener(CHANNEL, self._heard)
                try:
                    await gone.wait()
                finally:
                    with contextlib.suppress(Exception):
                        await connection.close(timeout=1)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, polling goes on
                log.debug("listening for wake-ups failed", error=type(error).__qualname__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    def _heard(self, _connection: Any, _pid: int, _channel: str, secret_id: str) -> None:
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
