"""Measures one GET of Keyrack beside a bare server that answers the same bytes, taking turns."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load import Order, Seen
from bench.scenario import Row
from bench.stage import Caller, Stage
from support.process import free_port, guarded, wait_for

ROOT = Path(__file__).parents[1]
_GENERATOR_GRACE = 30.0
_LIMIT_OF_GENERATOR = 0.95


@dataclass(frozen=True, slots=True)
class Target:
    """A server to load, and the process whose CPU time it costs."""

    port: int
    pid: int
    request: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One run against one server; `cpu_ms` is the server's time on a core for one request."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    generator: float


def measure(stage: Stage, prepare: Callable[[Caller], str], workers: int = 1) -> Sequence[Row]:
    """Prepare a resource on each database, then read it under load; return a row for each number of connections.

    Args:
        stage: where to measure.
        prepare: creates the resource and returns its path.
        workers: server processes of Keyrack; the bare server has one.
    """
    rows: list[Row] = []
    for database in stage.plan.databases:
        made = stage.installation(database, workers)
        caller = Caller(made)
        path = prepare(caller)
        answer = caller.read(path)
        request = (
            f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: {answer.request.headers['authorization']}\r\n\r\n"
        )
        keyrack = Target(int(made.base.rpartition(":")[2]), made.pid, request)
        with _bare(stage.folder, path, answer.content, request) as bare:
            for connections in stage.plan.connections:
                rows.append({"database": database, **_pair(stage, keyrack, bare, connections)})
                stage.say(f"{database}, {connections} connections: {rows[-1]['requests/s']} requests/s")
    return rows


def _pair(stage: Stage, keyrack: Target, bare: Target, connections: int) -> Row:
    """Take turns, so that whatever else the machine does meets both; return the medians."""
    ours, theirs = [], []
    for _ in range(stage.plan.runs):
        ours.append(_load(stage, keyrack, connections))
        theirs.append(_load(stage, bare, connections))
    mine, its = _median(ours), _median(theirs)
    ratio = statistics.median(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
    return {
        "connections": connections,
        "requests/s": round(mine.rate),
        "p50 ms": round(mine.p50_ms, 2),
        "p99 ms": round(mine.p99_ms, 2),
        "CPU ms": round(mine.cpu_ms, 3),
        "bare requests/s": round(its.rate),
        "bare p50 ms": round(its.p50_ms, 2),
        "bare p99 ms": round(its.p99_ms, 2),
        "bare CPU ms": round(its.cpu_ms, 3),
        "ratio": round(ratio, 4),
        "generator": round(its.generator, 2),
    }


def _load(stage: Stage, target: Target, connections: int) -> Measured:
    plan = stage.plan
    order = Order("127.0.0.1", target.port, target.request, connections, plan.warm_up, plan.seconds)
    before = _cpu_seconds(target.pid)
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", json.dumps(asdict(order))],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=plan.warm_up + plan.seconds + _GENERATOR_GRACE,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator: {done.stderr}")
    seen = Seen(**json.loads(done.stdout))
    cpu_ms = (_cpu_seconds(target.pid) - before) / seen.answers_in_all * 1000
    return Measured(seen.answers / seen.seconds, seen.p50_ms, seen.p99_ms, cpu_ms, seen.busy)


def _median(runs: Sequence[Measured]) -> Measured:
    values = zip(*((run.rate, run.p50_ms, run.p99_ms, run.cpu_ms, run.generator) for run in runs), strict=True)
    return Measured(*(statistics.median(column) for column in values))


@contextmanager
def _bare(folder: Path, path: str, body: bytes, request: str) -> Iterator[Target]:
    port = free_port()
    content = folder / "bare-body"
    content.write_bytes(body)
    argv = [sys.executable, "-m", "bench.bare", str(port), path, str(content)]
    with guarded(argv, {"PYTHONPATH": str(ROOT)}) as server:
        wait_for(f"http://127.0.0.1:{port}{path}", server)
        yield Target(port, server.ready["pid"], request)


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time a process and those it started have used so far; 0 where only Linux would tell."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except FileNotFoundError:
        return 0.0
    own = (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(_cpu_seconds(int(child)) for child in children)
