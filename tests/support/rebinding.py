"""A name server that changes its mind: real UDP on loopback, with answers that a test scripts for each name."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address

_A, _CNAME, _AAAA = 1, 5, 28


@dataclass(frozen=True)
class Records:
    """What one answer has.

    Attributes:
        addresses: of either family; of each question those of its family are told.
        aliases: names that lead to them, one after the other (CNAME).
        seconds: the time to live.
    """

    addresses: Sequence[str] = ()
    aliases: Sequence[str] = ()
    seconds: int = 0


@dataclass
class RebindingNameServer(asyncio.DatagramProtocol):
    """The server.

    Attributes:
        names: for each name, what it answers the first time, the second, …; the last for ever. A and AAAA count apart.
        asked: name and family of every question, in order.
        address: where it listens.
    """

    names: dict[str, Sequence[Records]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)
    address: str = ""
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # datagrams only
        self._transport = transport
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data)
        (kind,) = struct.unpack_from(">H", data, end)
        before = self.asked.count((name, kind))
        self.asked.append((name, kind))
        told = self.names.get(name)
        records = b""
        count = 0
        if told:
            records, count = _records(name, told[min(before, len(told) - 1)], kind)
        flags = 0x8180 if told else 0x8183
        head = data[:2] + struct.pack(">HHHHH", flags, 1, count, 0, 0)
        assert self._transport is not None
        self._transport.sendto(head + data[12 : end + 4] + records, addr)


def _records(name: str, answer: Records, kind: int) -> tuple[bytes, int]:
    family = {_A: 4, _AAAA: 6}.get(kind)
    found, owner = [], name
    for alias in answer.aliases:
        found.append(_record(owner, _CNAME, answer.seconds, _encoded(alias)))
        owner = alias
    for address in answer.addresses:
        parsed = ip_address(address)
        if parsed.version == family:
            found.append(_record(owner, kind, answer.seconds, parsed.packed))
    return b"".join(found), len(found)


def _record(owner: str, kind: int, seconds: int, content: bytes) -> bytes:
    return _encoded(owner) + struct.pack(">HHIH", kind, 1, seconds, len(content)) + content


def _encoded(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _name(message: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1


@asynccontextmanager
async def rebinding_name_server() -> AsyncIterator[RebindingNameServer]:
    """Run one in this event loop."""
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(RebindingNameServer, local_addr=("127.0.0.1", 0))
    try:
        yield server
    finally:
        assert server._transport is not None
        server._transport.close()


@dataclass
class Trap:
    """A server on every address of this machine that must never be reached.

    Attributes:
        port: where it listens, on 0.0.0.0 and, if this machine has IPv6, on ::.
        reached: addresses that somebody connected from.
    """

    port: int = 0
    reached: list[object] = field(default_factory=list)


@asynccontextmanager
async def trap() -> AsyncIterator[Trap]:
    """Run one in this event loop."""
    made = Trap()

    async def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.reached.append(writer.get_extra_info("peername"))
        writer.close()

    servers = [await asyncio.start_server(connected, "0.0.0.0", 0)]
    made.port = servers[0].sockets[0].getsockname()[1]
    if socket.has_ipv6:
        with suppress(OSError):  # the kernel has IPv6 switched off
            servers.append(await asyncio.start_server(connected, "::", made.port))
    try:
        yield made
    finally:
        for server in servers:
            server.close()
