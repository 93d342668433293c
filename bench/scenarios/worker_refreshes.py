"""How many secrets one worker refreshes a second, beside the same calls without a database (issue 3.9)."""

import asyncio
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import func, select

from bench.scenario import Row, Scenario
from bench.secrets_stored import add_client, add_due, opened, set_up
from bench.stage import Stage
from bench.tenants_stored import add_tenant
from keyrack.oauth.wire import FormRequest
from keyrack.provider.client import ProviderClient
from keyrack.store.core.store import Store
from keyrack.store.schema import auth_secrets
from support.process import free_port, guarded, wait_for

_CONCURRENCY = 64
_CASES = ((0, 64), (200, 64), (200, 20))
"""The provider's delay in milliseconds, and how many calls to it there may be at a time; 20 is the default."""
_SECRETS = 1_600
_TENANTS = 8
"""Whose they are, in equal parts: of one tenant alone a worker refreshes no more than three quarters at a time."""
_PATIENCE = 120.0


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for delay, calls in _CASES:
        with provider(delay) as url:
            for database in stage.plan.databases:
                pairs = [
                    (_refreshes(stage, database, url, f"{delay}-{calls}-{n}", calls), asyncio.run(_bare(url, calls)))
                    for n in range(min(stage.plan.runs, 3))
                ]
                ours, limit = (statistics.median(rates) for rates in zip(*pairs, strict=True))
                rows.append(
                    {
                        "database": database,
                        "provider ms": delay,
                        "calls at a time": calls,
                        "refreshes/s": round(ours),
                        "bare calls/s": round(limit),
                        "ratio": round(statistics.median(mine / its for mine, its in pairs), 3),
                        "of the limit": round(ours * delay / 1000 / calls, 2) if delay else "",
                    }
                )
                stage.say(f"{database}, provider of {delay} ms: {rows[-1]['refreshes/s']} refreshes/s")
    return rows


@contextmanager
def provider(delay: int) -> Iterator[str]:
    """Run a token endpoint that answers after so many milliseconds."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/token"
    with guarded([sys.executable, "-m", "bench.token_endpoint", str(port), str(delay)], {}) as server:
        wait_for(url, server)
        yield url


def _refreshes(stage: Stage, database: str, url: str, name: str, calls: int) -> float:
    """Return the rate between the first and the last refresh of a worker that starts on due secrets."""
    more = {"worker_concurrency": str(_CONCURRENCY), "provider_concurrency": str(calls)}
    stored = set_up(stage, database, f"refresh-{name}", **more)
    with opened(stored) as (runner, store):
        for number in range(_TENANTS):
            tenant = stored if number == 0 else runner.run(add_tenant(store, stored, f"other-{number}"))
            client = runner.run(add_client(store, tenant, url))
            runner.run(add_due(store, tenant, client, _SECRETS // _TENANTS))
        with guarded([sys.executable, "-m", "keyrack", "worker"], stored.environment):
            first, last = runner.run(until_refreshed(store, _SECRETS))
    return _SECRETS / (last - first)


async def until_refreshed(store: Store, count: int) -> tuple[float, float]:
    """Wait until all are refreshed; return when the first and the last were, seconds since 1970."""
    s, deadline = auth_secrets.c, time.monotonic() + _PATIENCE
    query = select(func.count(), func.min(s.refreshed_at), func.max(s.refreshed_at)).where(s.refreshed_at.is_not(None))
    while True:
        async with store.installation() as unit:
            done, first, last = (await unit.connection.execute(query)).one()
        if done == count:
            return first.timestamp(), last.timestamp()
        if time.monotonic() > deadline:
            raise RuntimeError(f"{done} of {count} were refreshed in {_PATIENCE:.0f} s")
        await asyncio.sleep(0.2)


async def _bare(url: str, calls: int) -> float:
    """Return the rate of the same calls, as many at a time, with nothing written down."""
    form = (("grant_type", "refresh_token"), ("refresh_token", "r" * 120), ("client_id", "bench"))
    left = iter(range(_SECRETS))
    async with ProviderClient(allow_insecure=True, connections_per_host=calls) as client:

        async def caller() -> None:
            for _ in left:
                await client.send(FormRequest(url, form))

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(calls)))
        return _SECRETS / (time.perf_counter() - began)


SCENARIO = Scenario("worker-refreshes", "one worker on due secrets, against an instant provider and one of 200 ms", run)
