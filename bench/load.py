"""The load generator: `python -m bench.load ORDER`, a process of its own. Prints what it saw as one JSON object.

A fixed number of connections, each sending the same request again as soon as its answer is complete (a closed loop:
a server that stalls is asked less, so the slowest percentiles are lower bounds). Only the bytes that a client must
look at are looked at: the status, the length, and the time.
"""

import asyncio
import gc
import json
import re
import resource
import sys
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = 20.0
_MS = 1e-6  # nanoseconds to milliseconds


@dataclass(frozen=True, slots=True)
class Order:
    """What to do.

    Attributes:
        host, port: where the server listens.
        request: the whole request, as latin-1 text.
        connections: how many ask at the same time.
        warm_up: seconds before measuring begins.
        seconds: seconds to measure.
        status: the only status that counts as an answer.
    """

    host: str
    port: int
    request: str
    connections: int
    warm_up: float
    seconds: float
    status: int = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen.

    Attributes:
        answers: answers while measuring.
        answers_in_all: with the warm-up, and those that came when measuring was over.
        seconds: how long was measured.
        p50_ms, p99_ms: half, and all but one in a hundred, were answered within.
        busy: share of one core this process used while measuring; near 1, it and not the server is the limit.
    """

    answers: int
    answers_in_all: int
    seconds: float
    p50_ms: float
    p99_ms: float
    busy: float


class WrongAnswer(Exception):
    """The server did not answer as ordered, so there is nothing to measure."""


class _Run:
    """What all connections share."""

    def __init__(self, order: Order) -> None:
        self.request = order.request.encode("latin-1")
        self.status_line = b"HTTP/1.1 %d " % order.status
        self.latencies: list[int] = []
        self.going = True
        self.waiting = 0
        self.quiet = asyncio.Event()
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, why: str) -> None:
        if self.going and not self.broken.done():
            self.broken.set_exception(WrongAnswer(why))


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self._run = run
        self._pending = b""
        self._sent = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from asyncio's

    def ask(self) -> None:
        self._run.waiting += 1
        self._sent = time.perf_counter_ns()
        self.transport.write(self._run.request)

    def data_received(self, data: bytes) -> None:
        if self._pending:
            data = self._pending + data
        head = data.find(_HEAD_END)
        if head < 0:
            self._pending = data
            return
        found = _LENGTH.search(data, 0, head)
        if found is None or not data.startswith(self._run.status_line):
            self._run.fail(f"the server answered {data[:head].decode('latin-1')!r}")
            return
        if len(data) < head + len(_HEAD_END) + int(found[1]):
            self._pending = data
            return
        self._pending = b""
        self._run.latencies.append(time.perf_counter_ns() - self._sent)
        self._run.waiting -= 1
        if self._run.going:
            self.ask()
        elif not self._run.waiting:
            self._run.quiet.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.fail(f"the server closed a connection: {exc}")


async def generate(order: Order) -> Seen:
    """Load a server and return what was seen.

    Raises:
        WrongAnswer: an answer had another status, no length, or a connection was lost.
        OSError: the server cannot be reached.
        TimeoutError: it does not take connections, or leaves requests unanswered.
    """
    run = _Run(order)
    loop = asyncio.get_running_loop()
    made = [loop.create_connection(lambda: _Connection(run), order.host, order.port) for _ in range(order.connections)]
    connections = [connection for _, connection in await asyncio.wait_for(asyncio.gather(*made), _CONNECT_SECONDS)]
    for connection in connections:
        connection.ask()
    try:
        await _wait(run, order.warm_up)
        warmed, run.latencies = run.latencies, []
        began, used = time.perf_counter(), _cpu_seconds()
        await _wait(run, order.seconds)
        lasted, used = time.perf_counter() - began, _cpu_seconds() - used
        latencies, run.latencies = sorted(run.latencies), []
        run.going = False
        # What is still being worked on would disturb the next measurement.
        await asyncio.wait_for(run.quiet.wait(), _DRAIN_SECONDS)
    finally:
        run.going = False
        for connection in connections:
            connection.transport.abort()
    if not latencies:
        raise WrongAnswer(f"no answer within {order.seconds} s")
    return Seen(
        answers=len(latencies),
        answers_in_all=len(warmed) + len(latencies) + len(run.latencies),
        seconds=lasted,
        p50_ms=percentile(latencies, 0.50) * _MS,
        p99_ms=percentile(latencies, 0.99) * _MS,
        busy=used / lasted,
    )


def percentile(ordered: list[int], share: float) -> int:
    """Return the smallest of the ordered values that at least this share of them do not exceed."""
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


async def _wait(run: _Run, seconds: float) -> None:
    done, _ = await asyncio.wait([run.broken], timeout=seconds)
    for broken in done:
        broken.result()


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main(words: list[str]) -> int:
    """Follow the order given as JSON; print what was seen, or why nothing was, and return the exit status."""
    gc.disable()  # nothing here makes cycles; a pause would be counted against the server
    try:
        seen = uvloop.run(generate(Order(**json.loads(words[0]))))
    except (WrongAnswer, OSError, TimeoutError) as failed:
        print(f"{type(failed).__name__}: {failed}", file=sys.stderr)
        return 1
    print(json.dumps(asdict(seen)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
