"""Bound consents: the link on our own host says who asks, and only that browser can finish (contract 0.23)."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from keyrack import clock
from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World, settings_for, world
from support.consent import add_oauth_client, approve, query_of, seen, start, stored
from support.grants import CLIENT_ID, SECRET, approve_oauth1, component_for, exchanges, oauth1_component

COOKIE = "keyrack-consent"


def browser(world_: World) -> httpx2.AsyncClient:
    """Return a browser of its own, without cookies."""
    transport = httpx2.ASGITransport(app=world_.app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url=BASE)


async def begun(keyrack: World, component_id: str, **more: Any) -> dict[str, Any]:
    globex = keyrack.tenants["Globex"]
    started = await start(globex.integrator, globex.workspace_id, component_id, bound=True, **more)
    assert started.status_code == 201, started.text
    data: dict[str, Any] = started.json()["data"]
    return data


def form_of(page: httpx2.Response) -> Mapping[str, str]:
    (token,) = re.findall(r'name="form_token" value="([0-9a-f]{64})"', page.text)
    return {"form_token": token}


async def go_on(person: httpx2.AsyncClient, link: str) -> httpx2.Response:
    return await person.post(link, data=form_of(await person.get(link)))


async def test_the_link_says_who_asks_and_binds_the_browser(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator, scopes=["files.read", "<b>all</b>"])
    consent = await begun(keyrack, component_id, return_url=f"{BASE}/done")
    link = consent["attributes"]["authorization_url"]
    assert re.fullmatch(re.escape(BASE) + r"/consent\?link=[A-Za-z0-9_-]{43}", link)
    assert (await seen(keyrack, "Globex", consent["id"]))["authorization_url"] == link
    async with browser(keyrack) as person, browser(keyrack) as other:
        page = await person.get(link)
        assert page.status_code == 200
        for word in ("integrator@globex.example", "Globex", "Globex workspace", "127.0.0.1", "files.read", "Connected"):
            assert word in page.text, word
        assert "&lt;b&gt;all&lt;/b&gt;" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
        assert "default-src 'none'" in page.headers["content-security-policy"]
        cookie = page.headers["set-cookie"]
        assert cookie.startswith(f"{COOKIE}=")
        assert "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax" in cookie
        begun_at = await person.post(link, data=form_of(page))
        assert begun_at.status_code == 303
        address = begun_at.headers["location"]
        assert urlsplit(address).netloc == urlsplit(simulator.base_url).netloc
        callback = await approve(address)

        elsewhere = await other.get(callback)
        assert elsewhere.status_code == 400
        assert "another browser" in elsewhere.text
        assert exchanges(simulator) == 0
        assert (await seen(keyrack, "Globex", consent["id"]))["status"] == "pending", "nothing is used up"

        done = await person.get(callback)
        assert (done.status_code, done.headers["location"].partition("?")[0]) == (303, f"{BASE}/done")
        assert len(await stored(keyrack, "Globex")) == 1
        assert (await person.get(callback)).headers["location"] == done.headers["location"]
        assert (await other.get(callback)).status_code == 400, "also within a minute"
        over = await person.get(link)
        assert (over.status_code, "not valid" in over.text) == (400, True)


async def test_a_provider_address_that_was_passed_on_connects_nobody(
    keyrack: World, simulator: RunningSimulator
) -> None:  # the attack: RFC 6749 section 10.12
    component_id = await component_for(keyrack, simulator)
    consent = await begun(keyrack, component_id)
    link = consent["attributes"]["authorization_url"]
    async with browser(keyrack) as attacker, browser(keyrack) as victim:
        address = (await go_on(attacker, link)).headers["location"]
        callback = await approve(address)  # the victim signs in and agrees
        assert (await victim.get(callback)).status_code == 400
        victim.cookies.set(COOKIE, "a" * 43)
        assert (await victim.get(callback)).status_code == 400
        assert exchanges(simulator) == 0
        # a form on the attacker's page, sent by the victim's browser: the cookie stays at home, or has no form token
        forged = await victim.post(link, data={"form_token": "0" * 64})
        assert (forged.status_code, "One more step" in forged.text) == (400, True)
        await victim.get(link)
        assert (await victim.post(link, data={"form_token": "0" * 64})).status_code == 400
        assert (await victim.post(link)).status_code == 400
        # who was shown the page and goes on may finish; the last one counts
        assert (await go_on(victim, link)).status_code == 303
        assert (await attacker.get(callback)).status_code == 400
        assert (await victim.get(callback)).status_code == 200
    assert len(await stored(keyrack, "Globex")) == 1


async def test_looking_uses_nothing_up(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    link = (await begun(keyrack, component_id))["attributes"]["authorization_url"]
    async with browser(keyrack) as preview, browser(keyrack) as person:
        for _ in range(3):
            assert (await preview.get(link, headers={"sec-purpose": "prefetch"})).status_code == 200
            await preview.head(link)
        assert (await person.get(await approve((await go_on(person, link)).headers["location"]))).status_code == 200
    for wrong in ("", "?link=", "?link=" + "a" * 43, "?link=%00", "?link=%ff", "?link=a&link=b"):
        page = await keyrack.http.get(f"{BASE}/consent{wrong}")
        assert page.status_code == 400, wrong
        assert page.headers["content-type"].startswith("text/html"), wrong
        assert page.headers["cache-control"] == "no-store"
    assert (await keyrack.http.put(f"{BASE}/consent")).headers["content-type"].startswith("text/html")


async def test_a_link_expires_with_its_consent_and_https_has_a_host_cookie(
    tmp_path: Path, simulator: RunningSimulator
) -> None:
    passed = timedelta()
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url="https://Keys.Example:443")
    async with world(settings, lambda: clock.now() + passed) as keyrack:
        component_id = await component_for(keyrack, simulator)
        link = (await begun(keyrack, component_id))["attributes"]["authorization_url"]
        async with browser(keyrack) as person:
            path = link.removeprefix("https://Keys.Example:443")
            page = await person.get(path)
            assert page.headers["set-cookie"].startswith(f"__Host-{COOKIE}=")
            assert page.headers["set-cookie"].endswith("; Secure")
            assert "form-action 'self' https:;" in page.headers["content-security-policy"]
            person.cookies.set(f"__Host-{COOKIE}", page.headers["set-cookie"].partition("=")[2].partition(";")[0])
            assert (await person.post(path, data=form_of(page))).status_code == 303
            passed = timedelta(seconds=601)
            assert (await person.get(path)).status_code == 400
            assert (await person.post(path, data=form_of(page))).status_code == 400


async def test_oauth1_can_be_bound_too(keyrack: World, simulator: RunningSimulator) -> None:
    globex = keyrack.tenants["Globex"]
    component = await keyrack.add_component(
        keyrack.tenants["Acme"], "birdsong", oauth1_component(simulator.base_url), access="global"
    )
    await add_oauth_client(keyrack, "Globex", component, CLIENT_ID, SECRET)
    started = await start(globex.integrator, globex.workspace_id, component, bound=True)
    link = started.json()["data"]["attributes"]["authorization_url"]
    async with browser(keyrack) as person, browser(keyrack) as other:
        callback = await approve_oauth1((await go_on(person, link)).headers["location"])
        assert (await other.get(callback)).status_code == 400
        assert (await person.get(callback)).status_code == 200


@pytest.mark.parametrize("given", ["yes", 1, None])
async def test_bound_is_true_or_false(keyrack: World, simulator: RunningSimulator, given: object) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    answer = await start(globex.integrator, globex.workspace_id, component_id, bound=given)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["source"]["pointer"] == "/data/attributes/bound"


async def test_without_bound_everything_is_as_before(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = await start(globex.integrator, globex.workspace_id, component_id, bound=False)
    address = started.json()["data"]["attributes"]["authorization_url"]
    assert address.startswith(simulator.base_url)
    assert "state" in query_of(address)
    async with browser(keyrack) as whoever:
        assert (await whoever.get(await approve(address))).status_code == 200
