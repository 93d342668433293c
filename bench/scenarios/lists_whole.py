"""What a list costs that returns everything (contract section 4), and how long others wait meanwhile."""

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
    meanwhile = threading.Thread(target=_ask_meanwhile, args=(made.served.base, done, waits))
    meanwhile.start()
    began, size = time.perf_counter(), 0
    try:
        with made.http.stream("GET", path) as answer:
            for part in answer.iter_bytes():
                size += len(part)
        took = time.perf_counter() - began
    finally:
        done.set()
        meanwhile.join()
    if answer.status_code != 200:  # noqa: PLR2004 - OK
        raise RuntimeError(f"GET {path} answered {answer.status_code}")
    return {
        "answer MB": round(size / 1e6),
        "seconds": round(took, 1),
        "longest wait of others s": round(max(waits), 1),
        "memory at most MiB": _peak_mib(made),
    }


def _ask_meanwhile(base: str, done: threading.Event, waits: list[float]) -> None:
    with httpx2.Client(base_url=base, timeout=60.0) as http:
        while not done.is_set():
            began = time.perf_counter()
            http.get("/healthz")
            waits.append(time.perf_counter() - began)
            time.sleep(0.02)


def _peak_mib(made: Filled) -> int:
    """Return the most resident memory that the serving process ever had."""
    status = Path(f"/proc/{made.served.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) // _MIB


SCENARIO = Scenario("lists-whole", "a list of 100,000 rows in one answer, and how long others wait meanwhile", run)
