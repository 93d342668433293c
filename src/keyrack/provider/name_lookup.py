"""Looks names up without blocking anything: asynchronous, limited in time, shared, remembered, a share per tenant.

c-ares (through aiodns) waits for all answers at once, so that a silent name server occupies no thread. Why this one,
and how it differs from the system's resolver: decision 23.
"""

import asyncio
import socket
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import aiodns
from aiohttp.abc import AbstractResolver, ResolveResult

from keyrack.provider.shares import Shares, calling_for

LIMIT_SECONDS = 3.0
"""What a look-up may take by default; setting `KEYRACK_DNS_TIMEOUT`."""

_EACH_TENANT = 16
_REMEMBERED_NAMES = 1024
_GOOD_SECONDS = 10.0
_BAD_SECONDS = 5.0

# A question without an answer is sent again after a third of the limit, to the next server if there is one; c-ares
# doubles the time for the second round, so that two rounds fill the limit.
_FIRST_ROUND = 1 / 3
_ROUNDS = 2


class NameServers(AbstractResolver):
    """Asks name servers, and `/etc/hosts` before them, through c-ares.

    Args:
        servers: `address` or `address:port` each, IPv6 addresses in brackets; empty: those of `/etc/resolv.conf`, which
            is read again when it changes.
        limit: seconds a look-up may take; decides how soon the question is asked again.
    """

    def __init__(self, servers: Sequence[str] = (), *, limit: float = LIMIT_SECONDS) -> None:
        self._servers = tuple(servers)
        self._limit = limit
        self._resolver: aiodns.DNSResolver | None = None

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host name.

        Raises:
            OSError: it has none, or no name server answers.
        """
        try:
            found = await self._opened().getaddrinfo(host, family=family, port=port, type=socket.SOCK_STREAM)
        except aiodns.error.DNSError as error:
            problem = str(error.args[-1])
        else:
            return [_result(host, port, node.family, node.addr) for node in found.nodes]
        raise OSError(problem)

    async def close(self) -> None:
        """Let go of the sockets; questions that are open fail."""
        resolver, self._resolver = self._resolver, None
        if resolver is not None:
            await resolver.close()

    def _opened(self) -> aiodns.DNSResolver:
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(
                self._servers or None, timeout=self._limit * _FIRST_ROUND, tries=_ROUNDS
            )
        return self._resolver


def _result(
    host: str, port: int, family: int, address: tuple[bytes, int] | tuple[bytes, int, int, int]
) -> ResolveResult:
    text = address[0].decode("ascii")
    if len(address) > 2 and address[3]:  # noqa: PLR2004 - the scope of a link-local IPv6 address
        text = f"{text}%{address[3]}"
    numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=text, port=port, family=family, proto=0, flags=numeric)


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What a look-up brought: addresses, or none for a failure."""

    results: tuple[ResolveResult, ...]
    until: float


class BoundedLookups(AbstractResolver):
    """Bounds another resolver: in time, and in what one tenant may keep busy.

    Look-ups of one name that run at the same time are one. Addresses are remembered for ten seconds, failures for
    five, of the last thousand names. A tenant (`calling_for`) has 16 look-ups under way at most; further ones wait
    behind them, those of other tenants do not.

    Args:
        inner: what is asked.
        limit: seconds a look-up may take.
        each: look-ups under way for one tenant.
        now: monotonic seconds.
    """

    def __init__(
        self,
        inner: AbstractResolver,
        *,
        limit: float = LIMIT_SECONDS,
        each: int = _EACH_TENANT,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._limit = limit
        self._now = now
        self._shares = Shares(each)
        self._remembered: OrderedDict[tuple[str, int], _Remembered] = OrderedDict()
        self._running: dict[tuple[str, int], asyncio.Task[_Remembered]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host name.

        Raises:
            OSError: it has none, none came in time, or that was so a moment ago.
        """
        key = (host.lower(), int(family))
        known = self._known(key)
        if known is None:
            known = await self._joined(key, family)
        if not known.results:
            raise OSError("the name does not resolve")
        return [ResolveResult(**{**result, "hostname": host, "port": port}) for result in known.results]

    async def close(self) -> None:
        """End all look-ups, and close the resolver inside."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._inner.close()

    def _known(self, key: tuple[str, int]) -> _Remembered | None:
        known = self._remembered.get(key)
        return known if known is not None and known.until > self._now() else None

    async def _joined(self, key: tuple[str, int], family: socket.AddressFamily) -> _Remembered:
        """Wait for the look-up of a name, starting it if none runs; our end does not end it, others may wait too."""
        task = self._running.get(key)
        if task is None:
            tenant = calling_for.get()
            await self._shares.take(tenant)
            # Somebody else may have asked while we waited for our place.
            known, task = self._known(key), self._running.get(key)
            if known is not None or task is not None:
                self._shares.give_back(tenant)
            if known is not None:
                return known
            if task is None:
                task = asyncio.create_task(self._look_up(key, family), name="name look-up")
                self._running[key] = task
                task.add_done_callback(lambda _: self._ended(key, tenant))
        return await asyncio.shield(task)

    def _ended(self, key: tuple[str, int], tenant: str) -> None:
        self._running.pop(key, None)
        self._shares.give_back(tenant)

    async def _look_up(self, key: tuple[str, int], family: socket.AddressFamily) -> _Remembered:
        found: tuple[ResolveResult, ...] = ()
        try:
            async with asyncio.timeout(self._limit):
                found = tuple(await self._inner.resolve(key[0], 0, family))
        except OSError:  # a TimeoutError is one
            pass
        remembered = _Remembered(found, self._now() + (_GOOD_SECONDS if found else _BAD_SECONDS))
        self._remembered[key] = remembered
        self._remembered.move_to_end(key)
        if len(self._remembered) > _REMEMBERED_NAMES:
            self._remembered.popitem(last=False)
        return remembered
