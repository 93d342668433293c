"""A tenant that has made its calls of a minute waits with what is due, and holds up nobody else (issue 15.5)."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyrack.fair_share import Places
from keyrack.simulator.testing import RunningSimulator
from keyrack.worker.refreshing import RefreshWorker
from support.app import World, settings_for, world
from support.grants import Connected, add_auth_client, add_secret, connect, mint, stored

CALLS = 3


@pytest.fixture
async def limited(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[World]:
    """A Keyrack whose minutes do not pass."""
    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", quota_refreshes=str(CALLS))
    async with world(settings) as keyrack:
        keyrack.services.refreshing.limiter._calls._timer = lambda: 0.0
        yield keyrack


async def renewed(keyrack: World, made: list[Connected]) -> int:
    return sum([(await stored(keyrack.store, each.secret)).generation > each.secret.generation for each in made])


async def test_what_is_due_beyond_the_quota_stays_due_and_takes_no_place(
    limited: World, simulator: RunningSimulator
) -> None:
    globex = limited.tenants["Globex"]
    client = await add_auth_client(limited.store, globex.id, simulator.token_endpoint)
    greedy = [
        Connected(client, await add_secret(limited.store, globex, client, mint(simulator), age=7200)) for _ in range(10)
    ]
    worker = RefreshWorker(limited.services.refreshing.refresher, 64)
    assert await worker.tick() == CALLS
    await _finished(worker)
    assert await renewed(limited, greedy) == CALLS
    assert await worker.tick() == 0
    assert worker._places.free == 64, "what waits holds no place"
    waiting = [
        now for each in greedy if (now := await stored(limited.store, each.secret)).generation == each.secret.generation
    ]
    victim = await connect(limited, simulator)
    assert await worker.tick() == 1, "another tenant's goes on"
    await _finished(worker)
    assert await renewed(limited, [victim]) == 1
    assert await renewed(limited, greedy) == CALLS
    assert all(now.failed_at is None for now in waiting), "waiting is no failure"
    limiter = limited.services.refreshing.limiter
    limiter.limits = replace(limiter.limits, wait=0.05)
    answer = await globex.admin.post(f"/v2/workspaces/{globex.workspace_id}/secrets/{waiting[0].id}/refresh")
    told = answer.json()["errors"][0]
    assert (answer.status_code, told["code"], told["meta"]["reason"]) == (400, "provider_unavailable", "quota")
    assert "KEYRACK_QUOTA_REFRESHES" in told["detail"]


async def _finished(worker: RefreshWorker) -> None:
    for task in list(worker._tasks):
        await task


def test_places_give_a_tenant_no_more_than_it_may_call() -> None:
    places = Places(16)
    places.limit({"few": 2, "none": 0}, 16)
    assert [places.take("few") for _ in range(3)] == [True, True, False]
    assert not places.take("none")
    assert places.full == {"few", "none"}
    copy = places.copy()
    places.give_back("few")
    assert not places.take("few"), "a place that came back is no call that came back"
    assert copy.full == {"few", "none"}
    assert places.take("other")
    places.limit({}, 1)
    assert [places.take("new") for _ in range(2)] == [True, False]
