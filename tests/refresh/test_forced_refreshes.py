"""Forced refreshes share what a provider answers after they arrived (contract 0.20, 15.3; issue 8.A3)."""

import asyncio
import base64
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from keyrack.errors import DatabaseUnavailable
from keyrack.model.secrets import AuthSecret
from keyrack.service.identity.authentication import Authentication
from keyrack.service.secrets.refresh.finalizer import Finalizer
from keyrack.store.schema import audit_events
from support.app import World
from support.grants import stored
from support.raw_provider import RawProvider, connect_raw, json_answer
from support.running import several_serving
from support.waits_and_faults import Pause, fail_once

BURST = 20
REFUSED = json_answer('{"error":"invalid_grant"}', "400 Bad Request")
DOWN = json_answer("{}", "503 Service Unavailable")


def rotations(first: int, last: int) -> list[bytes]:
    return [json_answer(f'{{"access_token":"at-{n}","refresh_token":"rt-{n}"}}') for n in range(first, last + 1)]


def url_of(world: World, secret: AuthSecret) -> str:
    return f"/v2/workspaces/{world.tenants['Acme'].workspace_id}/secrets/{secret.id}/refresh"


def told(answer: httpx2.Response) -> str:
    """What a caller learns: the access token, or the error's code."""
    document = answer.json()
    if answer.status_code == 200:
        return str(document["data"]["attributes"]["credentials"]["access_token"])
    return str(document["errors"][0]["code"])


async def let_in(world: World, secret: AuthSecret) -> int:
    """How many refreshes of a secret were asked for, by the audit log, which has them before they wait."""
    e = audit_events.c
    query = select(func.count()).where(e.action == "secret.refresh", e.target_id == secret.id)
    async with world.store.installation() as unit:
        count: int = (await unit.connection.execute(query)).scalar_one()
    return count


async def all_let_in(world: World, secret: AuthSecret, wanted: int) -> None:
    for _ in range(3000):
        if await let_in(world, secret) >= wanted:
            return
        await asyncio.sleep(0.02)
    pytest.fail("they did not come in a minute")


async def burst(world: World, provider: RawProvider, secret: AuthSecret) -> Counter[str]:
    """Ask 20 times at once; the provider answers when all are in. Return what they were told."""
    provider.go_on.clear()
    before, who = await let_in(world, secret), world.tenants["Acme"].admin
    asking = [asyncio.create_task(who.post(url_of(world, secret))) for _ in range(BURST)]
    await all_let_in(world, secret, before + BURST)
    provider.go_on.set()
    return Counter(told(answer) for answer in await asyncio.gather(*asking))


async def test_a_burst_makes_one_call_and_the_next_makes_another(
    keyrack_on_each: World, raw_provider: RawProvider
) -> None:
    world = keyrack_on_each
    secret = (await connect_raw(world, raw_provider, age=60)).secret
    raw_provider.answers = rotations(2, 9)
    assert await burst(world, raw_provider, secret) == {"at-2": BURST}
    assert len(raw_provider.requests) == 1
    who = world.tenants["Acme"].admin
    for number in (3, 4):
        assert told(await who.post(url_of(world, secret))) == f"at-{number}", "the last answer was before this request"
    assert await burst(world, raw_provider, secret) == {"at-5": BURST}


async def test_a_burst_shares_a_refusal_and_a_failure(keyrack_on_each: World, raw_provider: RawProvider) -> None:
    world = keyrack_on_each
    secret = (await connect_raw(world, raw_provider, age=60)).secret
    raw_provider.answers = [DOWN, REFUSED, *rotations(2, 3)]
    assert await burst(world, raw_provider, secret) == {"provider_unavailable": BURST}
    assert await burst(world, raw_provider, secret) == {"provider_error": BURST}
    assert await burst(world, raw_provider, secret) == {"at-2": BURST}
    assert len(raw_provider.requests) == 3
    after = await stored(world.store, secret)
    assert (after.failure_count, after.credentials["refresh_token"]) == (0, "rt-2")


async def test_a_request_that_came_before_the_answer_needs_no_other(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks at the secret only when it has been refreshed: that token is as new as any it could ask for."""
    world, who = keyrack_on_each, keyrack_on_each.tenants["Acme"].admin
    secret = (await connect_raw(world, raw_provider, age=60)).secret
    raw_provider.answers = rotations(2, 4)
    pause = Pause(monkeypatch, Authentication, "authenticate")
    late = asyncio.create_task(who.post(url_of(world, secret)))
    await asyncio.wait_for(pause.reached.wait(), 30)
    assert told(await who.post(url_of(world, secret))) == "at-2"
    pause.release()
    assert told(await late) == "at-2"
    assert len(raw_provider.requests) == 1


async def test_a_request_that_came_after_the_answer_makes_a_new_call(
    keyrack_on_each: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another refresh has its answer and writes it down at that moment."""
    world, who = keyrack_on_each, keyrack_on_each.tenants["Acme"].admin
    secret = (await connect_raw(world, raw_provider, age=60)).secret
    raw_provider.answers = rotations(2, 4)
    pause = Pause(monkeypatch, Finalizer, "settle")
    first = asyncio.create_task(who.post(url_of(world, secret)))
    await asyncio.wait_for(pause.reached.wait(), 30)
    second = asyncio.create_task(who.post(url_of(world, secret)))
    await all_let_in(world, secret, 2)
    pause.release()
    assert told(await second) == "at-3"
    # the first is answered with what is stored then, which the second may have replaced by that time
    assert told(await first) in ("at-2", "at-3")
    assert (await stored(world.store, secret)).credentials["refresh_token"] == "rt-3"
    assert len(raw_provider.requests) == 2


async def test_who_waits_longer_than_he_may_is_told_so_and_the_refresh_goes_on(
    keyrack: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where what is running began before he asked, so that nothing it brings is certain to be his."""
    who, refresher = keyrack.tenants["Acme"].admin, keyrack.services.refreshing.refresher
    secret = (await connect_raw(keyrack, raw_provider, age=60)).secret
    raw_provider.answers = rotations(2, 4)
    monkeypatch.setattr(keyrack.services.provider, "timeout", 120)
    raw_provider.go_on.clear()
    first = asyncio.create_task(who.post(url_of(keyrack, secret)))
    await asyncio.wait_for(raw_provider.asked.wait(), 30)
    monkeypatch.setattr(refresher, "_timing", replace(refresher._timing, wait=0.1))
    late = await asyncio.wait_for(who.post(url_of(keyrack, secret)), 30)
    assert (told(late), late.json()["errors"][0]["meta"]["reason"]) == ("provider_unavailable", "busy")
    assert not first.done()
    raw_provider.go_on.set()
    assert told(await first) == "at-2"
    assert len(raw_provider.requests) == 1


async def test_what_a_crash_had_left_does_not_satisfy_who_asks_now(
    keyrack: World, raw_provider: RawProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    who = keyrack.tenants["Acme"].admin
    secret = (await connect_raw(keyrack, raw_provider, age=60)).secret
    raw_provider.answers = rotations(2, 4)
    fail_once(monkeypatch, Finalizer, "settle", DatabaseUnavailable)
    assert (await who.post(url_of(keyrack, secret))).status_code == 503
    assert await burst(keyrack, raw_provider, secret) == {"at-3": BURST}
    assert [form["refresh_token"] for form in raw_provider.forms] == ["rt-1", "rt-2"]


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
async def test_three_processes_make_one_call(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, raw_provider: RawProvider
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else None
    patient: dict[str, Any] = {"provider_timeout": "60", "refresh_wait": "60"}
    async with several_serving(tmp_path, url, **patient) as (world, servers):
        acme = world.tenants["Acme"]
        secret = (await connect_raw(world, raw_provider, age=60)).secret
        token = base64.b64encode(f"{acme.admin.name}:{acme.admin.api_key}".encode()).decode()
        headers = {"authorization": f"Basic {token}"}
        async with httpx2.AsyncClient(limits=httpx2.Limits(max_connections=None), timeout=90, headers=headers) as http:

            async def ask(number: int) -> str:
                return told(await http.post(servers[number % len(servers)].base + url_of(world, secret)))

            for answers, expected in ((rotations(2, 9), "at-2"), ([DOWN], "provider_unavailable")):
                raw_provider.requests.clear()
                raw_provider.answers = answers
                raw_provider.go_on.clear()
                before = await let_in(world, secret)
                asking = [asyncio.create_task(ask(number)) for number in range(BURST)]
                await all_let_in(world, secret, before + BURST)
                raw_provider.go_on.set()
                assert Counter(await asyncio.gather(*asking)) == {expected: BURST}
                assert len(raw_provider.requests) == 1
            raw_provider.answers = rotations(3, 9)
            for number in (3, 4, 5):
                assert await ask(number) == f"at-{number}", "each came after the last answer"
