"""Who wants to be served in spite of others: `python -m bench.victim ORDER`. Prints what it saw as one JSON object.

Each connection asks at planned times, whether or not the server keeps up; time is counted from when a request should
have been sent. So a stall is seen by every request that it delays, and the slowest percentiles are what a client waits.
(`bench.load` asks as fast as it can, and is about what a server can do.)
"""

import asyncio
import gc
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import uvloop

from bench.load import percentile

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MOST_HEAD = 1 << 16
_MS = 1e-6  # nanoseconds to milliseconds
_NS = 1_000_000_000

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Probe:
    """A request that is made again and again.

    Attributes:
        request: the whole request, as latin-1 text, or one for each connection.
        every: seconds between two requests of one connection.
        connections: how many ask.
        keeps: whether a connection stays for the next request; else each request has one of its own.
    """

    request: str | Sequence[str]
    every: float
    connections: int
    keeps: bool


@dataclass(frozen=True, slots=True)
class Order:
    """What to do.

    Attributes:
        host, port: where the server listens.
        probes: what is asked, by its name; all at the same time.
        warm_up: seconds before measuring begins.
        seconds: seconds to measure.
        patience: seconds after which an answer is not waited for.
    """

    host: str
    port: int
    probes: Mapping[str, Probe]
    warm_up: float
    seconds: float
    patience: float


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen.

    Attributes:
        rate: good answers a second.
        failed: how many got no 200; each counts as one that took as long as patience lasts.
        p50_ms, p99_ms, longest_ms: half, all but one in a hundred, and all were answered within.
    """

    rate: float
    failed: int
    p50_ms: float
    p99_ms: float
    longest_ms: float


def seen(times: list[int], failed: int, seconds: float) -> Seen:
    """Sum up.

    Args:
        times: how long each took, in nanoseconds; those that failed too.
        failed: how many of them failed.
        seconds: how long was measured.
    """
    times = sorted(times)
    p50, p99 = (percentile(times, share) * _MS for share in (0.50, 0.99))
    return Seen((len(times) - failed) / seconds, failed, p50, p99, times[-1] * _MS)


@dataclass(frozen=True, slots=True)
class _One:
    request: bytes
    every: float
    keeps: bool


@dataclass(slots=True)
class _Times:
    taken: list[int] = field(default_factory=list)
    failed: int = 0
    last: float = 0.0


async def ask(order: Order) -> Mapping[str, Seen]:
    """Make all requests as planned and return what was seen, by the probes' names."""
    began = time.monotonic()  # the loop's own clock knows only milliseconds
    times = {name: _Times() for name in order.probes}
    await asyncio.gather(
        *(
            _ask_on_time(
                order, _of_one(probe, number), began + probe.every * number / probe.connections, began, times[name]
            )
            for name, probe in order.probes.items()
            for number in range(probe.connections)
        )
    )
    ends = began + order.warm_up + order.seconds
    return {
        name: seen(each.taken, each.failed, order.seconds + max(0.0, each.last - ends)) for name, each in times.items()
    }


def _of_one(probe: Probe, number: int) -> _One:
    """Return what one connection does."""
    request = probe.request if isinstance(probe.request, str) else probe.request[number]
    return _One(request.encode("latin-1"), probe.every, probe.keeps)


async def _ask_on_time(order: Order, probe: _One, planned: float, began: float, times: _Times) -> None:
    """Ask on one connection until the time is over; what could not be asked until patience was over has failed."""
    measured_from, ends = began + order.warm_up, began + order.warm_up + order.seconds
    kept: _Streams | None = None
    while planned < ends:
        since, good = planned, False
        if (early := planned - time.monotonic()) > 0:
            await asyncio.sleep(early)
            since = time.monotonic()  # that we wake up late is not the server's doing
        if time.monotonic() < ends + order.patience:
            try:
                async with asyncio.timeout(order.patience):
                    kept = kept or await asyncio.open_connection(order.host, order.port, limit=_MOST_HEAD)
                    good = await _answered(kept, probe.request)
            except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):  # a TimeoutError is an OSError
                pass
        if kept is not None and not (good and probe.keeps):
            kept[1].transport.abort()
            kept = None
        if planned >= measured_from:
            times.last = time.monotonic()
            took = times.last - since
            times.taken.append(int((took if good else max(took, order.patience)) * _NS))
            times.failed += not good
        planned += probe.every
    if kept is not None:
        kept[1].transport.abort()


async def _answered(streams: _Streams, request: bytes) -> bool:
    """Send a request and read its answer to the end; return whether it is 200."""
    reader, writer = streams
    writer.write(request)
    head = await reader.readuntil(_HEAD_END)
    found = _LENGTH.search(head)
    if found is None:
        return False
    await reader.readexactly(int(found[1]))
    return head.startswith(b"HTTP/1.1 200 ")


def main(words: list[str]) -> int:
    """Follow the order given as JSON and print what was seen."""
    gc.disable()  # a pause would be counted against the server
    given = json.loads(words[0])
    given["probes"] = {name: Probe(**probe) for name, probe in given["probes"].items()}
    found = uvloop.run(ask(Order(**given)))
    print(json.dumps({name: asdict(each) for name, each in found.items()}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
