"""Listens for other processes' notifications: one connection outside the pool, LISTEN on several channels.

PostgreSQL only. Besides passing on what it hears, the listener knows how far it can be relied on: a connection that
looks alive may be dead, a pooler in between may take LISTEN and pass nothing on, and after a failover it may lead to
the server that was the primary before. So it counts as up only while it hears words that are said every few seconds
the way in which all others are said, and asks its connection for a sign of life several times a second. The server
sends what was notified before it answers, so an answer proves that nothing said before the question is missing.

A session of its own is what LISTEN needs: a pooler in transaction mode cannot give it (`KEYRACK_DATABASE_DIRECT_URL`).
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from keyrack.background import Background
from keyrack.store.core.engine import ListenerFactory

log = structlog.get_logger()

Heard = Callable[[str], None]
"""Takes the payload of a notification; must not block or raise."""
Say = Callable[[str, str], Awaitable[None]]
"""Says something on a channel, as everybody does: over a connection of the pool."""

_HELLO = "keyrack_hello"
_RECONNECT_SECONDS = 2.0
_PULSE_SECONDS = 0.3
_ANSWER_SECONDS = 1.0
_HELLO_SECONDS = 5.0
_TRUST_SECONDS = 0.9
"""How long after a sign of life the connection is still believed in: with the time it takes to notice, a second."""


class Listener:
    """Listens on channels, as long as the database can be reached.

    Args:
        connect: makes a connection to listen on; None where the database cannot notify.
        say: says what is to be heard; over a connection that is made for it, if None.
        timer: seconds that never go back.
    """

    def __init__(
        self, connect: ListenerFactory | None, say: Say | None = None, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._timer = timer
        self._say = say
        self._is_deaf = False
        self._channels: dict[str, Heard] = {}
        self._task = None if connect is None else Background("listener", lambda: self._listen(connect))
        self._up_since = math.inf
        self._proven = -math.inf

    def on(self, channel: str, heard: Heard) -> None:
        """Pass on what is said on a channel; called before `start`."""
        self._channels[channel] = heard

    async def start(self) -> None:
        """Begin to listen, if the database can notify."""
        if self._task is not None:
            self._task.start()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            await self._task.stop()

    def missed_nothing_since(self, moment: float) -> bool:
        """Tell whether everything said between a moment of the timer and about a second ago has been passed on."""
        return moment >= self._up_since and self._timer() - self._proven <= _TRUST_SECONDS

    async def _listen(self, connect: ListenerFactory) -> None:
        while True:
            try:
                connection = await connect()
                try:
                    await self._attend(connection, connect)
                finally:
                    self._up_since = math.inf
                    with contextlib.suppress(Exception):
                        await connection.close(timeout=1)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with the database, polling goes on
                log.debug("listening failed", error=type(error).__qualname__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _attend(self, connection: Any, connect: ListenerFactory) -> None:
        """Listen on a connection until it is gone."""
        gone = asyncio.Event()
        connection.add_termination_listener(lambda _connection: gone.set())
        for channel, heard in self._channels.items():
            await connection.add_listener(channel, _passing_on(heard))
        hello = _Hello(connection, self._say or _saying(connect))
        await connection.add_listener(_HELLO, _passing_on(hello.heard))
        since = said = self._timer()
        self._judge(since, arrived=await hello.arrives())
        while not gone.is_set():
            asked = self._timer()
            if asked - said >= _HELLO_SECONDS:
                said = asked
                self._judge(said, arrived=await hello.arrives())
            # as text alone: behind a pooler, what was prepared may be gone
            await connection.execute("SELECT 1", timeout=_ANSWER_SECONDS)
            self._proven = asked
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), _PULSE_SECONDS)

    def _judge(self, said: float, *, arrived: bool) -> None:
        """Take note of whether a word arrived."""
        if not arrived:
            self._up_since = math.inf
            if not self._is_deaf:
                log.warning(
                    "notifications do not arrive, as behind a pooler in transaction mode: set"
                    " KEYRACK_DATABASE_DIRECT_URL to the address of the same database past it. Until then, what is"
                    " remembered of callers is looked up again every second, so that a revoked key still ends within"
                    " one, and what other processes have refreshed is polled for",
                )
        elif self._up_since == math.inf:
            self._proven, self._up_since = said, said
            if self._is_deaf:
                log.warning("notifications arrive again")
        self._is_deaf = not arrived


class _Hello:
    """Words that are said to see whether they arrive.

    Args:
        connection: that listens.
        say: says them over another one.
    """

    def __init__(self, connection: Any, say: Say) -> None:
        self._connection = connection
        self._say = say
        self._word = ""
        self._arrived = asyncio.Event()

    def heard(self, payload: str) -> None:
        """Take what was heard; other processes say their own."""
        if payload == self._word:
            self._arrived.set()

    async def arrives(self) -> bool:
        """Say one and tell whether it arrives."""
        self._word = secrets.token_hex(8)
        self._arrived.clear()
        await self._say(_HELLO, self._word)
        try:
            await asyncio.wait_for(self._arrived.wait(), _ANSWER_SECONDS)
        except TimeoutError:
            return False
        return True


def _saying(connect: ListenerFactory) -> Say:
    """Return how to say something over a connection that is made for it."""

    async def say(channel: str, word: str) -> None:
        other = await connect()
        try:
            await other.execute("SELECT pg_notify($1, $2)", channel, word)
        finally:
            await other.close(timeout=1)

    return say


def _passing_on(heard: Heard) -> Callable[[Any, int, str, str], None]:
    def passed(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
        heard(payload)

    return passed
