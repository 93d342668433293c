"""Costs beside many secrets and many tenants are measured on what is stored as it says; no figure is judged here."""

from typing import Any

import pytest
from sqlalchemy import func, select

from bench.scenarios.flat_costs import measure
from bench.secrets_stored import opened, set_up
from bench.stage import Plan, stage
from bench.tenants_stored import multiply_tenants
from keyrack.store.core.store import Store
from keyrack.store.schema import api_keys, tenants, users, workspaces

SHORT = Plan(seconds=0.2, warm_up=0.05, runs=1)


def test_every_kind_is_measured_beside_many_secrets_and_many_tenants() -> None:
    with stage(SHORT, print) as made:
        rows = measure(made, "sqlite", 50, 5)
    kinds = ["worker tick", "hot read", "ordinary read", "write", "refresh", "page of 20"]
    assert [(row["beside"], row["what"]) for row in rows] == [
        (beside, what) for beside in ("50 secrets", "5 tenants") for what in kinds
    ]
    assert all(float(row["many: p50 ms"]) > 0 for row in rows)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_tenants_are_copied_with_people_and_keys(database: str, request: pytest.FixtureRequest) -> None:
    if database == "postgresql":
        request.getfixturevalue("postgres_server")  # only to be skipped where PostgreSQL cannot be had
    with stage(SHORT, print) as made:
        stored = set_up(made, database, "tenants")
        with opened(stored) as (runner, store):
            runner.run(multiply_tenants(store, stored, 7))
            counted = runner.run(_counted(store))
    assert counted == {"tenants": 8, "users": 8, "workspaces": 8, "api_keys": 9}  # one is a service account's


async def _counted(store: Store) -> dict[str, Any]:
    async with store.installation() as unit:
        return {
            table.name: (await unit.connection.execute(select(func.count()).select_from(table))).scalar()
            for table in (tenants, users, workspaces, api_keys)
        }
