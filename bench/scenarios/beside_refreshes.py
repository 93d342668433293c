"""How long hot reads take while secrets are refreshed as fast as it goes, beside how long they take alone."""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import timedelta

from sqlalchemy import func, select, update

from bench.request_kinds import HOT_READ, kinds_at, served, token_endpoint
from bench.scenario import Row, Scenario
from bench.secrets_stored import add_client, add_due, opened, set_up
from bench.stage import OUT_OF_REACH, Stage
from bench.victim import Order, Probe, Seen, ask
from keyrack.clock import now
from keyrack.model.clients import AuthClient
from keyrack.store.core.store import Store
from keyrack.store.schema import auth_secrets
from support.process import guarded

_DUE_EACH_SECOND = 500
"""More than are refreshed."""
_READS_EACH_SECOND = 100
_CONNECTIONS = 4
_WARM_UP = 1.0
_PATIENCE = 10.0
_AT_ONCE = "64"


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    with token_endpoint() as provider:
        for database in stage.plan.databases:
            for where in ("the server", "a worker"):
                alone, beside, rate = _measured(stage, database, provider, inside=where == "the server")
                rows.append(
                    {
                        "database": database,
                        "refreshed by": where,
                        "alone p50 ms": round(alone.p50_ms, 2),
                        "alone p99 ms": round(alone.p99_ms, 2),
                        "beside p50 ms": round(beside.p50_ms, 2),
                        "beside p99 ms": round(beside.p99_ms, 2),
                        "p99 ratio": round(beside.p99_ms / alone.p99_ms, 2),
                        "refreshes/s": round(rate),
                        "failed": alone.failed + beside.failed,
                    }
                )
                stage.say(f"{database}, refreshed by {where}: p99 {rows[-1]['p99 ratio']} times as long")
    return rows


def _measured(stage: Stage, database: str, provider: str, *, inside: bool) -> tuple[Seen, Seen, float]:
    """Measure hot reads alone and beside refreshes; return both, and how many were refreshed a second meanwhile."""
    seconds = stage.plan.seconds * stage.plan.runs
    more = {"provider_concurrency": _AT_ONCE, "worker_concurrency": _AT_ONCE}
    stored = set_up(stage, database, f"beside-{inside}", **OUT_OF_REACH, **more)
    with ExitStack() as running:
        runner, store = running.enter_context(opened(stored))
        client = runner.run(add_client(store, stored, provider))
        runner.run(add_due(store, stored, client, int(_DUE_EACH_SECOND * (seconds + 2 * _WARM_UP))))
        runner.run(_put_off(store, client, timedelta(hours=1)))
        made = running.enter_context(served(stored, *([] if inside else ["--no-worker"])))
        if not inside:
            running.enter_context(guarded([sys.executable, "-m", "keyrack", "worker"], stored.environment))
        kinds = kinds_at(made, provider)
        probe = Probe(kinds.requests[HOT_READ], _CONNECTIONS / _READS_EACH_SECOND, _CONNECTIONS, keeps=True)
        order = Order("127.0.0.1", kinds.target.port, {HOT_READ: probe}, _WARM_UP, seconds, _PATIENCE)
        alone = asyncio.run(ask(order))[HOT_READ]
        runner.run(_put_off(store, client, timedelta(0)))
        began = time.monotonic()
        beside = asyncio.run(ask(order))[HOT_READ]
        took = time.monotonic() - began
        left, done = runner.run(_counted(store, client))
    if not left:
        raise RuntimeError("all was refreshed before the reads were over")
    return alone, beside, done / took


async def _put_off(store: Store, client: AuthClient, after: timedelta) -> None:
    """Let all secrets of a client be due so long from now."""
    mine = update(auth_secrets).where(auth_secrets.c.auth_client_id == client.id)
    async with store.installation(writes=True) as unit:
        await unit.connection.execute(mine.values(due_at=now() + after))


async def _counted(store: Store, client: AuthClient) -> tuple[int, int]:
    """Return how many secrets of a client are not refreshed yet, and how many are."""
    s = auth_secrets.c
    counted = select(func.count(), func.count(s.refreshed_at)).where(s.auth_client_id == client.id)
    async with store.installation() as unit:
        every, done = (await unit.connection.execute(counted)).one()
    return every - done, done


SCENARIO = Scenario("beside-refreshes", "hot reads while secrets are refreshed as fast as it goes", run)
