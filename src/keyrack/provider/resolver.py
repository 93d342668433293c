"""Guards against SSRF when connecting: resolver and sockets that reach no forbidden address (contract 0.11)."""

import socket
from collections.abc import Callable

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from keyrack.provider.address_guard import check_address


class GuardedResolver(AbstractResolver):
    """Passes on another resolver's answer only if every address in it may be called.

    One forbidden address refuses the whole answer: a name with both kinds is an attempt, not an accident. The HTTP
    client connects to the addresses returned here and never resolves again, so an answer that changes between check
    and use (DNS rebinding) has no effect.
    """

    def __init__(self, inner: AbstractResolver, *, allow_insecure: bool) -> None:
        self._inner = inner
        self._allow_insecure = allow_insecure

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host name.

        Raises:
            ForbiddenAddressError: an answer is not an address that may be called.
            OSError: the name does not resolve.
        """
        results = await self._inner.resolve(host, port, family)
        if not results:
            raise OSError("the name has no addresses")
        for result in results:
            check_address(result["host"], allow_insecure=self._allow_insecure)
        return results

    async def close(self) -> None:
        """Close the resolver inside."""
        await self._inner.close()


def guarded_socket_factory(*, allow_insecure: bool) -> Callable[[AddrInfoType], socket.socket]:
    """Return a maker of sockets that refuses forbidden addresses.

    The last door before `connect`: aiohttp asks no resolver about literal addresses, but makes every socket here.
    """

    def open_socket(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        check_address(str(address[0]), allow_insecure=allow_insecure)
        return socket.socket(family, kind, protocol)

    return open_socket
