"""A reverse proxy on loopback that counts requests and may answer some itself: for how clients take faults."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import ClientSession, web
from yarl import URL

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
