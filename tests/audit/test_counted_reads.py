"""Reads of tokens are counted by caller, place and hour, and denials of reading with them; nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from keyrack import clock
from keyrack.errors import DatabaseUnavailable
from keyrack.model.audit import AuditEvent
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.audit import counted_acts
from keyrack.service.audit.counted_acts import AuditCounter, AuditHours
from keyrack.service.secrets.secrets import Secrets
from keyrack.store.audit_counts import AuditCounts
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from support.app import BASE, Caller, World, settings_for, world
from support.grants import add_auth_client, add_secret

START = clock.now().replace(minute=10, second=0, microsecond=0)


@dataclass
class Time:
    """A clock that stands still until it is set."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Place:
    world: World
    time: Time

    @property
    def counter(self) -> AuditCounter:
        return self.world.services.audit_parts.counter

    async def secret(self) -> str:
        acme = self.world.tenants["Acme"]
        client = await add_auth_client(self.world.store, acme.id, "http://127.0.0.1:8/token")
        made = await add_secret(self.world.store, acme, client, {"access_token": "at"}, lifetime=999_999)
        return str(made.id)

    async def entries(self, tenant_id: str | None = None) -> list[AuditEvent]:
        """Let the hour end, and return what was counted in it, as the log has it."""
        await self.counter.flush()
        self.time.now += timedelta(hours=1, minutes=3)
        while await self.world.services.audit_parts.hours.tick():
            pass
        return await counted(self.world.store, self.world.tenants["Acme"].id if tenant_id is None else tenant_id)


async def counted(store: Store, tenant_id: str) -> list[AuditEvent]:
    async with store.unit(tenant_id) as unit:
        found, _ = await AuditLog(unit).page({}, None, None, limit=None)
    return [event for event in found if event.times is not None]


@pytest.fixture
async def place(tmp_path: Path, database_url: str | None) -> AsyncIterator[Place]:
    time = Time()
    settings = settings_for(tmp_path, database_url, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, time) as made:
        yield Place(made, time)


async def test_reads_of_a_secret_are_one_entry_an_hour_for_each_caller(place: Place) -> None:
    acme, store = place.world.tenants["Acme"], place.world.store
    secret_id = await place.secret()
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret_id}"
    for _ in range(3):
        assert (await acme.admin.get(path)).status_code == 200
        place.time.now += timedelta(minutes=1)
        await place.counter.flush()
    assert (await acme.integrator.get(path)).status_code == 200
    assert await counted(store, acme.id) == [], "the hour goes on"
    found = {event.actor: event for event in await place.entries()}
    by_admin = found[acme.admin.name]
    assert (by_admin.action, by_admin.target_type, by_admin.target_id) == ("secret.read", "auth-secret", secret_id)
    assert (by_admin.times, by_admin.outcome, by_admin.address) == (3, "allowed", "127.0.0.1")
    assert (by_admin.first_at, by_admin.at) == (START, START + timedelta(minutes=2))
    assert found[acme.integrator.name].times == 1
    assert (await acme.admin.get(path)).status_code == 200
    assert len(await place.entries()) == 3, "the next hour has an entry of its own"
    listed = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=secret.read")).json()["data"]
    assert [each["attributes"]["times"] for each in listed] == [3, 1, 1]
    assert listed[0]["attributes"]["first_at"] == clock.iso(START)
    others = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=auth-client.create")).json()["data"]
    assert all("times" not in each["attributes"] for each in others)


async def test_the_fast_read_counts_as_the_slow_one_does(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, fast = place.world.tenants["Acme"], place.world.services.fast_reads
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{await place.secret()}"
    asked = mock.AsyncMock(side_effect=Secrets.get)
    assert (await acme.admin.get(path)).status_code == 200
    fast.open()
    try:
        monkeypatch.setattr(Secrets, "get", asked)
        for _ in range(20):
            assert (await acme.admin.get(path)).status_code == 200
    finally:
        await fast.close()
    assert asked.await_count == 0
    assert [event.times for event in await place.entries()] == [21]


async def test_processes_add_up_and_an_hour_is_taken_once(place: Place) -> None:
    acme, store = place.world.tenants["Acme"], place.world.store
    who = Principal(PrincipalKind.task_user, "t", "task-1", acme.id)
    processes = [AuditCounter(store, place.time) for _ in range(4)]
    for number in range(50):
        for counter in processes:
            counter.note(who, f"192.0.2.{number % 5}", acme.id, "secret.read", "auth-secret", f"s{number % 10}")
    await asyncio.gather(*(counter.flush() for counter in processes))
    place.time.now += timedelta(hours=2)
    hours = [AuditHours(store) for _ in range(3)]
    assert sum(await asyncio.gather(*(each.tick() for each in hours))) == 10
    found = await counted(store, acme.id)
    assert sum(event.times or 0 for event in found) == 200
    assert {(event.times, event.actor_kind) for event in found} == {(20, PrincipalKind.task_user)}


async def test_what_cannot_be_written_is_written_later(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, counter = place.world.tenants["Acme"], AuditCounter(place.world.store, place.time)
    who = Principal(PrincipalKind.user, "u", "nora", acme.id)

    def note() -> None:
        counter.note(who, None, acme.id, "secret.read", "auth-secret", "s")

    note()
    with monkeypatch.context() as outage:
        outage.setattr(AuditCounts, "add", mock.AsyncMock(side_effect=DatabaseUnavailable))
        with pytest.raises(DatabaseUnavailable):
            await counter.flush()
        note()
    await counter.flush()
    assert [event.times for event in await place.entries()] == [2]


async def test_memory_is_bounded_and_then_things_are_no_longer_told_apart(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counted_acts, "_MOST", 10)
    monkeypatch.setattr(counted_acts, "_MOST_AT_ALL", 12)
    acme, counter = place.world.tenants["Acme"], AuditCounter(place.world.store, place.time)
    for caller in range(4):
        who = Principal(PrincipalKind.user, f"u{caller}", f"nora{caller}", acme.id)
        for number in range(10):
            counter.note(who, None, acme.id, "secret.read", "auth-secret", f"s{number}")
    await counter.flush()
    found = await place.entries()
    assert len(found) == 12
    assert {event.actor: event.times for event in found if event.target_id is None} == {"nora1": 10, "nora2": 10}


async def test_an_hour_that_is_taken_may_still_get_more(place: Place) -> None:
    acme, store = place.world.tenants["Acme"], place.world.store
    who, late = Principal(PrincipalKind.user, "u", "nora", acme.id), AuditCounter(place.world.store, place.time)
    late.note(who, None, acme.id, "secret.read", "auth-secret", "s")
    early = AuditCounter(store, place.time)
    early.note(who, None, acme.id, "secret.read", "auth-secret", "s")
    await early.flush()
    await AuditHours(store).write_now(acme.id)
    assert [event.times for event in await counted(store, acme.id)] == [1]
    place.time.now += timedelta(hours=3)
    await late.flush()
    await AuditHours(store).tick()
    assert [event.times for event in await counted(store, acme.id)] == [1, 1]


async def test_wrong_keys_and_passwords_are_counted_whoever_tries(place: Place) -> None:
    keyrack, acme = place.world, place.world.tenants["Acme"]
    for name in ("nobody@nowhere.example", acme.admin.name, "a\x00b\u202e" + "x" * 500):
        stranger = Caller(keyrack.http, name, "kr_" + "A" * 43)
        headers = {"authorization": stranger.headers["authorization"]}
        assert (await keyrack.http.get("/v2/users/me", headers=headers)).status_code == 401
    await place.entries()
    found = {event.actor: event for event in await counted(keyrack.store, "")}
    assert set(found) >= {"nobody@nowhere.example", acme.admin.name}
    assert all((each.action, each.outcome, each.times) == ("api-key.use", "denied", 1) for each in found.values())
    assert all("\x00" not in name and "\u202e" not in name and len(name) <= 64 for name in found)


@pytest.mark.parametrize(
    ("path", "action"),
    [
        ("/v2/tenants/{tenant}/oauth-clients", "tenants.oauth_clients.get"),
        ("/v2/tenants/{tenant}/audit-events", "tenants.audit.get"),
    ],
)
async def test_refused_reads_are_counted(place: Place, path: str, action: str) -> None:
    acme = place.world.tenants["Acme"]
    for _ in range(2):
        assert (await acme.guest.get(path.format(tenant=acme.id))).status_code == 403
    (found,) = await place.entries()
    assert (found.actor, found.action, found.outcome, found.times) == (acme.guest.name, action, "denied", 2)
    assert (found.target_type, found.target_id) == ("tenant", acme.id)


async def test_reaching_for_another_tenant_is_in_the_log_of_who_reaches(place: Place) -> None:
    acme, globex = place.world.tenants["Acme"], place.world.tenants["Globex"]
    answer: Any = await acme.admin.get(f"/v2/tenants/{globex.id}/oauth-clients")
    assert answer.status_code == 403
    (found,) = await place.entries()
    assert (found.actor, found.outcome, found.target_id) == (acme.admin.name, "denied", globex.id)
    assert await counted(place.world.store, globex.id) == []
