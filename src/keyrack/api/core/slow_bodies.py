"""Ends requests whose body does not arrive in time."""

import asyncio

from keyrack.api.core.asgi import App, Message, Receive, Scope, Send
from keyrack.errors import RequestTimeout

_WITHOUT_A_BODY = {"GET", "HEAD", "OPTIONS"}


class SlowBodies:
    """An ASGI application in front of another, whose requests end with 408 when their body takes too long.

    Args:
        app: reads bodies, and answers `RequestTimeout` if reading raises it.
        seconds: from the first reading to the end of the body.
    """

    def __init__(self, app: App, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http" and scope["method"] not in _WITHOUT_A_BODY:
            receive = _Deadline(receive, self._seconds).receive
        await self._app(scope, receive, send)


class _Deadline:
    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._seconds = seconds
        self._ends: float | None = None
        self._complete = False

    async def receive(self) -> Message:
        if self._complete:  # what is left to hear is that the caller has gone
            return await self._receive()
        if self._ends is None:
            self._ends = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._ends):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
        self._complete = not message.get("more_body", False)
        return message
