"""What a request and a worker's tick cost, whatever is stored: with few secrets, with many, and with many tenants."""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.load import Order, generate
from bench.request_kinds import Kinds, kinds_at, served, token_endpoint
from bench.scenario import Row, Scenario
from bench.scenarios.worker_tick import BATCH, DUE, tick_at
from bench.secrets_stored import Stored, add_client, add_due, multiply, opened, set_up
from bench.stage import OUT_OF_REACH, Stage
from bench.tenants_stored import multiply_tenants
from keyrack.model.tenancy import WorkspaceType
from keyrack.store.core.store import Store
from keyrack.store.workspaces import WorkspaceRows

_SECRETS, _TENANTS = 1_000_000, 10_000
_PAGE = 20
_TICK = "worker tick"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one of something cost: the server's time on a core, and what half took at most, in milliseconds."""

    cpu_ms: float
    p50_ms: float


def run(stage: Stage) -> Sequence[Row]:
    return [row for database in stage.plan.databases for row in measure(stage, database, _SECRETS, _TENANTS)]


def measure(stage: Stage, database: str, secrets: int, tenants: int) -> Sequence[Row]:
    """Measure with a thousand secrets of one tenant, with `secrets` of one, and with `tenants` beside it."""
    databases = {
        "few": filled(stage, database, "few"),
        f"{secrets:,} secrets": filled(stage, database, "secrets", secrets=secrets),
        f"{tenants:,} tenants": filled(stage, database, "tenants", tenants=tenants),
    }
    costs: dict[str, dict[str, list[Cost]]] = {name: {} for name in databases}
    for _ in range(stage.plan.runs):
        for name, stored in databases.items():
            costs[name].setdefault(_TICK, []).append(_tick(stored))
    with ExitStack() as running:
        provider = running.enter_context(token_endpoint())
        # The worker would refresh what falls due meanwhile.
        servers = {
            name: kinds_at(running.enter_context(served(stored, "--no-worker")), provider)
            for name, stored in databases.items()
        }
        for _ in range(stage.plan.runs):
            for what in requests_of(servers["few"]):
                for name, kinds in servers.items():
                    costs[name].setdefault(what, []).append(cost_of(stage, kinds, requests_of(kinds)[what]))
    few = costs.pop("few")
    return [
        {"what": what, "database": database, "beside": name, **_row(_median(few[what]), _median(own[what]))}
        for name, own in costs.items()
        for what in few
    ]


def filled(stage: Stage, database: str, name: str, *, secrets: int = 0, tenants: int = 0) -> Stored:
    """Store a thousand due secrets, and more secrets in another workspace, or tenants."""
    stage.say(f"{database}: storing {secrets + DUE:,} secrets, {tenants + 1:,} tenants")
    stored = set_up(stage, database, f"flat-{name}", quota_secrets="0", **OUT_OF_REACH)
    with opened(stored) as (runner, store):
        client = runner.run(add_client(store, stored, "https://provider.example/token"))
        runner.run(add_due(store, stored, client, DUE))
        runner.run(multiply(store, stored, secrets, runner.run(_other_workspace(store, stored))))
        runner.run(multiply_tenants(store, stored, tenants))
    return stored


async def _other_workspace(store: Store, stored: Stored) -> str:
    async with store.unit(stored.first["tenant_id"], writes=True) as unit:
        made = await WorkspaceRows(unit).add(stored.first["contract_id"], "Others", WorkspaceType.full, {})
    return made.id


def requests_of(kinds: Kinds) -> Mapping[str, Sequence[str]]:
    """Return what is measured, by name."""
    page = kinds.target.get(f"{kinds.estate.secrets}?page%5Bsize%5D={_PAGE}")
    return {**kinds.requests, f"page of {_PAGE}": [page]}


def cost_of(stage: Stage, kinds: Kinds, requests: Sequence[str]) -> Cost:
    """Make requests for a run and return what one cost."""
    plan, target = stage.plan, kinds.target
    connections = plan.connections[0] if plan.connections else 1
    order = Order("127.0.0.1", target.port, requests, connections, plan.warm_up, plan.seconds, pid=target.pid)
    seen = asyncio.run(generate(order))
    return Cost(seen.cpu_ms, seen.p50_ms)


def _tick(stored: Stored) -> Cost:
    began, tick = time.process_time(), tick_at(stored)
    looks = DUE / BATCH
    return Cost((time.process_time() - began) / looks * 1000, tick.first * 1000)


def _median(costs: Sequence[Cost]) -> Cost:
    return Cost(statistics.median(cost.cpu_ms for cost in costs), statistics.median(cost.p50_ms for cost in costs))


def _row(few: Cost, more: Cost) -> Row:
    return {
        "few: CPU ms": round(few.cpu_ms, 2),
        "many: CPU ms": round(more.cpu_ms, 2),
        "CPU ratio": round(more.cpu_ms / few.cpu_ms, 2),
        "few: p50 ms": round(few.p50_ms, 2),
        "many: p50 ms": round(more.p50_ms, 2),
        "p50 ratio": round(more.p50_ms / few.p50_ms, 2),
    }


SCENARIO = Scenario(
    "flat-costs", "reads, a page, a refresh and a tick: with few, a million secrets, 10,000 tenants", run
)
