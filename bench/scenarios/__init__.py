"""All scenarios, in the order they run. A new one is a module here with a `SCENARIO`, and its line in this list."""

from bench.scenario import Scenario
from bench.scenarios import (
    fairness,
    lists,
    lists_whole,
    read_credential,
    read_oauth_client,
    read_secret,
    worker_memory,
    worker_refreshes,
    worker_tick,
)

SCENARIOS: tuple[Scenario, ...] = (
    read_credential.SCENARIO,
    read_oauth_client.SCENARIO,
    read_secret.SCENARIO,
    worker_tick.SCENARIO,
    worker_refreshes.SCENARIO,
    worker_memory.SCENARIO,
    lists.SCENARIO,
    lists_whole.SCENARIO,
    fairness.SCENARIO,
)
