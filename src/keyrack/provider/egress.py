"""Bundles what connections to servers are made with: guarded names, TLS settings, the operator's proxy."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from aiohttp.abc import AbstractResolver
from yarl import URL

from keyrack.provider.address_guard import ForbiddenAddressError
from keyrack.provider.egress_proxy import EgressProxy, open_tunnel
from keyrack.provider.resolver import GuardedResolver
from keyrack.provider.uri_guard import check_host, is_literal

P = TypeVar("P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True)
class Egress:
    """How servers are reached.

    Attributes:
        guarded: looks up names of servers.
        unguarded: looks up the proxy's name, which the operator chose.
        tls: what certificates are judged by.
        allow_insecure: see `keyrack.provider.address_guard.check_address`.
        proxy: what servers are called through; None: they are called directly.
    """

    guarded: GuardedResolver
    unguarded: AbstractResolver
    tls: ssl.SSLContext
    allow_insecure: bool
    proxy: EgressProxy | None

    def is_direct(self, url: URL) -> bool:
        """Tell whether a server is called without a proxy."""
        return self.proxy is None or not self.proxy.serves(url)

    async def tunnel(
        self, url: URL, make: Callable[[], P], server_tls: ssl.SSLContext | None
    ) -> tuple[asyncio.Transport, P]:
        """Connect to a server through the proxy.

        A host that is written as an address is judged as ever. A name is looked up here too, and refused if it has a
        forbidden address; one that nobody here knows is the proxy's to find, since networks that need a proxy often
        have no names of the outside.

        Args:
            url: parsed and judged.
            make: makes the protocol that speaks to the server.
            server_tls: what its certificate is judged by; None: it has none.

        Raises:
            ForbiddenAddressError: the address must not be called.
            OSError: as `open_tunnel`.
        """
        assert self.proxy is not None  # noqa: S101 - see `is_direct`
        check_host(url, allow_insecure=self.allow_insecure)
        if not is_literal(url):
            try:
                await self.guarded.resolve(url.raw_host or "", url.port or 0, socket.AF_UNSPEC)
            except ForbiddenAddressError:
                raise
            except OSError:
                pass
        return await open_tunnel(
            self.proxy, url, make, resolver=self.unguarded, proxy_tls=self.tls, server_tls=server_tls
        )
