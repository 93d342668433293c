"""A webhook receiver on loopback: remembers what it was sent, verifies it, answers as told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook as Verifier

Answer = Callable[["Message"], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Message:
    """One request, as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified(self, secret: str) -> Any:
        """Return the body after the official library has verified it; raise if it does not."""
        return Verifier(secret).verify(self.body, dict(self.headers))


def answering(status: int, **headers: str) -> Answer:
    async def answer(_: Message) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


@dataclass
class Receiver:
    """A running receiver.

    Attributes:
        port: on 127.0.0.1.
        messages: all that came, in order.
        answer: how it answers; may be changed.
        arrived: set when something comes; a test clears it.
    """

    port: int = 0
    messages: list[Message] = field(default_factory=list)
    answer: Answer = field(default_factory=lambda: answering(204))
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def sent_to(self, path: str) -> list[Message]:
        return [message for message in self.messages if message.path == path]

    async def take(self, request: web.Request) -> web.StreamResponse:
        message = Message(request.path, {k.lower(): v for k, v in request.headers.items()}, await request.read())
        self.messages.append(message)
        self.arrived.set()
        return await self.answer(message)


@asynccontextmanager
async def receiving(port: int = 0) -> AsyncIterator[Receiver]:
    """Run a receiver in this event loop."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()
