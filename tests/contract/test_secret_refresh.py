"""Reading and refreshing secrets over the API: contract 0.12, 0.13, 15.3, 15.4, 24.12, 24.18, 24.19."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import World, error_of
from support.grants import Connected, add_secret, change, client_credentials, connect, mint, stored

STRICT = {"rotation": "strict"}


def path_of(world: World, connected: Connected) -> str:
    return f"/v2/workspaces/{world.tenants['Acme'].workspace_id}/secrets/{connected.secret.id}"


def refreshes(simulator: RunningSimulator) -> int:
    return simulator.state.calls(endpoint="token", grant_type="refresh_token")


def attributes(answer: Any, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()["data"]["attributes"]
    return found


async def test_refresh_answers_one_object_with_the_new_token(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator, STRICT, age=0)  # 15.3, 24.18
    who, path = keyrack.tenants["Acme"].admin, path_of(keyrack, connected)
    answer = await who.post(f"{path}/refresh")
    fresh = attributes(answer)
    assert isinstance(answer.json()["data"], dict)
    assert fresh["state"] == "ready"
    assert fresh["credentials"]["access_token"] != connected.secret.credentials["access_token"]
    assert answer.json() == (await who.get(path)).json(), "the same document as GET by id"
    assert answer.headers["cache-control"] == "no-store"  # 0.18


@pytest.mark.parametrize("how", ["nothing", "empty", "braces", "no type"])
async def test_refresh_takes_no_body_an_empty_one_or_braces(
    keyrack: World, simulator: RunningSimulator, how: str
) -> None:  # 1
    connected = await connect(keyrack, simulator)
    path, who = path_of(keyrack, connected), keyrack.tenants["Acme"].admin
    ways: dict[str, dict[str, Any]] = {
        "nothing": {},
        "empty": {"content": b"", "headers": {"content-type": "application/json"}},
        "braces": {"content": b"{}", "headers": {"content-type": "application/json"}},
        "no type": {"content": b"{}"},
    }
    attributes(await who.post(f"{path}/refresh", **ways[how]))


async def test_what_cannot_be_refreshed_is_400_and_stays_as_it_is(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator)  # 15.3
    acme = keyrack.tenants["Acme"]
    plain = await add_secret(keyrack.store, acme, connected.client, {"access_token": "only"})
    before = await stored(keyrack.store, plain)
    answer = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/secrets/{plain.id}/refresh")
    assert error_of(answer) == (400, "not_refreshable", None)
    assert await stored(keyrack.store, plain) == before
    assert refreshes(simulator) == 0


async def test_refresh_needs_its_permission_and_the_right_workspace(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 15.2
    connected = await connect(keyrack, simulator)
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    path = path_of(keyrack, connected)
    assert (await acme.guest.post(f"{path}/refresh")).status_code == 403
    assert (await globex.admin.post(f"{path}/refresh")).status_code == 403
    foreign = f"/v2/workspaces/{globex.workspace_id}/secrets/{connected.secret.id}/refresh"
    assert (await globex.admin.post(foreign)).status_code == 404
    assert refreshes(simulator) == 0


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"fail": "invalid_grant"}, "provider_error"),
        ({"fail": "invalid_client"}, "provider_error"),
        ({"fail": "invalid_grant", "errors_as_200": True}, "provider_error"),
        ({"reply_format": "html"}, "provider_error"),
        ({"redirect_to": "https://elsewhere.example/token"}, "provider_error"),
        ({"status": 500}, "provider_unavailable"),
        ({"status": 429, "retry_after": 7}, "provider_unavailable"),
        ({"hang_up": "before"}, "provider_unavailable"),
        ({"hang_up": "midway"}, "provider_unavailable"),
        ({"padding": 10_000_000}, "provider_unavailable"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
async def test_a_providers_fault_is_a_400_never_ours(
    keyrack: World, simulator: RunningSimulator, fault: dict[str, Any], code: str
) -> None:  # 3, 15.3, 24.18
    connected = await connect(keyrack, simulator, fault)
    answer = await keyrack.tenants["Acme"].admin.post(f"{path_of(keyrack, connected)}/refresh")
    assert error_of(answer) == (400, code, None)
    text = answer.text
    assert connected.secret.credentials["refresh_token"] not in text
    assert "simulator-secret" not in text
    meta = answer.json()["errors"][0]["meta"]
    if "fail" in fault:
        assert meta["error"] == fault["fail"]
    if fault.get("retry_after"):
        assert meta["retry_after"] == 7
    assert refreshes(simulator) <= 2
    failed = await stored(keyrack.store, connected.secret)
    assert failed.failure is not None
    assert failed.failure_count == 1


async def test_a_provider_that_hangs_is_bounded(keyrack: World, simulator: RunningSimulator) -> None:  # 0.12
    room = keyrack.services.refreshing
    keyrack.services.provider.timeout = 0.5
    connected = await connect(keyrack, simulator, {"latency": 60_000})
    before = datetime.now(UTC)
    answer = await keyrack.tenants["Acme"].admin.post(f"{path_of(keyrack, connected)}/refresh")
    assert error_of(answer) == (400, "provider_unavailable", None)
    assert datetime.now(UTC) - before < timedelta(seconds=30)
    assert room.refresher.running == 0


async def test_a_valid_token_is_answered_at_once_without_a_call(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator, age=60)  # 0.12
    read = attributes(await keyrack.tenants["Acme"].admin.get(path_of(keyrack, connected)))
    assert read["credentials"]["access_token"] == connected.secret.credentials["access_token"]
    assert refreshes(simulator) == 0


async def test_a_token_that_is_due_is_answered_and_refreshed_behind(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 0.12
    connected = await connect(keyrack, simulator, STRICT, age=3580)
    read = attributes(await keyrack.tenants["Acme"].admin.get(path_of(keyrack, connected)))
    assert read["credentials"]["access_token"] == connected.secret.credentials["access_token"]
    await keyrack.services.refreshing.refresher.drain(60)
    assert refreshes(simulator) == 1
    assert (await stored(keyrack.store, connected.secret)).generation == connected.secret.generation + 1


async def test_an_expired_token_is_refreshed_first_once_for_all_readers(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:  # 0.12, 15.3
    connected = await connect(keyrack_on_each, simulator, STRICT | {"latency": 50})
    who, path = keyrack_on_each.tenants["Acme"].admin, path_of(keyrack_on_each, connected)
    answers = await asyncio.gather(*(who.get(path) for _ in range(40)))
    tokens = {attributes(answer)["credentials"]["access_token"] for answer in answers}
    assert len(tokens) == 1
    assert tokens != {connected.secret.credentials["access_token"]}
    assert refreshes(simulator) == 1


async def test_a_failed_refresh_answers_the_stored_secret_and_the_truth(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 0.12, 0.13
    connected = await connect(keyrack, simulator, {"status": 503})
    who, path = keyrack.tenants["Acme"].admin, path_of(keyrack, connected)
    for _ in range(3):
        read = attributes(await who.get(path))
        assert read["credentials"]["access_token"] == connected.secret.credentials["access_token"]
        assert (read["state"], read["error_code"]) == ("error", "provider_unavailable")
        assert datetime.fromisoformat(read["credentials"]["expires_at"]) < datetime.now(UTC)
    assert refreshes(simulator) == 1, "reads keep to the back-off"


async def test_min_validity_is_a_promise_or_a_409(keyrack: World, simulator: RunningSimulator) -> None:  # 0.12
    connected = await connect(keyrack, simulator, STRICT, age=3000)
    who, path = keyrack.tenants["Acme"].admin, path_of(keyrack, connected)
    attributes(await who.get(path, params={"min_validity": 300}))
    assert refreshes(simulator) == 0
    fresh = attributes(await who.get(path, params={"min_validity": 1800}))
    assert refreshes(simulator) == 1
    assert datetime.fromisoformat(fresh["credentials"]["expires_at"]) - datetime.now(UTC) > timedelta(seconds=1800)
    too_long = await who.get(path, params={"min_validity": 7200})
    assert error_of(too_long)[:2] == (409, "token_not_valid")
    assert refreshes(simulator) == 1, "another token would live no longer"
    await change(keyrack.store, connected.secret, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    simulator.state.set_defaults({"status": 503})
    refused = await who.get(path, params={"min_validity": 1})
    assert error_of(refused)[:2] == (409, "token_not_valid")
    assert refused.json()["errors"][0]["meta"]["error_code"] == "provider_unavailable"


async def test_a_dead_grant_is_error_until_it_is_connected_again_and_patch_heals_it(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 0.13, 15.2, 15.4
    connected = await connect(keyrack, simulator)
    simulator.state.book.revoke(lambda _token: True)
    who, path = keyrack.tenants["Acme"].admin, path_of(keyrack, connected)
    read = attributes(await who.get(path))
    assert (read["state"], read["error_code"]) == ("error", "reauthorization_required")
    calls = refreshes(simulator)
    attributes(await who.get(path))
    assert refreshes(simulator) == calls, "a dead grant is not tried by reading"
    assert (await who.post(f"{path}/refresh")).status_code == 400
    assert refreshes(simulator) == calls + 1, "but it is when somebody asks for it"
    data = {"type": "auth-secret", "attributes": {"credentials": mint(simulator)}}
    healed = attributes(await who.patch(path, {"data": data}))
    assert healed["state"] == "ready"
    assert "error_code" not in healed
    attributes(await who.post(f"{path}/refresh"))


async def test_a_rejected_client_is_told_and_a_changed_one_heals(keyrack: World, simulator: RunningSimulator) -> None:
    connected = await connect(keyrack, simulator, client_secret="wrong")  # 0.13
    who, path = keyrack.tenants["Acme"].admin, path_of(keyrack, connected)
    read = attributes(await who.get(path))
    assert (read["state"], read["error_code"]) == ("error", "client_rejected")
    calls = refreshes(simulator)
    attributes(await who.get(path))
    assert refreshes(simulator) == calls
    credentials = client_credentials(simulator.token_endpoint)
    data = {"type": "auth-client", "attributes": {"credentials": {"client_secret": credentials["client_secret"]}}}
    changed = await who.patch(f"/v2/auth-clients/{connected.client.id}", {"data": data})
    assert changed.status_code == 200, changed.text
    healed = attributes(await who.get(path))
    assert healed["state"] == "ready"
    assert refreshes(simulator) == calls + 1


@pytest.mark.parametrize(("setting", "lifetime"), [(None, 3600), (900, 900)])
async def test_token_expires_in_fills_in_for_a_silent_provider(
    keyrack: World, simulator: RunningSimulator, setting: int | None, lifetime: int
) -> None:  # 0.14, 24.19
    more = {} if setting is None else {"token_expires_in": setting}
    connected = await connect(keyrack, simulator, {"expires_in": "omit"}, **more)
    answer = await keyrack.tenants["Acme"].admin.post(f"{path_of(keyrack, connected)}/refresh")
    assert attributes(answer)["credentials"]["expires_in"] == lifetime


async def test_a_lifetime_is_learned_from_tokens_that_end_early(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 0.14
    connected = await connect(keyrack, simulator, {"expires_in": "omit"}, age=2400)
    await change(keyrack.store, connected.secret, stated_lifetime=None, lifetime_guessed=True)
    who, path = keyrack.tenants["Acme"].admin, path_of(keyrack, connected)
    attributes(await who.post(f"{path}/refresh"))  # a 401 at the provider made somebody ask
    again = attributes(await who.post(f"{path}/refresh"))
    assert 2400 <= again["credentials"]["expires_in"] <= 2410
