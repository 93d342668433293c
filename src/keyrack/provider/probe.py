"""Connects to an endpoint without sending anything, and tells how far that went: name, TCP, TLS, certificate.

For diagnoses. The address guard is the same as for every call; what a name resolves to is told to nobody.
"""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from ipaddress import ip_address

from aiohttp.abc import AbstractResolver
from cryptography import x509
from yarl import URL

from keyrack.provider.address_guard import ForbiddenAddressError, check_address
from keyrack.provider.egress import Egress
from keyrack.provider.faults import Reason

_MOST_ADDRESSES = 3
_MOST_NAMES = 20
_IPV4 = 4


@dataclass(frozen=True, slots=True)
class Certificate:
    """A server's certificate, as it says itself.

    Attributes:
        names: host names that it is for; at most twenty.
        ends_at: until when it is good.
    """

    names: Sequence[str]
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How far a connection went.

    Attributes:
        reason: why there is none; None: there is one.
        tls: the version that was agreed on; None where the address has no TLS, or it failed.
        fault: why the certificate is not accepted, in OpenSSL's words.
        certificate: the server's; None where there is none, or it cannot be read.
    """

    reason: Reason | None = None
    tls: str | None = None
    fault: str | None = None
    certificate: Certificate | None = None


async def probe(url: URL, egress: Egress) -> ProbeResult:
    """Connect, and close again. Takes as long as it takes: the caller bounds it.

    Args:
        url: parsed and judged.
        egress: how servers are reached.
    """
    try:
        return await _connection(url, egress)
    except ForbiddenAddressError:
        return ProbeResult(Reason.FORBIDDEN_ADDRESS)
    except ssl.SSLError:
        return ProbeResult(Reason.TLS)
    except OSError:
        return ProbeResult(Reason.CONNECT)


async def _connection(url: URL, egress: Egress) -> ProbeResult:
    host, port = url.raw_host or "", url.port or 0
    opened: _Opened
    if egress.is_direct(url):
        try:
            addresses = await _addresses(host, port, egress.guarded)
        except ForbiddenAddressError:
            raise
        except OSError:
            return ProbeResult(Reason.DNS)
        opened = partial(_connected, addresses, port, host, allow_insecure=egress.allow_insecure)
    else:
        opened = partial(_tunnelled, url, egress)
    try:
        return await _tls(opened, egress.tls if url.scheme == "https" else None)
    except ssl.SSLCertVerificationError as error:
        fault = error.verify_message
    return ProbeResult(Reason.TLS, fault=fault, certificate=await _unjudged(opened))


async def _addresses(host: str, port: int, resolver: AbstractResolver) -> Sequence[tuple[int, str]]:
    """Return families and addresses of a host, which may be an address itself."""
    try:
        literal = ip_address(host)
    except ValueError:
        found = await resolver.resolve(host, port, socket.AF_UNSPEC)
        return [(int(each["family"]), each["host"]) for each in found[:_MOST_ADDRESSES]]
    return [(socket.AF_INET if literal.version == _IPV4 else socket.AF_INET6, host)]


async def _tls(opened: "_Opened", context: ssl.SSLContext | None) -> ProbeResult:
    transport = await opened(context)
    try:
        tls = transport.get_extra_info("ssl_object")
        if tls is None:
            return ProbeResult()
        return ProbeResult(tls=tls.version(), certificate=_read(tls.getpeercert(binary_form=True)))
    finally:
        transport.abort()


async def _unjudged(opened: "_Opened") -> Certificate | None:
    """Return the certificate that was not accepted, so that it can be told what is wrong with it. Nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError):
        return (await _tls(opened, context)).certificate
    return None


_Opened = Callable[[ssl.SSLContext | None], Awaitable[asyncio.WriteTransport]]
"""Makes a connection with these TLS settings, or without TLS.

Raises `OSError` if there is none, or no TLS; `ssl.SSLError` is one.
"""


async def _connected(
    addresses: Sequence[tuple[int, str]], port: int, host: str, context: ssl.SSLContext | None, *, allow_insecure: bool
) -> asyncio.WriteTransport:
    """Return a connection to the first address that takes one; an `_Opened`."""
    refused: OSError = OSError("no address")
    for family, address in addresses:
        check_address(address, allow_insecure=allow_insecure)
        made = socket.socket(socket.AddressFamily(family), socket.SOCK_STREAM)
        try:
            made.setblocking(False)
            await asyncio.get_running_loop().sock_connect(made, (address, port))
        except OSError as error:
            made.close()
            refused = error
            continue
        except BaseException:
            made.close()
            raise
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=made, ssl=context, server_hostname=host if context else None
        )
        return transport
    raise refused


async def _tunnelled(url: URL, egress: Egress, context: ssl.SSLContext | None) -> asyncio.WriteTransport:
    """Return a connection through the operator's proxy; an `_Opened`."""
    transport, _ = await egress.tunnel(url, asyncio.Protocol, context)
    return transport


def _read(der: bytes | None) -> Certificate | None:
    """Read a certificate, which may be anything that OpenSSL takes."""
    try:
        found = x509.load_der_x509_certificate(der or b"")
        ends_at = found.not_valid_after_utc
    except ValueError:
        return None
    names: Sequence[str] = ()
    with suppress(x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        alternative = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        addresses = [str(each) for each in alternative.get_values_for_type(x509.IPAddress)]
        names = [*alternative.get_values_for_type(x509.DNSName), *addresses][:_MOST_NAMES]
    return Certificate(names, ends_at)
