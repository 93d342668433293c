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
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from keyrack.simulator.twin.oauth1 import OAuth1Twin
from keyrack.simulator.twin.received import Received
from keyrack.simulator.twin.twin import Twin

_HOST = "127.0.0.1"
_MAX_BODY = 1 << 20
_VALID = timedelta(days=1)


class Authority:
    """A certificate authority of its own, which nobody trusts but who is told to; its key never leaves the process.

    Args:
        folder: where certificates are written, with the key that all of them have; a private one.
    """

    def __init__(self, folder: Path) -> None:
        self._key, self._host_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keyrack twin")])
        self._folder = folder
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._certificate = self._signed(self._name, self._key.public_key(), None)

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a client needs that trusts this authority, and no other."""
        return ssl.create_default_context(cadata=self._certificate.public_bytes(Encoding.PEM).decode())

    def serving(self) -> ssl.SSLContext:
        """Return what a server needs that is whatever host it is taken for."""

        def named(connection: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
            connection.context = self._of_host(host or "localhost")

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = named
        return context

    def _of_host(self, host: str) -> ssl.SSLContext:
        known = self._contexts.get(host)
        if known is None:
            subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "twin")])
            certificate = self._signed(subject, self._host_key.public_key(), host)
            private = self._host_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            file = self._folder / "host.pem"
            file.write_bytes(private + certificate.public_bytes(Encoding.PEM))
            known = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            known.load_cert_chain(file)
            self._contexts[host] = known
        return known

    def _signed(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, host: str | None) -> x509.Certificate:
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _VALID)
            .not_valid_after(now + _VALID)
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if host is not None:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return made.sign(self._key, hashes.SHA256())


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
        trusting: trusts the certificates that are shown here.
        twin: who answers.
    """

    resolver: LoopbackResolver
    trusting: ssl.SSLContext = field(repr=False)
    twin: Twin | OAuth1Twin | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Let the twin answer a request."""
        if self.twin is None:
            return web.Response(status=503)
        received = Received(
            request.method,
            f"https://{request.headers.get('host', '')}{request.raw_path}",
            [(name.lower(), value) for name, value in request.headers.items()],
            await request.read(),
        )
        reply = self.twin.serve(received)
        return web.Response(status=reply.status, body=reply.content, content_type=reply.content_type)


@asynccontextmanager
async def twin_server() -> AsyncIterator[TwinServer]:
    """Serve twins in the running event loop for as long as the context is open."""
    with tempfile.TemporaryDirectory(prefix="keyrack-twin-") as folder:
        authority = await asyncio.to_thread(Authority, Path(folder))
        listener = socket.create_server((_HOST, 0), backlog=128)
        made = TwinServer(LoopbackResolver(listener.getsockname()[1]), authority.trusting)
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
