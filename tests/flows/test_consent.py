"""Consents against the simulator: contract section 20, 0.7, 0.11, 0.17."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest
from msgspec.structs import replace as replace_struct

from keyrack import clock
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.consents import ConsentRows
from support.app import BASE, World, error_of, settings_for, world
from support.consent import add_oauth_client, approve, come_back, connect, oauth_component, query_of, start
from support.grants import CLIENT_ID, SECRET, component_for, exchanges


async def test_no_client_is_409_with_a_hint(keyrack: World, simulator: RunningSimulator) -> None:  # 0.4
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id)
    assert error_of(answer)[:2] == (409, "oauth_client_missing")
    assert "tenant admin" in answer.json()["errors"][0]["detail"]


async def test_a_state_works_once(keyrack: World, simulator: RunningSimulator) -> None:  # 20.3, 0.17, 0.21
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]["attributes"]
    callback = await approve(started["authorization_url"])
    first = await come_back(keyrack, callback)
    assert first.status_code == 200, first.text
    assert first.headers["referrer-policy"] == "no-referrer"
    assert first.headers["cache-control"] == "no-store"
    again = await come_back(keyrack, callback)
    assert (again.status_code, again.text) == (200, first.text), "it is told what the first one led to"
    assert exchanges(simulator) == 1
    listed = await globex.integrator.get(f"/v2/credentials?workspace_id={globex.workspace_id}")
    assert len(listed.json()["data"]) == 1
    assert (await come_back(keyrack, f"{BASE}/callback/oauth2?code=x&state=never-ours")).status_code == 400
    assert (await come_back(keyrack, f"{BASE}/callback/oauth2")).status_code == 400


async def test_an_expired_state_is_refused(tmp_path: Path, simulator: RunningSimulator) -> None:  # 20.2: ten minutes
    passed = timedelta()
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, lambda: clock.now() + passed) as keyrack:
        component_id = await component_for(keyrack, simulator)
        globex = keyrack.tenants["Globex"]
        started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
        callback = await approve(started["attributes"]["authorization_url"])
        passed = timedelta(seconds=601)
        assert (await come_back(keyrack, callback)).status_code == 400
        seen = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/oauth-consents/{started['id']}")
        assert seen.json()["data"]["attributes"]["status"] == "failed"


async def test_denial_is_shown_to_the_user(keyrack: World, simulator: RunningSimulator) -> None:  # 20.3
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    state = query_of(started["attributes"]["authorization_url"])["state"]
    page = await come_back(
        keyrack, f"{BASE}/callback/oauth2?error=access_denied&error_description=No%3Cscript%3E&state={state}"
    )
    assert page.status_code == 400
    assert "access_denied" in page.text
    assert "<script>" not in page.text
    path = f"/v2/workspaces/{globex.workspace_id}/oauth-consents/{started['id']}"
    seen = await globex.integrator.get(path)
    assert seen.json()["data"]["attributes"]["status"] == "failed"
    assert (await globex.admin.get(path)).status_code == 404, "only the one who started it"


async def test_wrong_secret_fails_the_consent(keyrack: World, simulator: RunningSimulator) -> None:
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, "not-the-secret")
    globex = keyrack.tenants["Globex"]
    consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id)
    assert consent["attributes"]["status"] == "failed"
    assert "invalid_client" in consent["attributes"]["error"]
    assert "not-the-secret" not in consent["attributes"]["error"]


@pytest.mark.parametrize("hostile", ["evil.example/", "user@evil.example", "a。b", "evil.example#", "{{x}}", "a b", ""])
async def test_hostile_template_values_are_refused(keyrack: World, hostile: str) -> None:  # 19.4
    descriptor = oauth_component("https://{{prodEnv}}.example.com/auth", "https://{{prodEnv}}.example.com/token")
    descriptor["credentials"]["fields"]["prodEnv"] = {"viewClass": "TextFieldView"}
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "templated", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, SECRET)
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id, fields={"prodEnv": hostile})
    assert answer.status_code == 400, answer.text
    assert {error["code"] for error in answer.json()["errors"]} == {"validation_error"}
    fine = await start(globex.integrator, globex.workspace_id, component_id, fields={"prodEnv": "login"})
    assert fine.json()["data"]["attributes"]["authorization_url"].startswith("https://login.example.com/auth?")


async def test_a_guest_cannot_connect_and_a_foreigner_neither(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    globex, acme = keyrack.tenants["Globex"], keyrack.tenants["Acme"]
    for who in (globex.guest, globex.stranger, acme.admin):
        assert (await start(who, globex.workspace_id, component_id)).status_code == 403
    assert (await start(globex.integrator, "0" * 24, component_id)).status_code == 404


async def test_the_state_is_not_stored_in_clear(keyrack: World, simulator: RunningSimulator) -> None:  # 20.2
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    state = query_of(started["attributes"]["authorization_url"])["state"]
    files = [*keyrack.settings.home.glob("keyrack.sqlite3*")]
    assert files
    assert all(state.encode() not in file.read_bytes() for file in files)
    async with keyrack.store.unit(globex.id) as unit:
        found = await ConsentRows(unit).find(started["id"])
    assert found is not None
    assert state not in repr(replace(found))


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
@pytest.mark.parametrize("client_auth", ["basic", None])
async def test_the_client_authenticates_as_the_descriptor_says(
    keyrack: World,
    simulator: RunningSimulator,
    method: Literal["client_secret_basic", "client_secret_post"],
    client_auth: str | None,
) -> None:  # 20.3; this server, unlike oidc-provider, takes only the registered way
    registered = replace_struct(simulator.state.client(CLIENT_ID), token_endpoint_auth_method=method)
    simulator.state.put_client(registered)
    oauth2 = {} if client_auth is None else {"client_auth": client_auth}
    component_id = await component_for(keyrack, simulator, **oauth2)
    globex = keyrack.tenants["Globex"]
    consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id)
    fits = (client_auth == "basic") == (method == "client_secret_basic")
    assert consent["attributes"]["status"] == ("completed" if fits else "failed")
    assert fits or "invalid_client" in consent["attributes"]["error"]
