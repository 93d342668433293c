"""What a page of a list costs out of a thousand and out of a hundred thousand rows (issue 4.6)."""

import statistics
import time
from collections.abc import Mapping, Sequence

from bench.lists_stored import Filled, filled
from bench.scenario import Row, Scenario
from bench.stage import Stage
from support.crowd import RARE_COMPONENT

_SIZES = (1_000, 100_000)
_PAGE = 20
_LEAST_ROUNDS = 7


def run(stage: Stage) -> Sequence[Row]:
    rows: list[Row] = []
    for database in stage.plan.databases:
        made = {size: filled(stage, database, size) for size in _SIZES}
        asked = {size: _paths(made[size], size) for size in _SIZES}
        for what in asked[_SIZES[0]]:
            took: dict[int, list[float]] = {size: [] for size in _SIZES}
            for _ in range(max(_LEAST_ROUNDS, stage.plan.runs)):
                for size in _SIZES:
                    took[size].append(_milliseconds(made[size], asked[size][what]))
            small, large = (statistics.median(took[size][1:]) for size in _SIZES)
            rows.append(
                {
                    "list": what,
                    "database": database,
                    "1,000 rows ms": round(small, 1),
                    "100,000 rows ms": round(large, 1),
                    "ratio": round(large / small, 1),
                }
            )
    return rows


def _paths(made: Filled, size: int) -> Mapping[str, str]:
    home = made.home
    lists = {
        "flows": f"/v2/flows?workspace_id={home.workspace_id}",
        "secrets": f"/v2/workspaces/{home.workspace_id}/secrets?",
        "credentials": f"/v2/credentials?workspace_id={home.workspace_id}",
        "components": f"/v2/components?contract_id={home.contract_id}",
        "users": "/v2/users?",
        "contracts": "/v2/contracts?",
    }
    paths = {}
    for name, path in lists.items():
        paths[f"{name}, first page"] = f"{path}&page[size]={_PAGE}"
        paths[f"{name}, page in the middle"] = f"{path}&page[size]={_PAGE}&page[number]={size // _PAGE // 2}"
    narrowed = {
        "flows, filter[status]": f"{lists['flows']}&filter[status]=active",
        "flows, filter[user]": f"{lists['flows']}&filter[user]={home.other_user_id}",
        "flows, filter[has_draft]": f"{lists['flows']}&filter[has_draft]=true",
        "flows, sort=-name": f"{lists['flows']}&sort=-name",
        "flows, search": f"{lists['flows']}&search=needle",
        "flows, search, sort=name": f"{lists['flows']}&search=needle&sort=name",
        "secrets, filter[user]": f"{lists['secrets']}filter[user]={home.other_user_id}",
        "credentials, filter[component]": f"{lists['credentials']}&filter[component]={RARE_COMPONENT}",
        "components, filter[access]=public": f"{lists['components']}&filter[access]=public",
        "users, email": "/v2/users?email=other@bench.example",
    }
    return {**paths, **{name: f"{path}&page[size]={_PAGE}" for name, path in narrowed.items()}}


def _milliseconds(made: Filled, path: str) -> float:
    began = time.perf_counter()
    answer = made.http.get(path)
    took = time.perf_counter() - began
    if answer.status_code != 200:  # noqa: PLR2004 - OK
        raise RuntimeError(f"GET {path} answered {answer.status_code}: {answer.text}")
    return took * 1000


SCENARIO = Scenario("lists", "a page of 20, a filter and a search out of 1,000 and out of 100,000 rows", run)
