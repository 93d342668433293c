"""Bounds how many connections a process serves, in all and for each address, and ends those that keep it waiting.

When there are too many, connections that wait for a request give way first, the longest waiting before the others; a
new one is refused only where all others are at work.
"""

import asyncio
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from keyrack import metrics
from keyrack.logs import log_fault
from keyrack.setting_values import networks

if TYPE_CHECKING:
    from ipaddress import IPv4Network

log = structlog.get_logger()

_NETWORK_BITS = 64
"""A machine with IPv6 usually has a /64 for itself, so that is what counts as one address."""
_MOST_LINGERING = 256
_LOG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may take.

    Attributes:
        connections: how many a process serves.
        per_address: how many of them from one address (IPv6: one /64); 0: no limit.
        header_seconds: from the connection, or a request's first byte, to the end of its headers.
        body_seconds: from there to the end of its body.
        write_seconds: for which an answer may stay unread.
        proxies: addresses and networks to which `per_address` does not apply, separated by commas.
        over_tls: whether callers come over https, by way of a proxy.
    """

    connections: int
    per_address: int
    header_seconds: float
    body_seconds: float
    write_seconds: float
    proxies: str = ""
    over_tls: bool = False


class Connection(Protocol):
    """What `Connections` needs to know of a connection; made by `http_protocol`."""

    peer: str | None

    def judge(self, now: float) -> None:
        """End what has taken too long; `now` is the event loop's time."""

    def give_way(self) -> None:
        """End a connection that waits for a request."""

    def abort(self) -> None:
        """End it at once, without sending what is left."""


class Connections:
    """The connections of one process."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._proxies = networks(limits.proxies)
        self._all: dict[Connection, str | None] = {}
        self._served: dict[str | None, set[Connection]] = {}
        self._waiting: dict[str | None, dict[Connection, None]] = {}
        self._lingering: dict[Connection, None] = {}
        self._count = 0
        self._refused = 0
        self._logged_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Return what a new process begins with: the limits alone."""
        return {"limits": self.limits}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc] # connections stay with the process that has them

    def admit(self, connection: Connection) -> bool:
        """Count a new connection; tell whether it is served. One that is not lingers until it `left`."""
        key = source_of(connection.peer)
        self._all[connection] = key
        self._watch()
        if not self._has_room(key):
            self.linger(connection)
            return False
        self._served.setdefault(key, set()).add(connection)
        self._count += 1
        metrics.connections_are(self._count)
        self.waits(connection)
        return True

    def waits(self, connection: Connection) -> None:
        """Tell that a connection waits for a request, so that it can give way."""
        key = self._all[connection]
        if connection in self._served.get(key, ()):
            self._waiting.setdefault(key, {})[connection] = None

    def works(self, connection: Connection) -> None:
        """Tell that a request has come."""
        key = self._all.get(connection)
        if (waiting := self._waiting.get(key)) is not None:
            waiting.pop(connection, None)
            if not waiting:
                del self._waiting[key]

    def linger(self, connection: Connection) -> None:
        """Serve a connection no longer; it stays until the other side has read why, unless too many do."""
        self._release(connection)
        self._lingering[connection] = None
        if len(self._lingering) > _MOST_LINGERING:
            oldest = next(iter(self._lingering))
            del self._lingering[oldest]
            oldest.abort()

    def left(self, connection: Connection) -> None:
        """Forget a connection that is closed."""
        self._release(connection)
        self._lingering.pop(connection, None)
        self._all.pop(connection, None)

    def refused(self, connection: Connection, reason: str) -> None:
        """Count a connection that is ended for a reason of ours; log one of many."""
        metrics.connection_ended(reason)
        self._refused += 1
        now = asyncio.get_running_loop().time()
        if now - self._logged_at >= _LOG_SECONDS:
            log.warning("connection ended", reason=reason, address=connection.peer, count=self._refused)
            self._refused, self._logged_at = 0, now

    def _has_room(self, key: str | None) -> bool:
        of_address = len(self._served.get(key, ()))
        if self.limits.per_address and of_address >= self.limits.per_address and not self._is_proxy(key):
            return self._make_room(key)
        if self._count < self.limits.connections:
            return True
        return bool(self._waiting) and self._make_room(max(self._waiting, key=lambda key: len(self._waiting[key])))

    def _make_room(self, key: str | None) -> bool:
        waiting = self._waiting.get(key)
        if not waiting:
            return False
        longest = next(iter(waiting))
        self._release(longest)
        self.refused(longest, "evicted")
        longest.give_way()
        return True

    def _is_proxy(self, key: str | None) -> bool:
        if key is None:
            return True  # a Unix socket: whoever may open it
        found = ip_network(key)
        return any(found.version == proxy.version and _within(found, proxy) for proxy in self._proxies)

    def _release(self, connection: Connection) -> None:
        self.works(connection)
        key = self._all.get(connection)
        served = self._served.get(key, set())
        if connection in served:
            served.remove(connection)
            self._count -= 1
            metrics.connections_are(self._count)
            if not served:
                del self._served[key]

    def _watch(self) -> None:
        if self._timer is None:
            shortest = min(self.limits.header_seconds, self.limits.body_seconds, self.limits.write_seconds)
            self._timer = asyncio.get_running_loop().call_later(min(1.0, shortest / 4), self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        if self._all:
            self._watch()
        for connection in list(self._all):
            try:
                connection.judge(now)
            except Exception as fault:  # noqa: BLE001 - one connection's must not keep the others from being judged
                log_fault(fault)
                connection.abort()


@lru_cache(maxsize=4096)
def source_of(peer: str | None) -> str | None:
    """Return what counts as the address of a peer: the address, of IPv6 its network."""
    if peer is None:
        return None
    address: IPv4Address | IPv6Address = ip_address(peer.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(IPv6Network((address, _NETWORK_BITS), strict=False))
        address = address.ipv4_mapped
    return str(address)


def _within(found: "IPv4Network | IPv6Network", proxy: "IPv4Network | IPv6Network") -> bool:
    # of IPv6 only the network is counted, so a proxy in it exempts the network
    return found.overlaps(proxy)
