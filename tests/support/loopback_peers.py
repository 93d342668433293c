"""Peers on loopback: a webhook receiver, a reverse proxy with faults, a name server, and an attacker's raw sockets."""

import asyncio
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientSession, web
from standardwebhooks import Webhook as Verifier
from yarl import URL

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


_OF_ONE_HOP = {"connection", "content-encoding", "content-length", "host", "transfer-encoding"}


@dataclass
class Proxy:
    """A running proxy.

    Attributes:
        behind: the address it passes requests on to.
        base: its own address, with the path prefix that it takes away.
        requests: method and path with query of every request, in order.
        faults: what the next requests are answered with: a status, with `Retry-After: 0`, or 0 to cut the connection.
    """

    behind: str
    base: str = ""
    requests: list[str] = field(default_factory=list)
    faults: deque[int] = field(default_factory=deque)

    def forget(self) -> None:
        """Begin anew."""
        self.requests.clear()
        self.faults.clear()


@asynccontextmanager
async def proxying(behind: str, prefix: str = "") -> AsyncIterator[Proxy]:
    """Run a proxy in this event loop.

    Args:
        behind: the address of the server behind it.
        prefix: a path that it answers under and takes away before passing on, such as `/keyrack`.
    """
    proxy = Proxy(behind)

    async with ClientSession(auto_decompress=False) as http:

        async def take(request: web.Request) -> web.StreamResponse:
            proxy.requests.append(f"{request.method} {request.raw_path}")
            if proxy.faults:
                status = proxy.faults.popleft()
                if not status:
                    assert request.transport is not None
                    request.transport.abort()
                return web.json_response({"fault": status}, status=status or 500, headers={"retry-after": "0"})
            url = URL(proxy.behind + request.raw_path.removeprefix(prefix), encoded=True)
            headers = [(name, value) for name, value in request.headers.items() if name.lower() not in _OF_ONE_HOP]
            body = await request.read()
            async with http.request(request.method, url, headers=headers, data=body, allow_redirects=False) as answer:
                kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OF_ONE_HOP]
                response = web.Response(status=answer.status, body=await answer.read())
                for name, value in kept:
                    response.headers[name] = value
                return response

        app = web.Application()
        app.router.add_route("*", f"{prefix}/{{path:.*}}", take)
        runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        proxy.base = f"http://127.0.0.1:{runner.addresses[0][1]}{prefix}"
        try:
            yield proxy
        finally:
            await runner.cleanup()


class NameServer(asyncio.DatagramProtocol):
    """Answers `A` questions for the names it `knows`; is silent about others until it is told to `deny` them."""

    def __init__(self) -> None:
        self.knows: dict[str, str] = {}
        self.asked: list[str] = []
        """Names it was asked for, each once, in order."""
        self.address = ""
        self._silent_about: list[tuple[bytes, tuple[str, int]]] = []
        self._denying = False
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # datagrams only
        self._transport = transport
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data)
        if name not in self.asked:
            self.asked.append(name)
        if name in self.knows:
            (kind,) = struct.unpack_from(">H", data, end)
            record = b""
            if kind == 1:  # A; there is no AAAA, which is an empty answer
                record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(self.knows[name])
            self._answer(data, addr, 0x8180, record)
        elif self._denying:
            self._answer(data, addr, 0x8183, b"")
        else:
            self._silent_about.append((data, addr))

    def deny(self) -> None:
        """End the silence: what was asked and what will be does not exist."""
        self._denying = True
        for data, addr in self._silent_about:
            self._answer(data, addr, 0x8183, b"")
        self._silent_about.clear()

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _answer(self, question: bytes, addr: tuple[str, int], flags: int, record: bytes) -> None:
        _, end = _name(question)
        head = question[:2] + struct.pack(">HHHHH", flags, 1, int(bool(record)), 0, 0)
        assert self._transport is not None
        self._transport.sendto(head + question[12 : end + 4] + record, addr)


def _name(message: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1


@pytest.fixture
async def name_server() -> AsyncIterator[NameServer]:
    """A name server of a test's own."""
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield server
    server.close()


ATTACKER = "127.0.0.2"
"""Linux has all of 127.0.0.0/8 on its loopback interface."""


def connect(port: int, *, source: str = ATTACKER, receive_buffer: int | None = None) -> socket.socket:
    """Return a connection to a server on 127.0.0.1 that comes from another address.

    Args:
        port: of the server.
        source: the address it comes from.
        receive_buffer: bytes that the kernel takes of what nobody reads; as usual if None.
    """
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(60)
    connection.bind((source, 0))
    connection.connect(("127.0.0.1", port))
    return connection


@contextmanager
def connections(port: int, count: int, first: bytes = b"", *, source: str = ATTACKER) -> Iterator[list[socket.socket]]:
    """Hold a number of connections open until the block ends; each sends `first`."""
    with ExitStack() as held:
        made = []
        for _ in range(count):
            made.append(held.enter_context(connect(port, source=source)))
            if first:
                made[-1].sendall(first)
        yield made


def is_closed(connection: socket.socket) -> bool:
    """Tell whether the other side has ended a connection that has nothing to read."""
    connection.settimeout(0)
    try:
        return not connection.recv(1)
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
