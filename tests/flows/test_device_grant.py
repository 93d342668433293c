"""Accounts connected with a code that a person enters on any device, at the simulator (RFC 8628; decision 40)."""

import asyncio
from typing import Any

import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.oauth.device import GRANT_TYPE
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.service.consents.device_polling import DevicePolling
from keyrack.store.attempts import open_attempts
from keyrack.wiring.services import build_services
from support.app import on_postgresql_only
from support.device_desk import DeviceDesk
from support.waits_and_faults import fail_once


def polls(desk: DeviceDesk, outcome: str = "") -> int:
    wanted = {"outcome": outcome} if outcome else {}
    return desk.simulator.state.calls(grant_type=GRANT_TYPE, **wanted)


async def audited(desk: DeviceDesk, action: str) -> list[str]:
    acme = desk.world.tenants["Acme"]
    answer = await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?filter[action]={action}")
    return [each["attributes"]["outcome"] for each in answer.json()["data"]]


async def test_an_account_is_connected_once_the_person_has_agreed(device_desk_on_each: DeviceDesk) -> None:
    desk = device_desk_on_each
    started = await desk.started(scopes=["read"])
    assert started.keys() == {
        "id", "status", "expires_at", "user_code", "verification_uri", "verification_uri_complete", "interval",
    }  # fmt: skip
    asked = desk.at_simulator(started["user_code"])
    assert (asked.scope, asked.parameters) == ("read", {"scope": "read", "client_id": "simulator-client"})
    assert (started["interval"], started["status"]) == (5, "pending")
    assert await desk.after(4.9) == 0, "not before the interval is over"
    assert await desk.after(0.1) == 1
    seen = await desk.seen(started["id"])
    assert {name: seen[name] for name in started if name != "id"} == {k: v for k, v in started.items() if k != "id"}
    desk.simulator.state.devices.decide(started["user_code"], "alice")
    assert await desk.after(5) == 1
    seen = await desk.seen(started["id"])
    assert (seen["status"], "user_code" in seen) == ("completed", False)
    acme = desk.world.tenants["Acme"]
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{seen['made']['id']}"
    secret = (await acme.integrator.get(path)).json()["data"]["attributes"]
    assert secret["state"] == "ready"
    refreshed = await acme.integrator.post(f"{path}/refresh")
    assert refreshed.json()["data"]["attributes"]["state"] == "ready"
    assert await desk.after(60) == 0, "nobody is asked any more"
    assert polls(desk) == 2
    assert await audited(desk, "consent.complete") == ["allowed"]
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/events")).json()["data"]
    made = [each["attributes"]["data"] for each in events if each["attributes"]["type"] == "secret.created"]
    assert [each["secret_id"] for each in made] == [seen["made"]["id"]]


@pytest.mark.parametrize(
    ("behaviour", "why"),
    [({"deny": "access_denied"}, "access_denied"), ({"device_code_lifetime": 4}, "not entered in time")],
)
async def test_who_is_denied_or_too_late_learns_it(
    device_desk: DeviceDesk, behaviour: dict[str, Any], why: str
) -> None:
    desk = device_desk
    desk.simulator.state.set_defaults(behaviour)
    started = await desk.started()
    assert await desk.after(5) == 1
    seen = await desk.seen(started["id"])
    assert seen["status"] == "failed"
    assert why in seen["error"]
    assert await audited(desk, "consent.complete") == ["failed"]
    assert await desk.after(600) == 0
    assert polls(desk) == (1 if "deny" in behaviour else 0), "nobody is asked for what has expired"


async def test_slow_down_lasts(device_desk: DeviceDesk) -> None:
    desk = device_desk
    started = await desk.started()
    desk.at_simulator(started["user_code"]).polled_at = desk.clock().timestamp() + 3  # as if somebody else had asked
    assert await desk.after(5) == 1
    assert polls(desk, "slow_down") == 1
    assert await desk.after(9.9) == 0
    assert await desk.after(0.1) == 1
    assert await desk.after(5) == 0
    assert await desk.after(5) == 1
    assert (polls(desk, "slow_down"), polls(desk, "authorization_pending")) == (1, 2)


async def test_a_server_that_does_not_answer_is_asked_less_often(device_desk: DeviceDesk) -> None:
    desk = device_desk
    desk.simulator.state.set_defaults({"hang_up": "before"})
    started = await desk.started()
    waits: list[int] = []
    waited = 0
    while len(waits) < 4:
        waited += 5
        if await desk.after(5):
            waits.append(waited)
            waited = 0
    assert waits == [5, 10, 20, 40]
    desk.simulator.state.set_defaults({"status": 503, "retry_after": 100})
    assert await desk.after(80) == 1
    assert await desk.after(99) == 0
    desk.simulator.state.set_defaults({})
    assert await desk.after(21) == 1
    desk.simulator.state.devices.decide(started["user_code"], "alice")
    assert await desk.after(5) == 1, "once it answers, the interval counts again"
    assert (await desk.seen(started["id"]))["status"] == "completed"


async def test_tokens_survive_a_crash_before_they_are_stored(
    device_desk: DeviceDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer is in the journal, whichever step its worker came to; the code cannot be used a second time."""
    desk = device_desk
    for owner, method in ((DevicePolling, "_read"), (ConsentCompletion, "complete")):
        started = await desk.started()
        desk.simulator.state.devices.decide(started["user_code"], "alice")
        fail_once(monkeypatch, owner, method, DatabaseUnavailable)
        assert await desk.after(5) == 1
        assert (await desk.seen(started["id"]))["status"] == "pending"
        assert await desk.world.services.refreshing.recovery.tick() == 1
        assert (await desk.seen(started["id"]))["status"] == "completed", method
        assert await desk.after(600) in {0, 1}
    assert polls(desk) == 2


async def test_a_poll_that_was_interrupted_is_made_again(
    device_desk: DeviceDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = device_desk
    started = await desk.started()
    journal = desk.world.services.refreshing.journal
    fail_once(monkeypatch, type(journal), "_keep", asyncio.CancelledError)  # the process dies before the answer is kept
    await desk.after(5)
    assert await desk.world.services.refreshing.recovery.tick() == 1
    desk.simulator.state.devices.decide(started["user_code"], "alice")
    assert await desk.after(5) == 1
    assert (await desk.seen(started["id"]))["status"] == "completed"
    async with desk.world.store.installation() as unit:
        assert await open_attempts(unit) == []


async def test_a_lost_answer_with_tokens_is_told_as_what_it_is(device_desk: DeviceDesk) -> None:
    desk = device_desk
    started = await desk.started()
    desk.simulator.state.devices.decide(started["user_code"], "alice")
    desk.simulator.state.set_defaults({"hang_up": "after"})
    assert await desk.after(5) == 1
    desk.simulator.state.set_defaults({})
    assert await desk.after(10) == 1
    seen = await desk.seen(started["id"])
    assert seen["status"] == "failed"
    assert "lost on the way" in seen["error"]


@on_postgresql_only
async def test_of_two_replicas_one_asks_in_an_interval(device_desk_on_each: DeviceDesk) -> None:
    desk = device_desk_on_each
    other = build_services(desk.world.store, desk.world.settings, desk.clock)
    try:
        started = [await desk.started() for _ in range(3)]
        for round_ in range(1, 4):
            desk.clock.go_on(5)
            made = await asyncio.gather(desk.world.services.device_polling.tick(), other.device_polling.tick())
            assert sum(made) == 3
            assert polls(desk, "authorization_pending") == 3 * round_
        assert polls(desk) == 9
        assert all(desk.at_simulator(each["user_code"]).slowed == 0 for each in started)
    finally:
        await other.refreshing.close()
        await other.close()


async def test_who_has_left_meanwhile_connects_nothing(device_desk: DeviceDesk) -> None:
    desk = device_desk
    acme = desk.world.tenants["Acme"]
    started = await desk.started()
    desk.simulator.state.devices.decide(started["user_code"], "alice")
    left = await acme.admin.delete(f"/v2/workspaces/{acme.workspace_id}/members/{acme.integrator.id}")
    assert left.status_code == 204, left.text
    assert await desk.after(5) == 1
    assert polls(desk) == 0, "the tokens are not even fetched"
    assert await audited(desk, "consent.complete") == ["failed"]


async def test_one_tenant_s_many_codes_do_not_starve_another_s(device_desk: DeviceDesk) -> None:
    """The workers' places are shares (decision 20)."""
    desk = device_desk
    polling = desk.world.services.device_polling
    for _ in range(26):
        await desk.started()
    desk.clock.go_on(5)
    async with desk.world.store.installation(writes=True) as unit:
        claimed = await polling._claim(unit, polling._jobs._places.copy())
    assert len(claimed) == 24, "three quarters of the places"
