"""All scenarios, in the order they run. A new one is a module here with a `SCENARIO`, and its line in this list."""

from bench.scenario import Scenario
from bench.scenarios import (
    beside_refreshes,
    console_pages,
    fairness,
    flat_costs,
    list_secrets,
    lists,
    lists_whole,
    read_secret,
    reads,
    refresh_cost,
    worker_memory,
    worker_refreshes,
    worker_tick,
    writes,
)

SCENARIOS: tuple[Scenario, ...] = (
    reads.SCENARIO,
    list_secrets.SCENARIO,
    writes.SCENARIO,
    read_secret.SCENARIO,
    worker_tick.SCENARIO,
    worker_refreshes.SCENARIO,
    refresh_cost.SCENARIO,
    worker_memory.SCENARIO,
    beside_refreshes.SCENARIO,
    lists.SCENARIO,
    lists_whole.SCENARIO,
    console_pages.SCENARIO,
    flat_costs.SCENARIO,
    fairness.SCENARIO,
)
