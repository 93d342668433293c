"""A tenant that asks for very much at once takes neither all database connections nor all turns of writers from others.

What is counted is the order in which requests are done, not how long they take (invariant 7).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from keyrack.store.core.store import Store
from support.app import TenantInTest, World, settings_for, world

MANY = 150


@pytest.fixture
async def narrow(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[World]:
    """A Keyrack with few database connections, and for everything that waits for them enough time."""
    async with world(settings_for(tmp_path, url_with_tenants, database_pool_size="3")) as keyrack:
        yield keyrack


def reads(tenant: TenantInTest) -> Awaitable[Any]:
    return tenant.admin.get("/v2/workspaces")


def writes(tenant: TenantInTest) -> Awaitable[Any]:
    return tenant.admin.patch(f"/v2/workspaces/{tenant.workspace_id}", _renamed(tenant.workspace_id))


def _renamed(workspace_id: str) -> Any:
    return {"data": {"type": "workspace", "id": workspace_id, "attributes": {"name": "Renamed"}}}


@pytest.mark.parametrize("ask", [reads, writes])
async def test_many_requests_of_one_tenant_do_not_go_before_anothers(
    narrow: World, ask: Callable[[TenantInTest], Awaitable[Any]]
) -> None:
    acme, globex = narrow.tenants["Acme"], narrow.tenants["Globex"]
    done = 0

    async def attack() -> None:
        nonlocal done
        answer = await ask(globex)
        assert answer.status_code == 200, answer.text
        done += 1

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for _ in range(MANY):
            group.create_task(attack())
        while not done:  # noqa: ASYNC110 - what is waited for is the attack
            await asyncio.sleep(0)
        before = done
        answer = await ask(acme)
        assert answer.status_code == 200, answer.text
        assert done - before < MANY // 2, "a few of the attacker's for each of the victim's turns, instead of all"


async def test_a_unit_inside_a_unit_waits_for_no_place(narrow: World) -> None:
    tenant_id = narrow.tenants["Acme"].id

    async def nested(store: Store) -> None:
        async with store.unit(tenant_id, writes=True), store.unit(tenant_id):
            pass

    async with asyncio.timeout(60):
        await nested(narrow.store)


async def test_who_is_cancelled_while_waiting_or_inside_leaves_no_place_behind(narrow: World) -> None:
    tenant_id, store = narrow.tenants["Acme"].id, narrow.store

    async def hold() -> None:
        async with store.unit(tenant_id, writes=True):
            await asyncio.sleep(3600)

    tasks = [asyncio.create_task(hold()) for _ in range(12)]
    await asyncio.sleep(0.05)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(60), store.unit(tenant_id, writes=True):
        pass
    assert store.connections()[0] == 0
