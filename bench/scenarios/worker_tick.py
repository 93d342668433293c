"""What a look for due secrets costs: it must grow with what is due, not with what is stored (issue 3.9)."""

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import update

from bench.scenario import Row, Scenario
from bench.secrets_stored import Stored, add_client, add_due, multiply, opened, set_up
from bench.stage import Stage
from keyrack.fair_share import Places
from keyrack.store.core.store import Store
from keyrack.store.leases import claim_due, lease_holders
from keyrack.store.schema import auth_secrets

_SIZES = (10_000, 1_000_000)
DUE = 1_000
"""So many are due, neither more nor less."""
BATCH = 64
_LEASE_MS = 20_000


@dataclass(frozen=True, slots=True)
class Tick:
    """Seconds that looks for due secrets took: half of them at most, and all together."""

    first: float
    all: float


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for database in stage.plan.databases:
        made = {size: _filled(stage, database, size) for size in _SIZES}
        ticks: dict[int, list[Tick]] = {size: [] for size in _SIZES}
        for _ in range(stage.plan.runs):
            for size, stored in made.items():
                ticks[size].append(tick_at(stored))
        small, large = (_median(ticks[size]) for size in _SIZES)
        rows.append(
            {
                "database": database,
                "due": DUE,
                "one tick, 10 thousand ms": round(small.first * 1000, 2),
                "one tick, 1 million ms": round(large.first * 1000, 2),
                "ratio of one": round(large.first / small.first, 2),
                "all due, 10 thousand ms": round(small.all * 1000, 1),
                "all due, 1 million ms": round(large.all * 1000, 1),
                "ratio of all": round(large.all / small.all, 2),
            }
        )
        stage.say(f"{database}: {rows[-1]}")
    return rows


def _filled(stage: Stage, database: str, size: int) -> Stored:
    stage.say(f"{database}: storing {size:,} secrets")
    stored = set_up(stage, database, f"tick-{size}")
    with opened(stored) as (runner, store):
        client = runner.run(add_client(store, stored, "https://provider.example/token"))
        runner.run(add_due(store, stored, client, DUE))
        runner.run(multiply(store, stored, size - DUE))
    return stored


def tick_at(stored: Stored) -> Tick:
    """Claim all that is due at a database, and give it back."""
    with opened(stored) as (runner, store):
        runner.run(store.ping())
        tick = runner.run(_claim_all(store))
        runner.run(_give_back(store))
    return tick


async def _claim_all(store: Store) -> Tick:
    began, took, claimed = time.perf_counter(), [], 0
    while True:
        before, now = time.perf_counter(), datetime.now(UTC)
        async with store.installation() as unit:
            await lease_holders(unit, now)
        async with store.installation(writes=True) as unit:
            got = await claim_due(unit, now, Places(BATCH), _LEASE_MS)
        took.append(time.perf_counter() - before)
        if not got:
            break
        claimed += len(got)
    if claimed != DUE:
        raise RuntimeError(f"claimed {claimed} of {DUE}")
    return Tick(statistics.median(took), time.perf_counter() - began)


async def _give_back(store: Store) -> None:
    async with store.installation(writes=True) as unit:
        s = auth_secrets.c
        free = update(auth_secrets).where(s.due_at <= datetime.now(UTC)).values(lease_owner=None, lease_until=None)
        await unit.connection.execute(free)


def _median(ticks: Sequence[Tick]) -> Tick:
    return Tick(statistics.median(t.first for t in ticks), statistics.median(t.all for t in ticks))


SCENARIO = Scenario("worker-tick", "claiming the same 1,000 due secrets out of 10 thousand and out of 1 million", run)
