"""The second delivery of a callback is told what the first led to; looking uses nothing up (contract 0.21)."""

import asyncio
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from keyrack import clock
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World, settings_for, world
from support.consent import approve, come_back, query_of, seen, start, stored
from support.grants import component_for, exchanges
from support.running import replica
from support.waits_and_faults import Pause, is_waiting


def browser(world_: World) -> httpx2.AsyncClient:
    transport = httpx2.ASGITransport(app=world_.app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=BASE)


async def begun(keyrack: World, component_id: str, **more: str) -> tuple[str, str]:
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id, **more)).json()["data"]
    return started["id"], await approve(started["attributes"]["authorization_url"])


async def test_the_same_browser_or_within_a_minute(tmp_path: Path, simulator: RunningSimulator) -> None:
    passed = timedelta()
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, lambda: clock.now() + passed) as keyrack:
        component_id = await component_for(keyrack, simulator)
        failing = await component_for(keyrack, simulator, "no_refresh_token", "failing")
        async with browser(keyrack) as mine, browser(keyrack) as other:
            _, callback = await begun(keyrack, component_id, return_url=f"{BASE}/done")
            _, refused = await begun(keyrack, failing, return_url=f"{BASE}/done")
            first, failed = await mine.get(callback), await mine.get(refused)
            assert (first.status_code, failed.status_code) == (303, 400)
            sent = exchanges(simulator)
            for minutes, who, again in ((0, mine, True), (0, other, True), (2, other, False), (8, mine, True)):
                passed = timedelta(minutes=minutes)
                second, also = await who.get(callback), await who.get(refused)
                if again:
                    assert second.headers["location"] == first.headers["location"], minutes
                    assert "no refresh token" in also.text
                    assert f'href="{BASE}/done"' in also.text
                else:
                    assert (second.status_code, "not valid" in second.text) == (400, True)
                    assert "no refresh token" not in also.text
                    assert "used before" in also.text
            passed = timedelta(minutes=59)
            assert (await mine.get(callback)).headers["location"] == first.headers["location"]
            assert exchanges(simulator) == sent, "nothing is exchanged again"
            assert len(await stored(keyrack, "Globex")) == 1


async def test_the_second_waits_for_the_first_at_any_replica(
    keyrack_on_each: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    component_id = await component_for(keyrack, simulator)
    consent_id, callback = await begun(keyrack, component_id, return_url=f"{BASE}/done")
    pause = Pause(monkeypatch, ConsentCompletion, "ask")
    async with replica(keyrack) as elsewhere:
        first = asyncio.create_task(keyrack.http.get(callback))
        await asyncio.wait_for(pause.reached.wait(), 30)
        second = asyncio.create_task(elsewhere.get(callback))
        assert await is_waiting(second)
        # and where it takes too long, it says so and looks again by itself
        monkeypatch.setattr(keyrack.services.callbacks.second, "patience", 0.0)
        told = await keyrack.http.get(callback)
        assert (told.status_code, told.headers["refresh"]) == (202, "3")
        assert "nothing is done twice" in told.text
        assert (await seen(keyrack, "Globex", consent_id))["status"] == "pending"
        pause.release()
        assert (await first).status_code == 303
        assert (await second).headers["location"] == (await first).headers["location"]
    assert exchanges(simulator) == 1


async def test_head_and_prefetch_use_nothing_up(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    consent_id, callback = await begun(keyrack, component_id)
    for headers in ({"sec-purpose": "prefetch;prerender"}, {"purpose": "prefetch"}, {"x-moz": "prefetch"}):
        early = await keyrack.http.get(callback, headers=headers)
        assert early.status_code == 400
        assert "Nothing was used up" in early.text
        assert early.headers["cache-control"] == "no-store"
    assert (await keyrack.http.head(callback)).content == b""
    assert (await seen(keyrack, "Globex", consent_id))["status"] == "pending"
    assert exchanges(simulator) == 0
    assert (await come_back(keyrack, callback)).status_code == 200


async def test_a_code_or_error_that_comes_second_changes_nothing(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    _, callback = await begun(keyrack, component_id)
    first = await come_back(keyrack, callback)
    state = query_of(callback)["state"]
    for query in (f"code=another&state={state}", f"error=access_denied&state={state}"):
        again = await come_back(keyrack, f"{BASE}/callback/oauth2?{query}")
        assert (again.status_code, again.text) == (200, first.text)
    assert exchanges(simulator) == 1
