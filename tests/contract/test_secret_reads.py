"""Reading an auth secret over the API: the token is fresh, or the answer says why it is not (contract 0.12, 0.13)."""

from collections.abc import AsyncIterator

import pytest

from keyrack.simulator.testing import RunningSimulator, running_simulator
from support.app import World, error_of
from support.grants import Connected, connect
from support.secrets import resource


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


def path_of(connected: Connected) -> str:
    return f"/v2/workspaces/{connected.secret.workspace_id}/secrets/{connected.secret.id}"


async def test_an_expired_token_is_renewed_before_it_is_answered(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 0.12
    connected = await connect(keyrack, simulator, {"rotation": "strict"})
    found = resource(await keyrack.tenants["Acme"].integrator.get(path_of(connected)))["attributes"]
    assert found["state"] == "ready"
    assert found["credentials"]["access_token"] != connected.secret.credentials["access_token"]
    assert {"last_refreshed_at", "next_refresh_at"} <= set(found)
    assert "last_error" not in found


async def test_when_that_fails_the_stored_one_is_answered_truthfully(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 0.12, 0.13
    connected = await connect(keyrack, simulator)
    simulator.state.book.revoke(lambda _token: True)
    integrator = keyrack.tenants["Acme"].integrator
    found = resource(await integrator.get(path_of(connected)))["attributes"]
    assert found["credentials"]["access_token"] == connected.secret.credentials["access_token"]
    assert (found["state"], found["error_code"]) == ("error", "reauthorization_required")
    assert found["error"]
    assert found["last_error"]["count"] == 1
    refused = await integrator.get(f"{path_of(connected)}?min_validity=60")
    assert error_of(refused)[:2] == (409, "token_not_valid")
    assert refused.json()["errors"][0]["meta"]["error_code"] == "reauthorization_required"
    assert connected.secret.credentials["access_token"] not in refused.text


async def test_a_good_token_is_renewed_for_a_reader_who_needs_it_longer(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 0.12
    connected = await connect(keyrack, simulator, age=1800)
    integrator = keyrack.tenants["Acme"].integrator
    before = resource(await integrator.get(path_of(connected)))["attributes"]["credentials"]
    assert before["access_token"] == connected.secret.credentials["access_token"]
    after = resource(await integrator.get(f"{path_of(connected)}?min_validity=3000"))["attributes"]["credentials"]
    assert after["access_token"] != before["access_token"]
