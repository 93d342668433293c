"""Reaches servers through the operator's HTTP proxy, by CONNECT (RFC 9110 section 9.3.6).

Whatever the address of a server, what is sent to it goes through a tunnel, so that the proxy sees a host and a port
and, where there is TLS, nothing else. The proxy's own address is the operator's choice and is not guarded.
"""

import asyncio
import re
import socket
import ssl
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from keyrack.crypto.secret import Secret
from keyrack.errors import ConfigurationError

log = structlog.get_logger()

_SETTING, _EXCEPTIONS = "KEYRACK_PROXY_URL", "KEYRACK_NO_PROXY"
_PORTS = {"http": 80, "https": 443}
_FORM = f"{_SETTING} must be http://USER:PASSWORD@HOST:PORT or https://USER:PASSWORD@HOST:PORT, user and port optional"
_MOST_HEAD_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})(?: [^\r\n]*)?\r?\n")
_NAME = re.compile(r"\.?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*", re.IGNORECASE)

P = TypeVar("P", bound=asyncio.Protocol)


class ProxyRefused(OSError):
    """The proxy did not connect to the server."""


@dataclass(frozen=True, slots=True)
class EgressProxy:
    """The operator's proxy.

    Attributes:
        host: its name or address, without brackets.
        port: its port.
        tls: whether it is spoken to over TLS.
        authorization: value of `Proxy-Authorization`; None: it asks for none.
        names: host names that are called without it, and all below them; `*` for every host.
        networks: addresses that are called without it, where a URL names an address.
    """

    host: str
    port: int
    tls: bool = False
    authorization: Secret | None = None
    names: Sequence[str] = ()
    networks: Sequence[IPv4Network | IPv6Network] = ()

    def serves(self, url: URL) -> bool:
        """Tell whether a server is called through the proxy."""
        host = (url.raw_host or "").rstrip(".").lower()
        try:
            address = ip_address(host)
        except ValueError:
            return not any(name in ("*", host) or host.endswith(f".{name}") for name in self.names)
        if "*" in self.names:
            return False
        return not any(address in network for network in self.networks if network.version == address.version)


def egress_proxy(url: Secret | None, no_proxy: str) -> EgressProxy | None:
    """Read the settings `KEYRACK_PROXY_URL` and `KEYRACK_NO_PROXY`.

    Args:
        url: the first one; None: servers are called directly.
        no_proxy: the second one.

    Raises:
        ConfigurationError: they cannot be used; the message has nothing of the URL.
    """
    names, networks = _exceptions(no_proxy)
    if url is None:
        return None
    try:
        parts = urlsplit(url.reveal())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ConfigurationError(_FORM) from None
    more = parts.path.strip("/") or parts.query or parts.fragment
    if parts.scheme not in _PORTS or not host or port == 0 or more:
        raise ConfigurationError(_FORM)
    authorization = None
    if parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = Secret("Basic " + b64encode(credentials.encode()).decode())
    return EgressProxy(
        host, port or _PORTS[parts.scheme], parts.scheme == "https", authorization, tuple(names), tuple(networks)
    )


def _exceptions(no_proxy: str) -> tuple[list[str], list[IPv4Network | IPv6Network]]:
    names: list[str] = []
    networks: list[IPv4Network | IPv6Network] = []
    for text in filter(None, (part.strip() for part in no_proxy.split(","))):
        try:
            networks.append(ip_network(text.strip("[]"), strict=False))
        except ValueError:
            if text != "*" and not _NAME.fullmatch(text):
                raise ConfigurationError(
                    f"{_EXCEPTIONS} must list host names, addresses and networks, without ports: {text!r} is none"
                ) from None
            names.append(text.lstrip(".").lower())
    return names, networks


async def open_tunnel(
    proxy: EgressProxy,
    url: URL,
    make: Callable[[], P],
    *,
    resolver: AbstractResolver,
    proxy_tls: ssl.SSLContext,
    server_tls: ssl.SSLContext | None,
) -> tuple[asyncio.Transport, P]:
    """Connect to a server through the proxy. Takes as long as it takes: the caller bounds it.

    Args:
        proxy: the operator's.
        url: of the server; its host and port are what the proxy is told.
        make: makes the protocol that speaks to the server.
        resolver: finds the proxy's own address; not guarded.
        proxy_tls: what the proxy's certificate is judged by, where it has one.
        server_tls: what the server's is judged by; None: it has none.

    Raises:
        ProxyRefused: the proxy answered anything but success, or what cannot be understood.
        ssl.SSLError: there is no TLS with the proxy or the server.
        OSError: there is no connection to the proxy.
    """
    loop = asyncio.get_running_loop()
    connection = await _connected(proxy, resolver)
    try:
        transport, opening = await loop.create_connection(
            _Opening, sock=connection, ssl=proxy_tls if proxy.tls else None, server_hostname=_server_name(proxy)
        )
    except BaseException:
        connection.close()
        raise
    try:
        transport.write(_connect_request(proxy, url))
        await opening.agreed
        protocol = make()
        if server_tls is None:
            transport.set_protocol(protocol)
        else:
            host = (url.raw_host or "").rstrip(".")
            try:
                upgraded = await loop.start_tls(transport, protocol, server_tls, server_hostname=host)
            except TypeError:  # TLS failed inside of TLS: asyncio before Python 3.11.8 stumbles over saying so
                raise ssl.SSLError("no secure connection through the proxy") from None
            assert upgraded is not None  # noqa: S101 - or it has raised
            transport = upgraded
    except BaseException:
        transport.abort()
        raise
    protocol.connection_made(transport)
    return transport, protocol


async def _connected(proxy: EgressProxy, resolver: AbstractResolver) -> socket.socket:
    """Return a connection to the first address of the proxy that takes one."""
    refused: OSError = OSError("the proxy has no address")
    for family, address in await _addresses(proxy, resolver):
        made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, (address, proxy.port))
        except OSError as error:
            made.close()
            refused = error
            continue
        except BaseException:
            made.close()
            raise
        return made
    log.warning("the proxy cannot be reached", proxy=f"{proxy.host}:{proxy.port}", error=str(refused))
    raise refused


async def _addresses(proxy: EgressProxy, resolver: AbstractResolver) -> Sequence[tuple[int, str]]:
    try:
        literal = ip_address(proxy.host)
    except ValueError:
        found = await resolver.resolve(proxy.host, proxy.port, socket.AF_UNSPEC)
        return [(int(each["family"]), each["host"]) for each in found]
    return [(socket.AF_INET6 if ":" in proxy.host else socket.AF_INET, str(literal))]


def _server_name(proxy: EgressProxy) -> str | None:
    return proxy.host if proxy.tls else None


def _connect_request(proxy: EgressProxy, url: URL) -> bytes:
    host = url.raw_host or ""
    target = f"[{host}]:{url.port}" if ":" in host else f"{host}:{url.port}"
    lines = [f"CONNECT {target} HTTP/1.1", f"Host: {target}"]
    if proxy.authorization is not None:
        lines.append(f"Proxy-Authorization: {proxy.authorization.reveal()}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


class _Opening(asyncio.Protocol):
    """Reads the proxy's answer to CONNECT, and not a byte of what would follow it.

    Attributes:
        agreed: done when the tunnel is there; else it fails with `ProxyRefused`.
    """

    def __init__(self) -> None:
        self.agreed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, rest = self._received.partition(b"\r\n\r\n")
        if self.agreed.done():
            return
        if not end:
            if len(self._received) > _MOST_HEAD_BYTES:
                self._fail("too long an answer")
            return
        status = _STATUS.match(head + b"\r\n")
        if status is None:
            self._fail("not HTTP")
        elif not status[1].startswith(b"2"):
            self._fail(status[1].decode())
        elif rest:
            self._fail("more than an answer")  # nobody may speak before we do
        else:
            self.agreed.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if not self.agreed.done():
            self._fail("the connection ended")

    def _fail(self, what: str) -> None:
        log.warning("the proxy did not connect to a server", answer=what)
        self.agreed.set_exception(ProxyRefused(f"the proxy did not connect: {what}"))
