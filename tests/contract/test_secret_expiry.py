"""A token that expired and that nothing can renew: `error`, `token_expired`, told once (contract 0.24)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack import clock
from keyrack.clock import iso
from keyrack.model.secrets import AuthSecret
from keyrack.service.secrets.refresh.refresher import Refresher
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.worker.refreshing import RefreshWorker
from support.app import BASE, error_of, settings_for, world
from support.secrets import Desk, add_client, resource

AT = {"access_token": "at-1"}


class Time:
    """The real time, moved ahead by a test."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


@dataclass
class Stage:
    """Globex' workspace, a clock to move, and a worker."""

    desk: Desk
    time: Time

    @property
    def refresher(self) -> Refresher:
        return self.desk.world.services.refreshing.refresher

    async def seen(self, secret: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = resource(await self.desk.who.get(f"{self.desk.path}/{secret['id']}"))["attributes"]
        return found

    async def in_error(self) -> list[str]:
        answer = await self.desk.who.get(f"{self.desk.path}?filter[state]=error")
        return [entry["attributes"]["name"] for entry in answer.json()["data"]]

    async def work(self) -> None:
        """Let two workers look at the same time until there is nothing to do."""
        workers = [RefreshWorker(self.refresher, 4) for _ in range(2)]
        while sum(await asyncio.gather(*(worker.tick() for worker in workers))):
            for worker in workers:
                await worker.stop(60)
            workers = [RefreshWorker(self.refresher, 4) for _ in range(2)]

    async def told(self) -> list[dict[str, Any]]:
        kind, tenant = "secret.reauthorization_required", self.desk.tenant
        answer = await tenant.admin.get(f"/v2/tenants/{tenant.id}/events?filter[type]={kind}")
        return [entry["attributes"]["data"] for entry in answer.json()["data"]]


@pytest.fixture
async def stage(tmp_path: Path, url_with_tenants: str | None) -> AsyncIterator[Stage]:
    time = Time()
    settings = settings_for(tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, time) as keyrack:
        yield Stage(Desk(keyrack, await add_client(keyrack, keyrack.tenants["Globex"])), time)


async def test_it_is_an_error_at_once_and_told_once(stage: Stage) -> None:
    desk = stage.desk
    plain = await desk.make({**AT, "expires_in": 60}, name="plain")
    instagram = await add_client(desk.world, desk.tenant, "oauth2_instagram")
    other = await Desk(desk.world, instagram).make({**AT, "expires_in": 60}, name="instagram")
    await desk.make(AT, name="no known expiry")
    await desk.make({**AT, "refresh_token": "rt", "expires_in": 60}, name="refreshable")
    await desk.make({**AT, "expires_in": 7200}, name="good")
    assert (await stage.seen(plain))["state"] == "ready"
    assert "next_refresh_at" not in await stage.seen(plain)
    await stage.work()
    assert (await stage.told(), await stage.in_error()) == ([], [])
    stage.time.ahead += timedelta(seconds=61)
    for secret in (plain, other):  # before any worker came round
        read = await stage.seen(secret)
        assert (read["state"], read["error_code"]) == ("error", "token_expired")
        assert read["error_at"] == read["credentials"]["expires_at"]
        assert read["error"].startswith("The token has expired, and there is no refresh token to renew it with.")
        assert "Connect again" in read["error"]
    assert await stage.in_error() == ["plain", "instagram"]
    refused = await desk.who.get(f"{desk.path}/{plain['id']}?min_validity=1")
    assert error_of(refused)[:2] == (409, "token_not_valid")
    assert refused.json()["errors"][0]["meta"]["error_code"] == "token_expired"
    assert error_of(await desk.who.post(f"{desk.path}/{plain['id']}/refresh"))[:2] == (400, "not_refreshable")
    async with desk.world.store.unit(
        desk.tenant.id, writes=True
    ) as unit:  # nothing to refresh it with, and no provider
        for each in await AuthSecrets(unit).lock_some_of(desk.tenant.workspace_id, 10):
            if each.refreshable:
                await AuthSecrets(unit).replace(replace(each, due_at=None), refresh_token_replaced=False)
    for _ in range(2):
        await stage.work()
    told = await stage.told()
    assert sorted(each["secret_id"] for each in told) == sorted([plain["id"], other["id"]])
    assert {each["error_code"] for each in told} == {"token_expired"}
    assert "at-1" not in str(told)
    assert (await stage.seen(plain))["error_code"] == "token_expired"
    stage.time.ahead += timedelta(days=400)
    await stage.work()
    assert len(await stage.told()) == 3, "the good one expired too"
    assert "no known expiry" not in await stage.in_error()


async def test_new_tokens_heal_it_and_are_told_of_when_they_expire(stage: Stage) -> None:
    desk = stage.desk
    secret = await desk.make({**AT, "expires_in": 60})
    stage.time.ahead += timedelta(seconds=61)
    await stage.work()
    assert len(await stage.told()) == 1
    for same in ({"name": "Other"}, {"credentials": AT}, {"state": "ready"}):
        assert (await desk.patch(secret, **same))["error_code"] == "token_expired", same
    await stage.work()
    assert len(await stage.told()) == 1, "what is known already is not told again"
    healed = await desk.patch(secret, credentials={"access_token": "at-2", "expires_in": 60})
    assert (healed["state"], "error_code" in healed) == ("ready", False)
    assert await stage.in_error() == []
    stage.time.ahead += timedelta(seconds=61)
    await stage.work()
    assert [each["secret_id"] for each in await stage.told()] == [secret["id"]] * 2
    assert (await desk.patch(secret, credentials={"expires_in": 3600}))["state"] == "ready", "it lives longer"
    longer = await desk.patch(secret, credentials={"expires_in": None})
    assert longer["state"] == "ready"
    stage.time.ahead += timedelta(days=1)
    assert (await stage.seen(secret))["state"] == "ready", "nobody knows when it expires"
    renewed = await desk.patch(secret, credentials={"refresh_token": "rt-2", "access_token": "at-3", "expires_in": 9})
    assert renewed["next_refresh_at"]


async def test_a_token_whose_time_is_moved_is_looked_at_again(stage: Stage) -> None:
    secret = await stage.desk.make({**AT, "expires_in": 60})
    found = await _secret(stage, secret["id"])
    assert found.due_at == found.expires_at
    async with stage.desk.world.store.unit(found.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).replace(replace(found, due_at=stage.time()), refresh_token_replaced=False)
    await stage.work()
    again = await _secret(stage, secret["id"])
    assert (again.due_at, await stage.told()) == (found.expires_at, [])
    assert iso(again.due_at or stage.time()) == secret["attributes"]["credentials"]["expires_at"]


async def _secret(stage: Stage, secret_id: str) -> AuthSecret:
    async with stage.desk.world.store.unit(stage.desk.tenant.id) as unit:
        found = await AuthSecrets(unit).find(secret_id)
    assert found is not None
    return found
