"""Nothing that a peer sends keeps the event loop busy, and no call takes longer than its bound (invariant 7).

In each case an attacker's server and a victim's are called by one client. A watcher measures how much processor time
passes between two of its turns: unlike time, that does not depend on how busy the machine is. The servers run in a
process of their own, so that only the client's work counts.
"""

import asyncio
import contextlib
import gc
import gzip
import multiprocessing
import socket
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import pytest
import uvloop

from keyrack.errors import KeyrackError
from keyrack.oauth.token_response import process_token_response
from keyrack.provider.client import ProviderClient
from support.raw_provider import http_answer, token_request

LONGEST_TURN = 0.05
"""Seconds of processor time."""
TRIES = 3
"""A turn that a peer can make long is long each time; one that the machine held up is so once."""
PATIENCE = 3.0
"""Seconds that a call may take."""
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TOKENS = b'{"access_token":"at","refresh_token":"rt"'
MEGABYTE = 1 << 20

ATTACKS: dict[str, tuple[bytes, bytes]] = {
    # what is sent once, and what is sent again and again behind it
    "100 without end": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 5000),
    "103 with many headers without end": (b"", (b"HTTP/1.1 103 Early\r\n" + b"A: b\r\n" * 1000 + b"\r\n") * 20),
    "100 with a body": (b"HTTP/1.1 100 Continue\r\nContent-Length: 9999999\r\n\r\n", b"x" * 65536),
    "switching protocols": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", b"x" * 65536),
    "empty lines without end": (b"", b"\r\n" * 32768),
    "HTTP/0.9 without end": (b"", b"x" * 65536),
    "headers without end": (OK, b"A: b\r\n" * 10000),
    "the shortest headers without end": (OK, b"a:\n" * 20000),
    "folded lines without end": (OK + b"A: b\r\n", b" c\r\n" * 10000),
    "a header without end": (OK + b"A: ", b"x" * 65536),
    "2,000 times one header": (
        OK + b"A: " + b"b" * 20 + b"\r\n" + b"a: b\r\n" * 1990 + b"Content-Length: 0\r\n\r\n",
        b"",
    ),
    "chunks of one byte": (CHUNKED, b"1\r\nx\r\n" * 10000),
    "chunks of one byte with long extensions": (CHUNKED, (b"1;" + b"x" * 5000 + b"\r\nx\r\n") * 10),
    "an extension without end": (CHUNKED + b"1;", b"x" * 65536),
    "trailers without end": (CHUNKED + b"1\r\n{\r\n0\r\n", b"A: b\r\n" * 10000),
    "a body without end": (OK + b"\r\n", b" " * 65536),
    "a second answer behind the first": (http_answer(TOKENS + b"}"), http_answer(b"forged") * 1000),
    "45,000 members of gzip": (http_answer(gzip.compress(b"") * 45_000, Content_Encoding="gzip"), b""),
    "a gzip bomb": (http_answer(gzip.compress(bytes(64 * MEGABYTE)), Content_Encoding="gzip"), b""),
    "a gzip bomb in gzip": (
        http_answer(gzip.compress(gzip.compress(bytes(64 * MEGABYTE))), Content_Encoding="gzip, gzip"),
        b"",
    ),
    "half a million numbers": (http_answer(TOKENS + b',"n":[' + b"1," * 500_000 + b"1]}"), b""),
    "a hundred thousand members": (
        http_answer(TOKENS + b"".join(b',"%d":1' % n for n in range(90_000)) + b"}"),
        b"",
    ),
    "brackets": (http_answer(TOKENS + b',"n":' + b"[" * 500_000 + b"]" * 500_000 + b"}"), b""),
    "a number of a megabyte": (http_answer(TOKENS + b',"n":' + b"9" * 1_000_000 + b"}"), b""),
    "a form of many fields": (http_answer(b"access_token=at" + b"&a=%41" * 150_000), b""),
    "a megabyte that is not UTF-8": (http_answer(TOKENS + b',"n":"' + b"\xff" * 1_000_000 + b'"}'), b""),
    "a token of a megabyte": (http_answer(b'{"access_token":"' + b"x" * 1_000_000 + b'"}'), b""),
}
GOOD = http_answer(TOKENS + b"}", Connection="close")


def serve(ready: Connection) -> None:
    """Answer `/{number}` as the attack of that number, `/tiny` in segments of one byte, and anything else well."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            name = head.split(b" ", 2)[1].decode().strip("/")
            if name == "tiny":
                writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                writer.write(OK + b"\r\n")
                while True:
                    writer.write(b" ")
                    await writer.drain()
                    await asyncio.sleep(0)
            once, again = list(ATTACKS.values())[int(name)] if name.isdigit() else (GOOD, b"")
            writer.write(once)
            await writer.drain()
            while again:
                writer.write(again)
                await writer.drain()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        async with asyncio.timeout(120):
            await server.serve_forever()

    with contextlib.suppress(TimeoutError):
        asyncio.run(run())


@pytest.fixture(scope="module")
def peers() -> Iterator[str]:
    """The address of attackers and victim, in a process of their own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{ours.recv()}"
    process.terminate()
    process.join()


@dataclass
class Watcher:
    """How long others had to wait for a turn of the loop."""

    longest: float = 0.0
    turns: int = 0
    last: float = field(default_factory=time.thread_time)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0.005)
            now = time.thread_time()
            self.longest = max(self.longest, now - self.last)
            self.last, self.turns = now, self.turns + 1


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[Watcher]:
    watcher = Watcher()
    task = asyncio.create_task(watcher.watch())
    await asyncio.sleep(0.02)
    watcher.longest = 0.0
    gc.disable()  # what it takes depends on what other tests have left
    try:
        yield watcher
        await asyncio.sleep(0.01)
    finally:
        gc.enable()
        task.cancel()


async def victim(client: ProviderClient, peers: str) -> int:
    """Call a good server again and again; return how many calls succeeded."""
    for _ in range(5):
        answer = await client.send(token_request(f"{peers}/good"))
        assert process_token_response(answer).access_token.reveal() == "at"
    return 5


async def attacked(client: ProviderClient, url: str) -> None:
    answer = await client.send(token_request(url))
    with contextlib.suppress(KeyrackError):
        assert process_token_response(answer).access_token.reveal() != "forged"


async def attack(peers: str, attack_name: str) -> tuple[Watcher, int, float]:
    name = list(ATTACKS).index(attack_name) if attack_name in ATTACKS else attack_name
    async with ProviderClient(allow_insecure=True, timeout=PATIENCE) as client, watched() as watcher:
        began = time.monotonic()
        attackers = [asyncio.create_task(attacked(client, f"{peers}/{name}")) for _ in range(3)]
        got = await victim(client, peers)
        await asyncio.gather(*attackers)
        took = time.monotonic() - began
    return watcher, got, took


@pytest.mark.parametrize("name", [*ATTACKS, "tiny"])
def test_a_peer_cannot_keep_the_loop_busy(peers: str, name: str) -> None:
    longest = list[float]()
    while len(longest) < TRIES and not any(each < LONGEST_TURN for each in longest):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:  # the one that `keyrack serve` runs on
            watcher, got, took = runner.run(attack(peers, name))
        assert got == 5
        assert took < PATIENCE * 3, "the bound, and room for a busy machine"
        longest.append(watcher.longest)
    assert min(longest) < LONGEST_TURN, longest


@pytest.mark.parametrize("name", ["100 without end", "chunks of one byte", "headers without end"])
async def test_nor_on_the_loop_of_the_standard_library(peers: str, name: str) -> None:
    longest = list[float]()
    while len(longest) < TRIES and not any(each < LONGEST_TURN for each in longest):
        watcher, got, _ = await attack(peers, name)
        assert got == 5
        longest.append(watcher.longest)
    assert min(longest) < LONGEST_TURN, longest
