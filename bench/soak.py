"""A server at half of what it can, for an hour: `python -m bench.soak`. Exits with 1 unless its memory stays flat.

First all kinds of requests are made as fast as the server answers, for some seconds. Then as many are planned as are
half of that rate, and after every stretch of time the server's memory and open files are read and printed.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.load import Order as Fast
from bench.load import generate
from bench.request_kinds import AT_ONCE, HOT_READ, READ, REFRESH, WRITE, Kinds, kinds_at, served, token_endpoint
from bench.secrets_stored import set_up
from bench.side_by_side import ROOT
from bench.stage import DATABASES, OUT_OF_REACH, POSTGRESQL, Plan, stage
from bench.victim import Order, Probe, Seen

_TENTHS = {HOT_READ: 6, READ: 2, WRITE: 1, REFRESH: 1}
"""How many of ten requests are of each kind."""
_CONNECTIONS = AT_ONCE // 2
"""For each kind, so that a slow answer delays few others."""
_LOAD = 0.5
_FASTEST_SECONDS = 10.0
_PATIENCE = 30.0
_MOST_WARM_UP = 600.0
_FLAT = 0.20
_MIB = 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """What a stretch of time has shown.

    Attributes:
        minutes: since the load began.
        resident_mib, proportional_mib: memory of the server; the latter counts what is shared with others in part.
        open_files: descriptors that it holds.
        rate: good answers a second.
        failed: requests without one.
        slowest: the 99th percentile of each kind in milliseconds.
    """

    minutes: float
    resident_mib: float
    proportional_mib: float
    open_files: int
    rate: float
    failed: int
    slowest: Mapping[str, float]


def main(words: Sequence[str]) -> int:
    """Load a server; return 0 if its memory stayed flat and every request was answered."""
    asked = _parser().parse_args(words)
    fastest = min(_FASTEST_SECONDS, asked.every)
    with stage(Plan(), lambda text: print(text, file=sys.stderr)) as made, token_endpoint() as provider:
        stored = set_up(made, asked.database, "soak", **OUT_OF_REACH)
        with served(stored) as running:
            kinds = kinds_at(running, provider)
            rate = _fastest(kinds, fastest) * _LOAD
            print(f"{asked.database}: half load is {rate:.0f} requests/s for {asked.minutes:g} minutes", flush=True)
            readings: list[Reading] = []
            began = time.monotonic()
            while time.monotonic() < began + asked.minutes * 60:
                seen = _loaded(kinds, rate, asked.every)
                readings.append(_read(kinds.target.pid, (time.monotonic() - began) / 60, seen))
                print(_line(readings[-1]), flush=True)
    faults = verdict(readings, min(_MOST_WARM_UP, asked.minutes * 60 / 4) / 60)
    print("\n".join(faults) or f"flat within {_FLAT:.0%}, and every request was answered")
    return 1 if faults else 0


def verdict(readings: Sequence[Reading], warm_up: float) -> Sequence[str]:
    """Return what is wrong: memory or open files that left what they were after so many minutes, or lost requests."""
    settled = [reading for reading in readings if reading.minutes > warm_up]
    if len(settled) < 2:  # noqa: PLR2004 - one is compared with nothing
        return ["too few readings after the warm-up; take more minutes, or fewer seconds between readings"]
    faults = []
    for name in ("resident_mib", "proportional_mib"):
        values = [getattr(reading, name) for reading in settled]
        if max(abs(value - values[0]) for value in values) > _FLAT * values[0]:
            faults.append(
                f"{name} is not flat: {values[0]:.1f} after warm-up, then {min(values):.1f} to {max(values):.1f}"
            )
    if failed := sum(reading.failed for reading in readings):
        faults.append(f"{failed} requests were not answered with 200")
    return faults


def _fastest(kinds: Kinds, seconds: float) -> float:
    """Return how many requests a second a server answers that is asked as fast as it answers."""
    mixed = [
        of_kind[turn]
        for turn in range(AT_ONCE)
        for name, of_kind in kinds.requests.items()
        for _ in range(_TENTHS[name])
    ]
    target = kinds.target
    order = Fast("127.0.0.1", target.port, mixed, AT_ONCE, seconds / 4, seconds)
    return asyncio.run(generate(order)).rate


def _loaded(kinds: Kinds, rate: float, seconds: float) -> Mapping[str, Seen]:
    """Make the planned requests for some seconds."""
    probes = {
        name: Probe(requests, _CONNECTIONS * 10 / (rate * _TENTHS[name]), _CONNECTIONS, keeps=True)
        for name, requests in kinds.requests.items()
    }
    order = Order("127.0.0.1", kinds.target.port, probes, 0, seconds, _PATIENCE)
    command = [sys.executable, "-m", "bench.victim", json.dumps(asdict(order))]
    limit = seconds + 3 * _PATIENCE
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=limit)
    return {name: Seen(**each) for name, each in json.loads(done.stdout).items()}


def _read(pid: int, minutes: float, seen: Mapping[str, Seen]) -> Reading:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    memory = {name: int(rest.split()[0]) / _MIB for name, _, rest in (line.partition(":") for line in lines)}
    return Reading(
        minutes=minutes,
        resident_mib=memory["Rss"],
        proportional_mib=memory["Pss"],
        open_files=sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        rate=sum(each.rate for each in seen.values()),
        failed=sum(each.failed for each in seen.values()),
        slowest={name: each.p99_ms for name, each in seen.items()},
    )


def _line(reading: Reading) -> str:
    slowest = ", ".join(f"{name} {ms:.0f}" for name, ms in reading.slowest.items())
    return (
        f"{reading.minutes:6.1f} min: {reading.resident_mib:.1f} MiB resident, {reading.proportional_mib:.1f}"
        f" proportional, {reading.open_files} open files; {reading.rate:.0f} requests/s, {reading.failed} failed;"
        f" p99 ms: {slowest}"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bench.soak", description="Load a server for long and see whether it grows.")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long (default %(default)g)")
    parser.add_argument("--every", type=float, default=30.0, help="seconds between two readings (default %(default)g)")
    parser.add_argument("--database", choices=DATABASES, default=POSTGRESQL, help="default %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
