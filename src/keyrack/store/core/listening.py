"""Listens for other processes' notifications: one connection outside the pool, LISTEN on several channels.

PostgreSQL only. Besides passing on what it hears, the listener knows how far it can be relied on: a connection that
looks alive may be dead, and a pooler in between may take LISTEN and pass nothing on. So it counts as up only after it
heard a word said over another connection, and asks its connection for a sign of life several times a second. The
server sends what was notified before it answers, so an answer proves that nothing said before the question is missing.
"""

import asyncio
import contextlib
import math
import secrets
import time
from collections.abc import Callable
from typing import Any

import structlog

from keyrack.background import Background
from keyrack.store.core.engine import ListenerFactory

log = structlog.get_logger()

Heard = Callable[[str], None]
"""Takes the payload of a notification; must not block or raise."""

_HELLO = "keyrack_hello"
_RECONNECT_SECONDS = 2.0
_PULSE_SECONDS = 0.3
_ANSWER_SECONDS = 1.0
_TRUST_SECONDS = 0.9
"""How long after a sign of life the connection is still believed in: with the time it takes to notice, a second."""


class Listener:
    """Listens on channels, as long as the database can be reached.

    Args:
        connect: makes a connection to listen on; None where the database cannot notify.
        timer: seconds that never go back.
    """

    def __init__(self, connect: ListenerFactory | None, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
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
        since = self._timer()
        if await _is_heard(connection, connect):
            self._proven, self._up_since = since, since
        else:
            log.warning("notifications do not arrive; is there a pooler in front of the database?")
        while not gone.is_set():
            asked = self._timer()
            await connection.fetchval("SELECT 1", timeout=_ANSWER_SECONDS)
            self._proven = asked
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(gone.wait(), _PULSE_SECONDS)


async def _is_heard(connection: Any, connect: ListenerFactory) -> bool:
    """Tell whether what is said over another connection arrives at this one."""
    word, arrived = secrets.token_hex(8), asyncio.Event()

    def hello(payload: str) -> None:
        if payload == word:
            arrived.set()

    await connection.add_listener(_HELLO, _passing_on(hello))
    other = await connect()
    try:
        await other.execute("SELECT pg_notify($1, $2)", _HELLO, word)
    finally:
        await other.close(timeout=1)
    try:
        await asyncio.wait_for(arrived.wait(), _ANSWER_SECONDS)
    except TimeoutError:
        return False
    return True


def _passing_on(heard: Heard) -> Callable[[Any, int, str, str], None]:
    def passed(_connection: Any, _pid: int, _channel: str, payload: str) -> None:
        heard(payload)

    return passed
