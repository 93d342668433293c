"""What a worker needs of memory, whatever is stored (issue 3.9)."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.scenario import Row, Scenario
from bench.secrets_stored import Stored, add_client, add_due, multiply, opened, set_up
from bench.stage import Stage
from support.process import guarded

_SIZES = (1_000, 1_000_000)
_SETTLED_SECONDS = 8.0
_MIB = 1024


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for database in stage.plan.databases:
        found = {size: _resident_mib(_filled(stage, database, size)) for size in _SIZES}
        small, large = found.values()
        rows.append(
            {
                "database": database,
                "1 thousand stored MiB": small,
                "1 million stored MiB": large,
                "ratio": round(large / small, 2),
            }
        )
        stage.say(f"{database}: {rows[-1]}")
    return rows


def _filled(stage: Stage, database: str, size: int) -> Stored:
    stage.say(f"{database}: storing {size:,} secrets")
    stored = set_up(stage, database, f"memory-{size}")
    with opened(stored) as (runner, store):
        client = runner.run(add_client(store, stored, "https://provider.example/token"))
        runner.run(add_due(store, stored, client, 1))
        runner.run(multiply(store, stored, size - 1))
    return stored


def _resident_mib(stored: Stored) -> float:
    """Return the resident memory of a worker some seconds after its start."""
    with guarded([sys.executable, "-m", "keyrack", "worker"], stored.environment) as server:
        time.sleep(_SETTLED_SECONDS)
        status = Path(f"/proc/{server.ready['pid']}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / _MIB, 1)


SCENARIO = Scenario("worker-memory", "resident memory of a worker with a thousand and with a million secrets", run)
