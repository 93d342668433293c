"""Measures the same requests at several servers, which take turns; the first of them is compared with the others."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from bench.load import Order, Seen, Step, Work
from bench.scenario import Row
from bench.stage import Plan, Stage

A = TypeVar("A")
T = TypeVar("T")

ROOT = Path(__file__).parents[1]
_GENERATOR_GRACE = 60.0
_WORK_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Target:
    """A server to load.

    Attributes:
        name: what the report calls it.
        port: where it listens.
        pid: the process whose CPU time it costs.
        headers: those of each request, as lines with their ends; they say who asks.
    """

    name: str
    port: int
    pid: int
    headers: str

    def get(self, path: str) -> str:
        """Return the request that reads a path."""
        return f"GET {path} HTTP/1.1\r\n{self.headers}\r\n"


@dataclass(frozen=True, slots=True)
class Writing:
    """What a server is asked to do: steps, each once for every item."""

    target: Target
    steps: Mapping[str, Step]
    items: Sequence[str]


def read(stage: Stage, reads: Sequence[tuple[Target, str]], connections: int) -> Sequence[Row]:
    """Read a path of each server under load; return a row for each server."""

    def run(asked: tuple[Target, str]) -> Seen:
        plan, (at, path) = stage.plan, asked
        order = Order("127.0.0.1", at.port, at.get(path), connections, plan.warm_up, plan.seconds, pid=at.pid)
        return _generate(order, plan.warm_up + plan.seconds + _GENERATOR_GRACE)[0]

    runs = _in_turns(stage.plan, run, reads)
    return _rows([target for target, _ in reads], runs)


def write(stage: Stage, writings: Sequence[Writing], connections: int) -> Mapping[str, Sequence[Row]]:
    """Let each server do its steps under load; return for each step a row for each server."""

    def run(writing: Writing) -> list[Seen]:
        at, steps = writing.target, list(writing.steps.values())
        work = Work("127.0.0.1", at.port, at.headers, connections, steps, writing.items, pid=at.pid)
        return _generate(work, _WORK_SECONDS)

    runs = _in_turns(stage.plan, run, writings)
    targets = [writing.target for writing in writings]
    return {
        step: _rows(targets, [[done[index] for done in of_one] for of_one in runs])
        for index, step in enumerate(writings[0].steps)
    }


def _in_turns(plan: Plan, run: Callable[[A], T], asked: Sequence[A]) -> Sequence[Sequence[T]]:
    """Take turns, so that whatever else the machine does meets all; return what each had."""
    rounds = [[run(each) for each in asked] for _ in range(plan.runs)]
    return list(zip(*rounds, strict=True))


def _rows(targets: Sequence[Target], runs: Sequence[Sequence[Seen]]) -> Sequence[Row]:
    first = runs[0]
    return [
        {
            "server": target.name,
            "requests/s": round(statistics.median(seen.rate for seen in own)),
            "p50 ms": round(statistics.median(seen.p50_ms for seen in own), 2),
            "p99 ms": round(statistics.median(seen.p99_ms for seen in own), 2),
            "CPU ms": round(statistics.median(seen.cpu_ms for seen in own), 3),
            f"{targets[0].name} to it": _significant(
                statistics.median(a.rate / b.rate for a, b in zip(first, own, strict=True))
            ),
            "generator": round(statistics.median(seen.busy for seen in own), 2),
        }
        for target, own in zip(targets, runs, strict=True)
    ]


def _significant(ratio: float) -> float:
    return float(f"{ratio:.3g}")


def _generate(order: Order | Work, limit: float) -> list[Seen]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", json.dumps(asdict(order))],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=limit,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the load generator at port {order.port}: {done.stderr}")
    return [Seen(**each) for each in json.loads(done.stdout)]
