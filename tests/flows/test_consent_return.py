"""Where the browser goes after the callback, and the page it sees (contract 0.7, 0.18, 20.2, 20.4)."""

from pathlib import Path

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World, error_of, settings_for, world
from support.consent import approve, come_back, query_of, seen, start, stored
from support.grants import SECRET, component_for

POINTER = (400, "validation_error", "/data/attributes/return_url")


@pytest.mark.parametrize(
    "foreign",
    [
        "https://evil.example/",
        f"{BASE}.evil.example/",
        f"{BASE}@evil.example/",
        "http://user@keyrack.test/",
        "http://keyrack.test:8080/",
        "https://keyrack.test/",
        "//keyrack.test/",
        "/only/a/path",
        "http:keyrack.test/",
        "javascript:alert(1)",
        "http://keyrack.test\\@evil.example/",
        "http://keyrack.test/\r\nset-cookie: a=b",
        " http://keyrack.test/",
        "http://[keyrack.test/",
        "",
    ],
)
async def test_a_return_url_elsewhere_is_refused(keyrack: World, simulator: RunningSimulator, foreign: str) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id, return_url=foreign)
    assert error_of(answer) == POINTER


@pytest.mark.parametrize(
    ("return_url", "destination"),
    [
        (f"{BASE}/done", f"{BASE}/done?credential_id="),
        (f"{BASE}/done?a=1", f"{BASE}/done?a=1&credential_id="),
        (f"{BASE}?a=1", f"{BASE}?a=1&credential_id="),
    ],
)
async def test_success_goes_to_the_return_url(
    keyrack: World, simulator: RunningSimulator, return_url: str, destination: str
) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = await start(globex.integrator, globex.workspace_id, component_id, return_url=return_url)
    done = await come_back(keyrack, await approve(started.json()["data"]["attributes"]["authorization_url"]))
    (credential,) = await stored(keyrack, "Globex")
    assert done.status_code == 303
    assert done.headers["location"] == destination + credential["id"]
    assert done.headers["referrer-policy"] == "no-referrer"
    assert done.headers["cache-control"] == "no-store"


async def test_the_fragment_stays_behind_the_query(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = await start(globex.integrator, globex.workspace_id, component_id, return_url=f"{BASE}/app#/accounts?x=1")
    done = await come_back(keyrack, await approve(started.json()["data"]["attributes"]["authorization_url"]))
    (credential,) = await stored(keyrack, "Globex")
    assert done.headers["location"] == f"{BASE}/app?credential_id={credential['id']}#/accounts?x=1"


async def test_failure_shows_the_reason_and_a_way_back(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator, "no_refresh_token")
    globex = keyrack.tenants["Globex"]
    started = await start(globex.integrator, globex.workspace_id, component_id, return_url=f"{BASE}/done?a=1")
    page = await come_back(keyrack, await approve(started.json()["data"]["attributes"]["authorization_url"]))
    assert page.status_code == 400
    assert page.headers["content-type"].startswith("text/html")
    assert "no refresh token" in page.text
    assert f'href="{BASE}/done?a=1"' in page.text


async def test_no_page_holds_anything_secret(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    failing = await component_for(keyrack, simulator, "no_refresh_token", "failing")
    globex = keyrack.tenants["Globex"]
    for component in (component_id, failing):
        started = (await start(globex.integrator, globex.workspace_id, component)).json()["data"]["attributes"]
        callback = await approve(started["authorization_url"])
        page = await come_back(keyrack, callback)
        given = query_of(callback)
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert page.headers["set-cookie"].startswith("keyrack-consent="), "so that a reload is known again (0.21)"
        everything = page.text + str(page.headers)
        assert not [value for value in (given["code"], given["state"], SECRET) if value in everything]
    (credential,) = await stored(keyrack, "Globex")
    tokens = credential["attributes"]["keys"]["oauth"]
    assert not [value for value in (tokens["access_token"], tokens["refresh_token"]) if value in everything]


async def test_without_a_public_url_the_tenants_own_host_counts(tmp_path: Path, simulator: RunningSimulator) -> None:
    async with world(settings_for(tmp_path, allow_insecure_providers="true")) as keyrack:  # 20.1, 24.30
        component_id = await component_for(keyrack, simulator)
        globex = keyrack.tenants["Globex"]
        foreign = await start(globex.integrator, globex.workspace_id, component_id, return_url="https://acme.example/")
        assert error_of(foreign) == POINTER
        own = await start(globex.integrator, globex.workspace_id, component_id, return_url="https://globex.example/x")
        data = own.json()["data"]
        asked = query_of(data["attributes"]["authorization_url"])
        assert asked["redirect_uri"] == "https://globex.example/callback/oauth2"
        page = await come_back(keyrack, f"/callback/oauth2?error=access_denied&state={asked['state']}")
        assert page.status_code == 400
        assert (await seen(keyrack, "Globex", data["id"]))["status"] == "failed"
