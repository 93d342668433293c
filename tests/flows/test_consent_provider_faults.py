"""A provider's fault fails the consent with a readable reason, and is never our 5xx (contract 3, 20.3)."""

import socket
import time
from pathlib import Path

import pytest

from keyrack.settings import load_settings
from keyrack.simulator.testing import RunningSimulator
from support.app import World, settings_for, world
from support.consent import add_oauth_client, approve, come_back, oauth_component, seen, start, stored
from support.grants import CLIENT_ID, SECRET, component_for

FAULTS = {
    "status:500": "cannot answer now",
    "status:503,retry_after:7": "cannot answer now",
    "status:429": "cannot answer now",
    "status:403": "refused the token request",
    "hang_up:before": "closed the connection",
    "hang_up:after": "closed the connection",
    "hang_up:midway": "closed the connection",
    "reply_format:html": "without an access token",
    "padding:2000000": "too large",
    "redirect_to:http://127.0.0.1:9/token": "refused the token request",
    "fail:invalid_grant": "invalid_grant",
    "fail:invalid_grant,errors_as_200": "invalid_grant",
    "fail:temporarily_unavailable": "cannot answer now",
    "fail:invalid_grant,bare_errors": "refused the token request",
}


@pytest.mark.parametrize("sim", FAULTS)
async def test_a_fault_is_told_and_nothing_is_stored(keyrack: World, simulator: RunningSimulator, sim: str) -> None:
    component_id = await component_for(keyrack, simulator, sim)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    page = await come_back(keyrack, await approve(started["attributes"]["authorization_url"]))
    assert page.status_code == 400
    assert FAULTS[sim] in page.text
    ended = await seen(keyrack, "Globex", started["id"])
    assert ended["status"] == "failed"
    assert FAULTS[sim] in ended["error"]
    assert SECRET not in page.text + ended["error"]
    assert await stored(keyrack, "Globex") == []


async def test_the_exchange_is_bounded_in_time(tmp_path: Path, simulator: RunningSimulator) -> None:
    assert load_settings({"KEYRACK_HOME": str(tmp_path)}).provider_timeout == 10, "unless set otherwise"
    settings = settings_for(
        tmp_path, allow_insecure_providers="true", public_url="http://keyrack.test", provider_timeout="0.5"
    )
    async with world(settings) as keyrack:
        component_id = await component_for(keyrack, simulator, "latency:60000")
        globex = keyrack.tenants["Globex"]
        started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
        callback = await approve(started["attributes"]["authorization_url"])
        began = time.monotonic()
        page = await come_back(keyrack, callback)
        assert 0.4 < time.monotonic() - began < 30
        assert page.status_code == 400
        assert "did not answer in time" in page.text
        assert "did not answer in time" in (await seen(keyrack, "Globex", started["id"]))["error"]


async def test_a_provider_that_is_down_is_told(keyrack: World, simulator: RunningSimulator) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        token_endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}/token"
        descriptor = oauth_component(simulator.authorization_endpoint, token_endpoint)
        component_id = await keyrack.add_component(keyrack.tenants["Acme"], "down", descriptor, access="global")
        await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, SECRET)
        globex = keyrack.tenants["Globex"]
        started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
        page = await come_back(keyrack, await approve(started["attributes"]["authorization_url"]))
    assert page.status_code == 400
    assert "No connection to the authorization server" in page.text
    assert (await seen(keyrack, "Globex", started["id"]))["status"] == "failed"


@pytest.mark.parametrize("address", ["http://provider.example/t", "https://127.0.0.1/t", "https://[::1]/t"])
async def test_a_private_or_plain_address_is_refused_at_the_start(tmp_path: Path, address: str) -> None:  # 0.11, 19.4
    async with world(settings_for(tmp_path, public_url="https://keyrack.test")) as keyrack:
        globex = keyrack.tenants["Globex"]
        descriptor = oauth_component("https://provider.example/authorize", address)
        component_id = await keyrack.add_component(keyrack.tenants["Acme"], "guarded", descriptor, "global")
        await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, SECRET)
        answer = await start(globex.integrator, globex.workspace_id, component_id)
        assert answer.status_code == 400
        assert {error["code"] for error in answer.json()["errors"]} == {"validation_error"}
