"""The load generator: `python -m bench.load ORDER`, a process of its own. Prints what it saw as one JSON list.

A fixed number of connections, each sending its next request as soon as its answer is complete (a closed loop: a server
that stalls is asked less, so the slowest percentiles are lower bounds). Only the bytes that a client must look at are
looked at: the status, the length, the time, and of a created resource its id.

An order is one of two: to send the same request for some time, or to do steps, each once for every item.
"""

import asyncio
import gc
import itertools
import json
import os
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import uvloop

_HEAD_END = b"\r\n\r\n"
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"  # what is answered is JSON, which holds no such bytes
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_NO_CONTENT = 204
_ID = re.compile(rb'"id": *"([^"]+)"')
_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = 20.0
_STEP_SECONDS = 120.0
_LONGER_SECONDS = 0.05
_MS = 1e-6  # nanoseconds to milliseconds


@dataclass(frozen=True, slots=True)
class Order:
    """To send requests again and again.

    Attributes:
        host, port: where the server listens.
        request: the whole request, as latin-1 text, or several that are sent in turn.
        connections: how many ask at the same time.
        warm_up: seconds before measuring begins.
        seconds: seconds to measure, or longer until there is an answer.
        status: the only status that counts as an answer.
        pid: the server's process, whose time on a core is wanted.
    """

    host: str
    port: int
    request: str | Sequence[str]
    connections: int
    warm_up: float
    seconds: float
    status: int = 200
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """What is done once for every item; `{item}` and `{id}`, which the first step's answer told, are filled in."""

    method: str
    path: str
    body: str
    status: int


@dataclass(frozen=True, slots=True)
class Work:
    """To do steps, the next when all items are through the one before.

    Attributes:
        host, port: where the server listens.
        headers: those of each request, as lines with their ends.
        connections: how many ask at the same time.
        steps: what to do.
        items: what to do it for.
        pid: the server's process, whose time on a core is wanted.
    """

    host: str
    port: int
    headers: str
    connections: int
    steps: Sequence[Step]
    items: Sequence[str]
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen.

    Attributes:
        answers: answers while measuring.
        seconds: how long was measured.
        p50_ms, p99_ms: half, and all but one in a hundred, were answered within.
        busy: share of one core this process used while measuring; near 1, it and not the server is the limit.
        cpu_ms: time on a core that the server and the processes it started used for one answer; 0 if nobody can tell.
    """

    answers: int
    seconds: float
    p50_ms: float
    p99_ms: float
    busy: float
    cpu_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answers / self.seconds


class WrongAnswer(Exception):
    """The server did not answer as ordered, so there is nothing to measure."""


class _Run:
    """What all connections share: the requests, each with the item it is for, and what became of them."""

    def __init__(self, requests: Iterator[tuple[bytes, str]], status: int) -> None:
        self.requests = requests
        self.status_line = b"HTTP/1.1 %d " % status
        self.has_body = status != _NO_CONTENT
        self.latencies: list[int] = []
        self.ids: dict[str, str] = {}
        self.going = True
        self.waiting = 0
        self.quiet = asyncio.Event()
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, why: str) -> None:
        if not self.quiet.is_set() and not self.broken.done():
            self.broken.set_exception(WrongAnswer(why))


class _Connection(asyncio.Protocol):
    def __init__(self, run: _Run) -> None:
        self.run = run
        self._pending = b""
        self._sent = 0
        self._item = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's do not inherit from asyncio's

    def ask(self) -> None:
        request, self._item = next(self.run.requests, (b"", "")) if self.run.going else (b"", "")
        if request:
            self.run.waiting += 1
            self._sent = time.perf_counter_ns()
            self.transport.write(request)
        elif not self.run.waiting:
            self.run.quiet.set()

    def data_received(self, data: bytes) -> None:
        run = self.run
        if self._pending:
            data = self._pending + data
        head = data.find(_HEAD_END)
        if head < 0:
            self._pending = data
            return
        complete = _is_complete(data, head) if run.has_body else True
        if complete is None or not data.startswith(run.status_line):
            run.fail(f"the server answered {data.decode('latin-1')[:2000]!r}")
            return
        if not complete:
            self._pending = data
            return
        self._pending = b""
        run.latencies.append(time.perf_counter_ns() - self._sent)
        if self._item and (told := _ID.search(data, head)) is not None:
            run.ids[self._item] = told[1].decode()
        run.waiting -= 1
        self.ask()

    def connection_lost(self, exc: Exception | None) -> None:
        self.run.fail(f"the server closed a connection: {exc}")


def _is_complete(data: bytes, head: int) -> bool | None:
    """Tell whether an answer with its head's end at a place is all there; None: it does not say when it is."""
    found = _LENGTH.search(data, 0, head)
    if found is not None:
        return len(data) >= head + len(_HEAD_END) + int(found[1])
    return data.endswith(_LAST_CHUNK) if _CHUNKED.search(data, 0, head) else None


class _Measured:
    """Measures a stretch of time, from when it is made to `seen`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._server, self._own, self._began = server_seconds(pid), _own_seconds(), time.perf_counter()

    def seen(self, latencies: list[int]) -> Seen:
        lasted = time.perf_counter() - self._began
        own, server = _own_seconds() - self._own, server_seconds(self._pid) - self._server
        if not latencies:
            raise WrongAnswer(f"no answer within {lasted} s")
        ordered = sorted(latencies)
        return Seen(
            answers=len(ordered),
            seconds=lasted,
            p50_ms=percentile(ordered, 0.50) * _MS,
            p99_ms=percentile(ordered, 0.99) * _MS,
            busy=own / lasted,
            cpu_ms=server / len(ordered) * 1000,
        )


async def generate(order: Order) -> Seen:
    """Load a server and return what was seen.

    Raises:
        WrongAnswer: an answer had another status, no length, or a connection was lost.
        OSError: the server cannot be reached.
        TimeoutError: it does not take connections, or leaves requests unanswered.
    """
    requests = [order.request] if isinstance(order.request, str) else order.request
    run = _Run(itertools.cycle([(each.encode("latin-1"), "") for each in requests]), order.status)
    connections = await _connected(order, run)
    try:
        for connection in connections:
            connection.ask()
        await _wait(run, order.warm_up)
        run.latencies = []
        measured = _Measured(order.pid)
        await _wait(run, order.seconds)
        await _until_answered(run)
        seen = measured.seen(run.latencies)
        run.going = False
        # What is still being worked on would disturb the next measurement.
        await _until_quiet(run, _DRAIN_SECONDS)
    finally:
        _close(connections)
    return seen


async def do(work: Work) -> list[Seen]:
    """Do steps and return what was seen of each.

    Raises:
        WrongAnswer, OSError, TimeoutError: as `generate`.
    """
    ids: dict[str, str] = {}
    seen: list[Seen] = []
    connections: list[_Connection] = []
    try:
        for step in work.steps:
            prepared = [(_request(work, step, item, ids.get(item, "")), item) for item in work.items]
            run = _Run(iter(prepared), step.status)
            connections = connections or await _connected(work, run)
            measured = _Measured(work.pid)
            for connection in connections:
                connection.run = run
                connection.ask()
            await _until_quiet(run, _STEP_SECONDS)
            seen.append(measured.seen(run.latencies))
            ids = ids or run.ids
    finally:
        _close(connections)
    return seen


def percentile(ordered: list[int], share: float) -> int:
    """Return the smallest of the ordered values that at least this share of them do not exceed."""
    return ordered[max(0, -(-len(ordered) * round(share * 1000) // 1000) - 1)]


def server_seconds(pid: int) -> float:
    """Return the CPU time a process and those it started have used so far; 0 where only Linux would tell."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    own = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(server_seconds(int(child)) for child in children)


async def _connected(order: Order | Work, run: _Run) -> list[_Connection]:
    loop = asyncio.get_running_loop()
    made = [loop.create_connection(lambda: _Connection(run), order.host, order.port) for _ in range(order.connections)]
    return [connection for _, connection in await asyncio.wait_for(asyncio.gather(*made), _CONNECT_SECONDS)]


def _close(connections: Sequence[_Connection]) -> None:
    for connection in connections:
        connection.run.quiet.set()  # a connection that ends from now on is no failure
        connection.transport.abort()


def _request(work: Work, step: Step, item: str, identifier: str) -> bytes:
    path, body = (text.replace("{item}", item).replace("{id}", identifier) for text in (step.path, step.body))
    described = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n" if body else ""
    return f"{step.method} {path} HTTP/1.1\r\n{work.headers}{described}\r\n{body}".encode("latin-1")


async def _wait(run: _Run, seconds: float) -> None:
    done, _ = await asyncio.wait([run.broken], timeout=seconds)
    for broken in done:
        broken.result()


async def _until_answered(run: _Run) -> None:
    """Measure on where a run was too short for a single answer."""
    until = time.monotonic() + _DRAIN_SECONDS
    while not run.latencies and time.monotonic() < until:
        await _wait(run, _LONGER_SECONDS)


async def _until_quiet(run: _Run, seconds: float) -> None:
    quiet = asyncio.ensure_future(run.quiet.wait())
    either: tuple[asyncio.Future[Any], ...] = (run.broken, quiet)
    done, _ = await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    quiet.cancel()
    if not done:
        raise TimeoutError(f"requests are unanswered after {seconds:.0f} s")
    if run.broken.done():
        run.broken.result()


def _own_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _follow(given: dict[str, Any]) -> list[Seen]:
    if "steps" not in given:
        return [await generate(Order(**given))]
    return await do(Work(**{**given, "steps": [Step(**step) for step in given["steps"]]}))


def main(words: list[str]) -> int:
    """Follow the order given as JSON; print what was seen, or why nothing was, and return the exit status."""
    gc.disable()  # nothing here makes cycles; a pause would be counted against the server
    try:
        seen = uvloop.run(_follow(json.loads(words[0])))
    except (WrongAnswer, OSError, TimeoutError) as failed:
        print(f"{type(failed).__name__}: {failed}", file=sys.stderr)
        return 1
    print(json.dumps([asdict(each) for each in seen]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
