"""A page of fifty auth secrets, each decrypted: `GET /v2/workspaces/{W}/secrets?page[size]=50` (contract 15)."""

from collections.abc import Sequence

from bench.scenario import Row, Scenario
from bench.scenarios.reads import measure
from bench.stage import Stage


def run(stage: Stage) -> Sequence[Row]:
    return measure(stage, "50 secrets", lambda estate: estate.page_of_secrets)


SCENARIO = Scenario("list-secrets", "GET of a page of 50 auth secrets, beside its peers", run)
