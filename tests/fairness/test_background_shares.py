"""An attacker's hanging providers and webhooks hold up no other tenant's refreshes and events (invariant 7)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack.fair_share import Places
from keyrack.model.events import EventType
from keyrack.provider.client import ProviderClient
from keyrack.service.webhooks.delivery import Deliverer
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.leases import claim_due
from keyrack.store.outbox import Outbox
from keyrack.worker.refreshing import RefreshWorker
from support.app import World, settings_for, world
from support.grants import Connected, add_auth_client, add_secret, change, connect, mint, stored
from support.loopback_peers import receiving
from support.raw_provider import LoopbackServers, RawProvider, connect_raw, json_answer

PATIENCE = 60.0
"""Seconds after which a test gives up; also how long a call to a provider may hang."""


class HangingServers(LoopbackServers):
    """Servers that take every request and never answer."""

    async def open(self) -> str:
        async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
            await self.read(reader)
            await asyncio.sleep(3 * PATIENCE)

        return f"http://127.0.0.1:{await self.start(hang)}"


@pytest.fixture
async def hanging() -> AsyncIterator[HangingServers]:
    servers = HangingServers()
    yield servers
    await servers.stop()


@pytest.fixture
async def patient(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[World]:
    """A Keyrack that lets a provider hang for longer than a test takes."""
    settings = settings_for(
        tmp_path, url_with_tenants, allow_insecure_providers="true", provider_timeout=str(PATIENCE), refresh_wait="5"
    )
    async with world(settings) as keyrack:
        yield keyrack


@asynccontextmanager
async def working(keyrack: World, concurrency: int) -> AsyncIterator[RefreshWorker]:
    worker = RefreshWorker(keyrack.services.refreshing.refresher, concurrency)
    task = asyncio.create_task(worker.run(0.05))
    try:
        yield worker
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for refresh in list(keyrack.services.refreshing.refresher._running.values()):
            refresh.task.cancel()
        await worker.stop(PATIENCE)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await true():  # noqa: ASYNC110 - what is waited for is in the database
            await asyncio.sleep(0.02)


async def attack(keyrack: World, tenant: str, url: str, secrets: int) -> list[Connected]:
    """Give a tenant secrets that have been due for an hour at a provider that hangs."""
    owner = keyrack.tenants[tenant]
    client = await add_auth_client(keyrack.store, owner.id, f"{url}/token")
    tokens = {"access_token": "at", "refresh_token": "rt"}
    return [Connected(client, await add_secret(keyrack.store, owner, client, tokens, age=7200)) for _ in range(secrets)]


async def test_hanging_providers_hold_up_nobody_elses_refresh(
    patient: World, simulator: RunningSimulator, hanging: HangingServers
) -> None:
    await patient.add_tenant("Initech")
    for tenant in ("Globex", "Initech"):
        for _ in range(4):
            await attack(patient, tenant, await hanging.open(), 10)
    async with working(patient, concurrency=16) as worker:

        async def attacked() -> bool:
            full = worker._places.full
            return len(full) == 2 and await worker.tick() == 0 and hanging.connections == 16 - worker._places.free

        await until(attacked)
        held = hanging.connections
        victim = await connect(patient, simulator)

        async def refreshed() -> bool:
            return (await stored(patient.store, victim.secret)).generation > victim.secret.generation

        await until(refreshed)
        assert hanging.connections == held, "the attackers hold their shares all the time"


async def test_what_failed_lately_leaves_room_for_what_did_not(patient: World, simulator: RunningSimulator) -> None:
    acme, globex = patient.tenants["Acme"], patient.tenants["Globex"]
    client = await add_auth_client(patient.store, globex.id, "http://127.0.0.1:9/token")
    for _ in range(20):
        failed = await add_secret(patient.store, globex, client, mint(simulator), age=7200)
        await change(patient.store, failed, failed_at=datetime.now(UTC) - timedelta(minutes=1))
    well = await connect(patient, simulator)
    once_failed = await connect(patient, simulator)
    await change(patient.store, once_failed.secret, failed_at=datetime.now(UTC) - timedelta(seconds=1))
    async with patient.store.installation(writes=True) as unit:
        due = await claim_due(unit, datetime.now(UTC), Places(16), 20_000)
    assert sorted((each.tenant_id == acme.id, each.slow) for each in due) == (
        [(False, True)] * 3 + [(True, False), (True, True)]
    ), "the slow lane has four places; the last of them is not the attacker's, however long its queue"
    assert {well.secret.id, once_failed.secret.id} <= {each.secret_id for each in due}


async def test_a_long_queue_of_one_tenant_does_not_hide_the_others(patient: World, simulator: RunningSimulator) -> None:
    await attack(patient, "Globex", "http://127.0.0.1:9", 450)  # more than two windows of the query
    victim = await connect(patient, simulator)
    async with patient.store.installation(writes=True) as unit:
        due = await claim_due(unit, datetime.now(UTC), Places(16), 20_000)
    assert victim.secret.id in {each.secret_id for each in due}
    assert len(due) == 13
    async with patient.store.installation(writes=True) as unit:
        again = await claim_due(unit, datetime.now(UTC), Places(16), 20_000)
    assert {each.secret_id for each in again}.isdisjoint(each.secret_id for each in due)


async def test_a_path_that_fails_takes_the_provider_from_its_tenant_alone(
    patient: World, raw_provider: RawProvider
) -> None:
    raw_provider.answers = [json_answer("{}", "503 Service Unavailable")]
    globex, acme = patient.tenants["Globex"], patient.tenants["Acme"]
    for _ in range(20):
        mine = await connect_raw(patient, raw_provider, tenant="Globex")
        await globex.admin.get(f"/v2/workspaces/{globex.workspace_id}/secrets/{mine.secret.id}")
    asked = len(raw_provider.requests)
    assert asked == 10, "the attacker's circuit is open"
    raw_provider.answers = [json_answer('{"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 3600}')]
    ready = 0
    for _ in range(28):
        theirs = await connect_raw(patient, raw_provider)
        read = await acme.admin.get(f"/v2/workspaces/{acme.workspace_id}/secrets/{theirs.secret.id}")
        ready += read.json()["data"]["attributes"]["state"] == "ready"
    assert ready == 28
    assert len(raw_provider.requests) == asked + 28


async def test_hanging_webhooks_hold_up_nobody_elses_events(patient: World, hanging: HangingServers) -> None:
    acme, globex = patient.tenants["Acme"], patient.tenants["Globex"]

    async def webhook(owner: Any, url: str) -> None:
        sent = {"data": {"type": "webhook", "attributes": {"url": url}}}
        made = await owner.admin.post(f"/v2/tenants/{owner.id}/webhooks", sent)
        assert made.status_code == 201, made.text

    async def happens(owner: Any, times: int) -> None:
        async with patient.store.unit(owner.id, writes=True) as unit:
            for _ in range(times):
                await Outbox(unit).add(EventType.secret_failed, {"secret_id": "0" * 24})

    for _ in range(10):
        await webhook(globex, f"{await hanging.open()}/hook")
    await happens(globex, 40)
    async with ProviderClient(allow_insecure=True, timeout=PATIENCE) as client, receiving() as receiver:
        worker = Deliverer(patient.store, client, timeout=0.1, patience=0.05)
        await worker.tick()
        await worker.tick()
        await webhook(acme, receiver.url)
        await happens(acme, 3)

        async def arrived() -> bool:
            await worker.tick()
            return len(receiver.messages) == 3

        await until(arrived)
        assert hanging.connections == 48, "the attacker holds its share all the time"
        await worker.close()


async def test_a_tenant_alone_is_refreshed_as_fast_as_its_share_comes_back(
    patient: World, simulator: RunningSimulator
) -> None:
    """What is due is no less because the tenant has its share at the moment: no look is put off for an interval."""
    many = [await connect(patient, simulator, age=7200) for _ in range(12)]
    worker = RefreshWorker(patient.services.refreshing.refresher, 4)
    task = asyncio.create_task(worker.run(10 * PATIENCE))
    try:

        async def refreshed() -> bool:
            found = [await stored(patient.store, each.secret) for each in many]
            return all(now.generation > each.secret.generation for now, each in zip(found, many, strict=True))

        await until(refreshed)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await worker.stop(PATIENCE)
