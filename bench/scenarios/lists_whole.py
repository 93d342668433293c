"""What a list costs that returns everything (contract section 4), and how long others wait meanwhile."""

import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import httpx2

from bench.lists_stored import Filled, filled
from bench.scenario import Row, Scenario
from bench.stage import Stage

_SIZE = 100_000
_MIB = 1024
_RESET_PEAK = "5"
"""What to write into `/proc/{pid}/clear_refs` so that `VmHWM` begins anew."""


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for database in stage.plan.databases:
        made = filled(stage, database, _SIZE)
        home = made.home
        for name, path in {
            "credentials": f"/v2/credentials?workspace_id={home.workspace_id}",
            "secrets": f"/v2/workspaces/{home.workspace_id}/secrets",
            "components": f"/v2/components?contract_id={home.contract_id}",
        }.items():
            rows.append({"list": name, "database": database, **_measure(made, path)})
            stage.say(f"{database}: {rows[-1]}")
    return rows


def _measure(made: Filled, path: str) -> Row:
    waits: list[float] = []
    done = threading.Event()
    meanwhile = threading.Thread(target=_read_meanwhile, args=(made, done, waits))
    Path(f"/proc/{made.served.pid}/clear_refs").write_text(_RESET_PEAK)
    before = _memory_mib(made, "VmRSS")
    meanwhile.start()
    began, size = time.perf_counter(), 0
    try:
        with made.http.stream("GET", path) as answer:
            for part in answer.iter_raw():
                size += len(part)
        took = time.perf_counter() - began
    finally:
        done.set()
        meanwhile.join()
    if answer.status_code != 200:  # noqa: PLR2004 - OK
        raise RuntimeError(f"GET {path} answered {answer.status_code}")
    most = _memory_mib(made, "VmHWM")
    return {
        "answer MB": round(size / 1e6),
        "seconds": round(took, 1),
        "others p50 ms": round(statistics.median(waits) * 1000, 1),
        "others p99 ms": round(statistics.quantiles(waits, n=100, method="inclusive")[-1] * 1000, 1),
        "others longest ms": round(max(waits) * 1000, 1),
        "memory at most MiB": most,
        "memory more MiB": most - before,
    }


def _read_meanwhile(made: Filled, done: threading.Event, waits: list[float]) -> None:
    """Make an ordinary read again and again, on a connection of its own."""
    with httpx2.Client(base_url=made.served.base, auth=made.http.auth, timeout=60.0) as http:
        while not done.is_set():
            began = time.perf_counter()
            http.get("/v2/users/me").raise_for_status()
            waits.append(time.perf_counter() - began)
            time.sleep(0.01)


def _memory_mib(made: Filled, what: str) -> int:
    """Return resident memory of the serving process: now (`VmRSS`), or the most since it was last reset (`VmHWM`)."""
    status = Path(f"/proc/{made.served.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(what))
    return int(line.split()[1]) // _MIB


SCENARIO = Scenario("lists-whole", "a list of 100,000 rows in one answer, and how long others wait meanwhile", run)
