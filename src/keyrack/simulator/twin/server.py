"""Serves twins on loopback at the addresses of their profiles: over TLS, for whatever host name is asked for.

Whoever is to reach a twin resolves names with `TwinServer.resolver` and trusts `TwinServer.authority`; then an address
such as `https://slack.com/api/oauth.v2.access` leads here, unchanged.
"""

import asyncio
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from keyrack.simulator.twin.authority import Authority
from keyrack.simulator.twin.oauth1 import OAuth1Twin
from keyrack.simulator.twin.received import Received
from keyrack.simulator.twin.twin import Twin

_HOST = "127.0.0.1"
_MAX_BODY = 1 << 20


class LoopbackResolver(AbstractResolver):
    """Says of every name that it is this machine, at one port whatever port was asked for."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the only address."""
        del port, family
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(hostname=host, host=_HOST, port=self._port, family=socket.AF_INET, proto=0, flags=numeric)
        ]

    async def close(self) -> None:
        """There is nothing to close."""


@dataclass
class TwinServer:
    """A running server; `twin` is who answers, one after another.

    Attributes:
        resolver: leads every name here.
        authority: issues the certificates that are shown here, and those of clients.
        twin: who answers.
    """

    resolver: LoopbackResolver
    authority: Authority = field(repr=False)
    twin: Twin | OAuth1Twin | None = None

    @property
    def trusting(self) -> ssl.SSLContext:
        """What trusts the certificates that are shown here, and no others."""
        return self.authority.trusting

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Let the twin answer a request."""
        if self.twin is None:
            return web.Response(status=503)
        received = Received(
            request.method,
            f"https://{request.headers.get('host', '')}{request.raw_path}",
            [(name.lower(), value) for name, value in request.headers.items()],
            await request.read(),
            _shown(request),
        )
        reply = self.twin.serve(received)
        return web.Response(status=reply.status, body=reply.content, content_type=reply.content_type)


def _shown(request: web.Request) -> bytes | None:
    """Return the certificate that a client has shown in TLS, in DER; None: it has shown none."""
    tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    return tls.getpeercert(binary_form=True) if isinstance(tls, ssl.SSLObject) else None


@asynccontextmanager
async def twin_server() -> AsyncIterator[TwinServer]:
    """Serve twins in the running event loop for as long as the context is open."""
    with tempfile.TemporaryDirectory(prefix="keyrack-twin-") as folder:
        authority = await asyncio.to_thread(Authority, Path(folder))
        listener = socket.create_server((_HOST, 0), backlog=128)
        made = TwinServer(LoopbackResolver(listener.getsockname()[1]), authority)
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", "/{path:.*}", made.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        try:
            await runner.setup()
            await web.SockSite(runner, listener, ssl_context=authority.serving()).start()
            yield made
        finally:
            await runner.cleanup()
            listener.close()
