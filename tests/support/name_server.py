"""A name server on loopback that knows some names and says nothing about all others."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator

import pytest


class NameServer(asyncio.DatagramProtocol):
    """Answers `A` questions for the names it `knows`; is silent about others until it is told to `deny` them."""

    def __init__(self) -> None:
        self.knows: dict[str, str] = {}
        self.asked: list[str] = []
        """Names it was asked for, each once, in order."""
        self.address = ""
        self._silent_about: list[tuple[bytes, tuple[str, int]]] = []
        self._denying = False
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # datagrams only
        self._transport = transport
        self.address = "{}:{}".format(*transport.get_extra_info("sockname"))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, end = _name(data)
        if name not in self.asked:
            self.asked.append(name)
        if name in self.knows:
            (kind,) = struct.unpack_from(">H", data, end)
            record = b""
            if kind == 1:  # A; there is no AAAA, which is an empty answer
                record = struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(self.knows[name])
            self._answer(data, addr, 0x8180, record)
        elif self._denying:
            self._answer(data, addr, 0x8183, b"")
        else:
            self._silent_about.append((data, addr))

    def deny(self) -> None:
        """End the silence: what was asked and what will be does not exist."""
        self._denying = True
        for data, addr in self._silent_about:
            self._answer(data, addr, 0x8183, b"")
        self._silent_about.clear()

    def close(self) -> None:
        assert self._transport is not None
        self._transport.close()

    def _answer(self, question: bytes, addr: tuple[str, int], flags: int, record: bytes) -> None:
        _, end = _name(question)
        head = question[:2] + struct.pack(">HHHHH", flags, 1, int(bool(record)), 0, 0)
        assert self._transport is not None
        self._transport.sendto(head + question[12 : end + 4] + record, addr)


def _name(message: bytes) -> tuple[str, int]:
    labels, at = [], 12
    while length := message[at]:
        labels.append(message[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1


@pytest.fixture
async def name_server() -> AsyncIterator[NameServer]:
    """A name server of a test's own."""
    loop = asyncio.get_running_loop()
    _, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield server
    server.close()
