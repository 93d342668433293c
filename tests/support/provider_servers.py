"""Servers on loopback that behave badly, byte by byte."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from aiohttp.abc import AbstractResolver, ResolveResult

from keyrack.crypto.secret import Secret
from keyrack.oauth.wire import FormRequest

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class LoopbackServers:
    """Starts servers, remembers the requests they read, and stops all of them."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self.connected = asyncio.Event()
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, handler: Handler, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            self.connected.set()
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                with suppress(ConnectionError, asyncio.IncompleteReadError):
                    await handler(reader, writer)
            except asyncio.CancelledError:
                pass  # the test is over
            finally:
                self._tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, host, 0, ssl=tls)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def answer(self, *answers: bytes, **start: object) -> int:
        """Start a server that reads one request for each answer, on one connection, and then closes it."""

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for answer in answers:
                await self.read(reader)
                writer.write(answer)
                await writer.drain()

        return await self.start(handle, **start)  # type: ignore[arg-type]  # passed through

    async def read(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        lengths = (line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        length = int(next(lengths, b":0").partition(b":")[2])
        request = head + await reader.readexactly(length)
        self.requests.append(request)
        return request

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class FakeResolver(AbstractResolver):
    """Answers each lookup with the next list of addresses, the last one for ever."""

    def __init__(self, *answers: list[str] | OSError) -> None:
        self.answers = list(answers)
        self.lookups = 0
        self.closed = False

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[ResolveResult]:
        answer = self.answers[min(self.lookups, len(self.answers) - 1)]
        self.lookups += 1
        if isinstance(answer, OSError):
            raise answer
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=0) for address in answer
        ]

    async def close(self) -> None:
        self.closed = True


def http_answer(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def token_request(url: str, *form: tuple[str, str], authorization: str | None = None) -> FormRequest:
    return FormRequest(
        url,
        form or (("grant_type", "refresh_token"), ("refresh_token", "rt-1")),
        Secret(authorization) if authorization is not None else None,
    )
