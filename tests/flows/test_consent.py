"""Consents against the simulator: contract section 20, 0.7, 0.11, 0.17."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack import clock
from keyrack.simulator.config import DEFAULT_CLIENT, SimulatorConfig
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.consents import Consents
from support.app import BASE, World, error_of, settings_for, world
from support.consent import add_oauth_client, approve, come_back, connect, oauth_component, query_of, start

CLIENT_ID = DEFAULT_CLIENT.client_id
SECRET = DEFAULT_CLIENT.client_secret.reveal()


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    client = {"redirect_match": "any", "client_id": CLIENT_ID, "client_secret": DEFAULT_CLIENT.client_secret}
    from keyrack.simulator.config import Client  # noqa: PLC0415 - next to its only use

    config = SimulatorConfig(clients=(Client(**client),), behaviour={"approval": "auto"}, access_log=False)  # type: ignore[arg-type]
    async with running_simulator(config) as running:
        yield running


async def component_for(keyrack: World, simulator: RunningSimulator, sim: str = "", **oauth2: Any) -> str:
    """A global component of Acme, with Globex's own client, for a simulator that behaves as `sim` says."""
    suffix = f"?sim={sim}" if sim else ""
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint + suffix, **oauth2)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, SECRET)
    return component_id


async def credential_of(keyrack: World, consent: dict[str, Any]) -> dict[str, Any]:
    credential_id = consent["relationships"]["credential"]["data"]["id"]
    answer = await keyrack.tenants["Globex"].integrator.get(f"/v2/credentials/{credential_id}")
    keys: dict[str, Any] = answer.json()["data"]["attributes"]["keys"]
    return keys


async def test_tokens_are_stored_flat_under_the_field(keyrack: World, simulator: RunningSimulator) -> None:  # 20.4
    component_id = await component_for(keyrack, simulator, "extra_members:instance_url=eu7")
    globex = keyrack.tenants["Globex"]
    consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id, name="Mine")
    assert consent["attributes"]["status"] == "completed", consent
    assert "authorization_url" not in consent["attributes"]
    oauth = (await credential_of(keyrack, consent))["oauth"]
    assert oauth["access_token"]
    assert oauth["refresh_token"]
    assert oauth["instance_url"] == "eu7"
    assert oauth["undefined_params"] == {"instance_url": "eu7"}


async def test_no_client_is_409_with_a_hint(keyrack: World, simulator: RunningSimulator) -> None:  # 0.4
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id)
    assert error_of(answer)[:2] == (409, "oauth_client_missing")
    assert "tenant admin" in answer.json()["errors"][0]["detail"]


async def test_no_refresh_token_fails_and_names_the_parameter(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator, "no_refresh_token")  # 20.4, 24.12
    globex = keyrack.tenants["Globex"]
    consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id)
    assert consent["attributes"]["status"] == "failed"
    assert "access_type" in consent["attributes"]["error"]
    listed = await globex.integrator.get(f"/v2/credentials?workspace_id={globex.workspace_id}")
    assert listed.json()["data"] == []


async def test_a_state_works_once(keyrack: World, simulator: RunningSimulator) -> None:  # 20.3, 0.17
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]["attributes"]
    callback = await approve(started["authorization_url"])
    first = await come_back(keyrack, callback)
    assert first.status_code == 200, first.text
    assert first.headers["referrer-policy"] == "no-referrer"
    assert first.headers["cache-control"] == "no-store"
    again = await come_back(keyrack, callback)
    assert again.status_code == 400
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


async def test_a_changed_client_fails_the_consent(keyrack: World, simulator: RunningSimulator) -> None:  # 0.17
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    callback = await approve(started["attributes"]["authorization_url"])
    listed = (await globex.admin.get(f"/v2/tenants/{globex.id}/oauth-clients")).json()["data"][0]
    listed["attributes"]["client_id"] = "another"
    changed = await globex.admin.patch(f"/v2/tenants/{globex.id}/oauth-clients/{listed['id']}", {"data": listed})
    assert changed.status_code == 200, changed.text
    assert (await come_back(keyrack, callback)).status_code == 400


async def test_reconnecting_keeps_a_refresh_token_that_is_not_sent_again(
    keyrack: World, simulator: RunningSimulator
) -> None:  # 20.4
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    first = await connect(keyrack, globex.integrator, globex.workspace_id, component_id)
    before = (await credential_of(keyrack, first))["oauth"]

    credential_id = first["relationships"]["credential"]["data"]["id"]
    again = await connect(keyrack, globex.integrator, globex.workspace_id, component_id, credential_id=credential_id)
    after = (await credential_of(keyrack, again))["oauth"]
    assert again["relationships"] == first["relationships"], "the same credential"
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"]


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


async def test_return_url_must_be_ours(keyrack: World, simulator: RunningSimulator) -> None:  # 0.7
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    for foreign in ("https://evil.example/", f"{BASE}.evil.example/", f"{BASE}@evil.example/", "//evil.example"):
        answer = await start(globex.integrator, globex.workspace_id, component_id, return_url=foreign)
        assert error_of(answer) == (400, "validation_error", "/data/attributes/return_url"), foreign
    started = await start(globex.integrator, globex.workspace_id, component_id, return_url=f"{BASE}/done?a=1")
    done = await come_back(keyrack, await approve(started.json()["data"]["attributes"]["authorization_url"]))
    assert done.status_code == 303
    assert done.headers["location"].startswith(f"{BASE}/done?a=1&credential_id=")


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
        found = await Consents(unit).find(started["id"])
    assert found is not None
    assert state not in repr(replace(found))
