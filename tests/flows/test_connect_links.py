"""Connect links over HTTP: a person without an account connects one, once, in one browser (decision 26)."""

import asyncio
import json
import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from keyrack import clock
from keyrack.errors import DatabaseUnavailable
from keyrack.service.consents.connect_page import ConnectPage
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.connect_links import ConnectLinkRows
from keyrack.store.credentials import CredentialRows
from support.app import BASE, World, relationship, settings_for, world
from support.connect_links import (
    callback_of,
    connected,
    events_of,
    form_of,
    go_on,
    link_for,
    make_link,
    oauth2_client_of,
    outcome,
    someone,
    status_of,
)
from support.consent import approve, query_of, stored
from support.grants import approve_oauth1, component_for, exchanges, oauth1_component_for
from support.waits_and_faults import fail_once

ENDED = ("connect_link.connected", "connect_link.failed")
ORIGIN = "https://app.customer.example"
HOSTILE = "<script>alert(1)</script>\u202e" + "x" * 10_000


async def test_a_person_without_an_account_connects_one(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator, scopes=["files.read", "<b>all</b>"])
    link = await link_for(keyrack, component_id, name="Ida's files", return_url=f"{BASE}/done?from=shop#x")
    url = link["attributes"]["url"]
    assert re.fullmatch(re.escape(BASE) + r"/connect\?link=[A-Za-z0-9_-]{43}", url)
    assert link["attributes"]["status"] == "pending"
    assert "url" not in (await outcome(keyrack, link["id"]))["attributes"], "it is shown once"
    async with someone(keyrack) as person:
        page = await person.get(url)
        for word in ("integrator@globex.example", "Globex", "Globex workspace", "127.0.0.1", "files.read", "Connected"):
            assert word in page.text, word
        assert "&lt;b&gt;all&lt;/b&gt;" in page.text
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax" in page.headers["set-cookie"]
        assert await status_of(keyrack, link["id"]) == "pending"
        begun = await person.post(url, data=form_of(page))
        assert begun.status_code == 303
        assert urlsplit(begun.headers["location"]).netloc == urlsplit(simulator.base_url).netloc
        assert await status_of(keyrack, link["id"]) == "opened"
        done = await person.get(await approve(begun.headers["location"]))
    (credential,) = await stored(keyrack, "Globex")
    assert done.status_code == 303
    address = done.headers["location"]
    assert address.startswith(f"{BASE}/done?")
    assert address.endswith("#x")
    said = {"from": "shop", "connect_link_id": link["id"], "credential_id": credential["id"]}
    assert query_of(address) == said
    assert credential["attributes"]["name"] == "Ida's files"
    ended = await outcome(keyrack, link["id"])
    assert ended["attributes"]["status"] == "connected"
    assert ended["relationships"]["credential"]["data"] == {"id": credential["id"], "type": "credential"}
    facts = {"connect_link_id": link["id"], "status": "connected", "credential_id": credential["id"]}
    place = {"workspace_id": keyrack.tenants["Globex"].workspace_id}
    assert await events_of(keyrack, *ENDED) == [{"type": "connect_link.connected", **facts, **place}]


async def test_an_auth_client_makes_a_secret_of_the_maker(keyrack: World, simulator: RunningSimulator) -> None:
    globex = keyrack.tenants["Globex"]
    related = {"auth_client": relationship("auth-client", await oauth2_client_of(keyrack, simulator))}
    made = await make_link(globex.integrator, globex.workspace_id, related, name="Calendar", scopes=["events"])
    assert made.status_code == 201, made.text
    link = made.json()["data"]
    async with someone(keyrack) as person:
        done = await connected(person, link["attributes"]["url"])
    assert (done.status_code, "The account is connected" in done.text) == (200, True)
    secret = (await outcome(keyrack, link["id"]))["relationships"]["auth_secret"]["data"]
    shown = await globex.integrator.get(f"/v2/workspaces/{globex.workspace_id}/secrets/{secret['id']}")
    document = shown.json()["data"]
    assert document["attributes"]["name"] == "Calendar"
    assert document["relationships"]["user"]["data"]["id"] == globex.integrator.id
    (event,) = await events_of(keyrack, *ENDED)
    assert event["secret_id"] == secret["id"]


async def test_a_credential_is_connected_again_and_keeps_its_id(keyrack: World, simulator: RunningSimulator) -> None:
    component_id, globex = await component_for(keyrack, simulator), keyrack.tenants["Globex"]
    async with someone(keyrack) as person:
        await connected(person, (await link_for(keyrack, component_id))["attributes"]["url"])
        (first,) = await stored(keyrack, "Globex")
        related = {
            "component": relationship("component", component_id),
            "credential": relationship("credential", first["id"]),
        }
        again = (await make_link(globex.integrator, globex.workspace_id, related)).json()["data"]
        await connected(person, again["attributes"]["url"])
    (after,) = await stored(keyrack, "Globex")
    assert after["id"] == first["id"]
    assert after["attributes"]["keys"] != first["attributes"]["keys"]
    assert (await outcome(keyrack, again["id"]))["relationships"]["credential"]["data"]["id"] == first["id"]


async def test_oauth1_works_too(keyrack: World, simulator: RunningSimulator) -> None:
    link = await link_for(keyrack, await oauth1_component_for(keyrack, simulator))
    async with someone(keyrack) as person:
        begun = await go_on(person, link["attributes"]["url"])
        done = await person.get(await approve_oauth1(begun.headers["location"]))
    assert done.status_code == 200
    assert await status_of(keyrack, link["id"]) == "connected"


@pytest.mark.parametrize(
    ("told", "status"), [("access_denied", "denied"), ("server_error", "failed")], ids=["denied", "failed"]
)
async def test_a_refusal_ends_the_link(keyrack: World, simulator: RunningSimulator, told: str, status: str) -> None:
    simulator.state.set_defaults({"approval": "auto", "deny": told})
    link = await link_for(
        keyrack, await component_for(keyrack, simulator), return_url=f"{BASE}/done", opener_origin=ORIGIN
    )
    async with someone(keyrack) as person:
        callback = await callback_of(person, link["attributes"]["url"])
        shown, again = await person.get(callback), await person.get(callback)
        over = await person.get(link["attributes"]["url"])
    for page in (shown, again):
        assert page.status_code == 400
        assert told in page.text
        assert f'href="{BASE}/done?connect_link_id={link["id"]}"' in page.text
        assert report_of(page.text) == (ORIGIN, {"status": status, "connect_link_id": link["id"]})
    assert "This link is not valid" in over.text
    ended = await outcome(keyrack, link["id"])
    assert ended["attributes"]["status"] == status
    assert told in ended["attributes"]["error"]
    assert "relationships" not in ended
    (event,) = await events_of(keyrack, *ENDED)
    assert (event["type"], event["status"]) == ("connect_link.failed", status)
    assert await stored(keyrack, "Globex") == []


def report_of(text: str) -> tuple[str, object]:
    """Return what a page tells the one that opened it: the origin, and the facts."""
    ((origin, facts),) = re.findall(r'data-origin="([^"]*)" data-facts="([^"]*)"', text)
    return origin, json.loads(facts.replace("&#34;", '"'))


async def test_the_page_that_opened_it_is_told_by_its_origin_alone(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    link = await link_for(keyrack, component_id, opener_origin=f"{ORIGIN}:443/", return_url=f"{BASE}/done")
    plain = await link_for(keyrack, component_id)
    async with someone(keyrack) as person:
        callback = await callback_of(person, link["attributes"]["url"])
        done, again = await person.get(callback), await person.get(callback)
        without = await connected(person, plain["attributes"]["url"])
    (made,) = [each for each in await stored(keyrack, "Globex") if each["id"] in done.text]
    told = {"status": "connected", "connect_link_id": link["id"], "credential_id": made["id"]}
    for page in (done, again):
        assert page.status_code == 200
        assert report_of(page.text) == (ORIGIN, told)
        assert "connect_link_id=" in page.text, "a way on for who was opened by nobody"
        assert "unsafe" not in page.headers["content-security-policy"]
        tokens = [str(value) for value in made["attributes"]["keys"]["oauth"].values() if len(str(value)) > 8]
        assert not [token for token in tokens if token in page.text]
    assert 'id="report"' not in without.text


async def test_a_link_is_used_once(keyrack: World, simulator: RunningSimulator) -> None:
    link = await link_for(keyrack, await component_for(keyrack, simulator))
    url = link["attributes"]["url"]
    async with someone(keyrack) as person, someone(keyrack) as other:
        page = await person.get(url)
        callback = await callback_of(person, url)
        assert (await person.get(callback)).status_code == 200
        assert (await person.get(callback)).status_code == 200, "a reload is told the same"
        for who in (person, other):
            assert "This link is not valid" in (await who.get(url)).text
            assert (await who.post(url, data=form_of(page))).status_code == 400
    assert len(await stored(keyrack, "Globex")) == 1
    assert len(await events_of(keyrack, *ENDED)) == 1


async def test_another_browser_gets_nowhere(keyrack: World, simulator: RunningSimulator) -> None:
    link = await link_for(keyrack, await component_for(keyrack, simulator))
    url = link["attributes"]["url"]
    async with someone(keyrack) as person, someone(keyrack) as thief:
        seen = await thief.get(url)
        assert seen.status_code == 200, "before anybody went on, whoever has the link may"
        callback = await callback_of(person, url)
        for answer in (await thief.get(url), await thief.post(url, data=form_of(seen))):
            assert answer.status_code == 400
            assert "opened in another browser" in answer.text
        assert "another browser" in (await thief.get(callback)).text
        assert exchanges(simulator) == 0
        assert (await person.get(callback)).status_code == 200
    assert await status_of(keyrack, link["id"]) == "connected"


async def test_a_form_that_is_not_ours_does_nothing(keyrack: World, simulator: RunningSimulator) -> None:
    link = await link_for(keyrack, await component_for(keyrack, simulator))
    url = link["attributes"]["url"]
    async with someone(keyrack) as person:
        assert "One more step" in (await person.post(url, data={"form_token": "0" * 64})).text
        await person.get(url)
        for form in ({"form_token": "0" * 64}, {}, {f"f{n}": "x" for n in range(50)}):
            assert "One more step" in (await person.post(url, data=form)).text
    assert await status_of(keyrack, link["id"]) == "pending"


async def test_two_tabs_make_one_connection(keyrack: World, simulator: RunningSimulator) -> None:
    link = await link_for(keyrack, await component_for(keyrack, simulator))
    url = link["attributes"]["url"]
    async with someone(keyrack) as person:
        form = form_of(await person.get(url))
        tabs = await asyncio.gather(*(person.post(url, data=form) for _ in range(4)))
        places = {tab.headers["location"] for tab in tabs if tab.status_code == 303}
        assert len(places) == 1, [tab.text for tab in tabs]
        callbacks = [await approve(place) for place in [*places, *places]]
        ends = [await person.get(callback) for callback in callbacks]
    assert [each.status_code for each in ends] == [200, 200], "the second is told what the first has made"
    assert len(await stored(keyrack, "Globex")) == 1
    assert len(await events_of(keyrack, *ENDED)) == 1


async def test_who_comes_back_too_late_may_go_again_as_long_as_the_link_is_good(
    tmp_path: Path, simulator: RunningSimulator
) -> None:
    passed = timedelta()
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, lambda: clock.now() + passed) as keyrack, someone(keyrack) as person:
        link = await link_for(keyrack, await component_for(keyrack, simulator))
        late = await callback_of(person, link["attributes"]["url"])
        passed = timedelta(seconds=700)
        assert "That took too long" in (await person.get(late)).text
        assert await status_of(keyrack, link["id"]) == "opened"
        done = await connected(person, link["attributes"]["url"])
        assert done.status_code == 200
        assert (await person.get(late)).status_code == 400
        assert await status_of(keyrack, link["id"]) == "connected"


async def test_a_link_expires_and_is_forgotten(tmp_path: Path, simulator: RunningSimulator) -> None:
    passed = timedelta()
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, lambda: clock.now() + passed) as keyrack, someone(keyrack) as person:
        component_id = await component_for(keyrack, simulator)
        unused, begun = [await link_for(keyrack, component_id, expires_in=300) for _ in range(2)]
        form = form_of(await person.get(unused["attributes"]["url"]))
        passed = timedelta(seconds=299)
        callback = await callback_of(person, begun["attributes"]["url"])
        passed = timedelta(seconds=301)
        assert (await person.get(unused["attributes"]["url"])).status_code == 400
        assert (await person.post(unused["attributes"]["url"], data=form)).status_code == 400
        assert await status_of(keyrack, unused["id"]) == "expired"
        assert await status_of(keyrack, begun["id"]) == "opened", "its consent can still be finished"
        assert (await person.get(callback)).status_code == 200
        assert await status_of(keyrack, begun["id"]) == "connected"
        assert [each["connect_link_id"] for each in await events_of(keyrack, *ENDED)] == [begun["id"]]
        globex = keyrack.tenants["Globex"]
        for days, left in ((29, 2), (31, 0)):
            passed = timedelta(days=days)
            await keyrack.services.retention.reap()
            async with keyrack.store.unit(globex.id) as unit:
                rows = (await unit.connection.execute(ConnectLinkRows(unit).select())).all()
            assert len(rows) == left, days


async def test_a_slow_tab_cannot_connect_after_another(tmp_path: Path, simulator: RunningSimulator) -> None:
    """Two consents of one link can only be pending with a clock that was set back; one counts even so."""
    passed = timedelta(seconds=700)
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, lambda: clock.now() + passed) as keyrack, someone(keyrack) as person:
        link = await link_for(keyrack, await component_for(keyrack, simulator))
        passed = timedelta()
        old = await callback_of(person, link["attributes"]["url"])
        passed = timedelta(seconds=650)
        new = await callback_of(person, link["attributes"]["url"])
        passed = timedelta()
        assert "another tab" in (await person.get(old)).text
        assert exchanges(simulator) == 0, "its code was not used"
        assert (await person.get(new)).status_code == 200
    assert exchanges(simulator) == 1


@pytest.mark.parametrize("end", ["member removed", "user deleted", "contract suspended", "client deleted", "no role"])
async def test_what_the_maker_may_is_judged_when_the_link_is_used(
    keyrack: World, simulator: RunningSimulator, end: str
) -> None:
    component_id, globex = await component_for(keyrack, simulator), keyrack.tenants["Globex"]
    fresh, begun = await link_for(keyrack, component_id), await link_for(keyrack, component_id)
    async with someone(keyrack) as person:
        form = form_of(await person.get(fresh["attributes"]["url"]))
        callback = await callback_of(person, begun["attributes"]["url"])
        member = f"/v2/workspaces/{globex.workspace_id}/members/{globex.integrator.id}"
        if end == "member removed":
            answer = await globex.admin.delete(member)
        elif end == "user deleted":
            answer = await globex.admin.delete(f"/v2/users/{globex.integrator.id}")
        elif end == "contract suspended":
            answer = await globex.admin.post(f"/v2/contracts/{globex.contract_id}/suspend")
        elif end == "client deleted":
            clients = f"/v2/tenants/{globex.id}/oauth-clients"
            (client,) = (await globex.admin.get(clients)).json()["data"]
            answer = await globex.admin.delete(f"{clients}/{client['id']}")
        else:
            body = {"type": "member", "id": globex.integrator.id, "attributes": {"roles": ["guest"]}}
            answer = await globex.admin.patch(member, {"data": body})
        assert answer.status_code in {200, 202, 204}, answer.text
        looked = await person.get(fresh["attributes"]["url"])
        pressed = await person.post(fresh["attributes"]["url"], data=form)
        back = await person.get(callback)
    for answer in (looked, pressed):
        assert answer.status_code == 400
        assert ("not valid" if end == "user deleted" else "cannot be used any more") in answer.text
        assert "globex" not in answer.text.lower(), "nobody is told whose it was"
    assert back.status_code == 400
    assert exchanges(simulator) == 0
    async with keyrack.store.unit(globex.id) as unit:
        assert not (await unit.connection.execute(CredentialRows(unit).select())).all()


async def test_names_are_only_text(keyrack: World, simulator: RunningSimulator) -> None:
    globex = keyrack.tenants["Globex"]
    body = {"data": {"attributes": {"name": HOSTILE[:200]}}}
    assert (await keyrack.support.patch(f"/v2/tenants/{globex.id}", body)).status_code == 200
    component_id = await component_for(keyrack, simulator, scopes=[HOSTILE])
    link = await link_for(keyrack, component_id, name=HOSTILE[:200])
    async with someone(keyrack) as person:
        page = await person.get(link["attributes"]["url"])
    assert "<script>" not in page.text
    assert "\u202e" not in page.text
    assert "x" * 300 not in page.text


async def test_every_answer_is_a_page_that_nothing_keeps(
    keyrack: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = (await link_for(keyrack, await component_for(keyrack, simulator)))["attributes"]["url"]
    http = keyrack.http
    fail_once(monkeypatch, ConnectPage, "introduce", DatabaseUnavailable)
    answers = {
        "outage": (await http.get(url), 503),
        "look": (await http.get(url, headers={"sec-purpose": "prefetch"}), 200),
        "head": (await http.head(url), 200),
        "no link": (await http.get("/connect"), 400),
        "wrong": (await http.get("/connect?link=x"), 400),
        "NUL": (await http.get("/connect?link=%00"), 400),
        "half a surrogate": (await http.get("/connect?link=%ed%a0%80"), 400),
        "nowhere": (await http.get("/connect/x"), 404),
        "method": (await http.put(url), 405),
        "too much": (await http.post(url, content=b"x" * (1 << 20) + b"x"), 413),
    }
    for what, (answer, status) in answers.items():
        assert answer.status_code == status, (what, answer.text)
        assert answer.headers["content-type"].startswith("text/html"), what
        assert answer.headers["cache-control"] == "no-store", what
        assert answer.headers["referrer-policy"] == "no-referrer", what
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, what
        assert "frame-ancestors 'none'" in policy, what
        assert "unsafe" not in policy, what


async def test_no_log_and_no_row_has_a_link(
    keyrack: World, simulator: RunningSimulator, capsys: pytest.CaptureFixture[str]
) -> None:
    url = (await link_for(keyrack, await component_for(keyrack, simulator)))["attributes"]["url"]
    async with someone(keyrack) as person:
        await connected(person, url)
        await person.get(url)
    captured = capsys.readouterr()
    token = url.partition("link=")[2]
    assert "/connect" in captured.out + captured.err
    assert token not in captured.out + captured.err
    assert token.encode() not in keyrack.settings.sqlite_path.read_bytes()


async def test_guessing_is_slowed_down_and_a_good_link_is_not(tmp_path: Path, simulator: RunningSimulator) -> None:
    settings = settings_for(tmp_path, allow_insecure_providers="true", public_url=BASE, wrong_keys_limit="3")
    async with world(settings) as keyrack, someone(keyrack) as person:
        url = (await link_for(keyrack, await component_for(keyrack, simulator)))["attributes"]["url"]
        answers = [await keyrack.http.get(f"/connect?link={n}") for n in range(5)]
        assert [each.status_code for each in answers] == [400, 400, 400, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert "<h1>Too many requests</h1>" in answers[-1].text
        assert (await connected(person, url)).status_code == 200


async def test_who_used_it_is_in_the_audit_log(keyrack: World, simulator: RunningSimulator) -> None:
    globex = keyrack.tenants["Globex"]
    link = await link_for(keyrack, await component_for(keyrack, simulator))
    async with someone(keyrack) as person:
        await connected(person, link["attributes"]["url"])
    listed = (await globex.admin.get(f"/v2/tenants/{globex.id}/audit-events")).json()["data"]
    actions = [each["attributes"]["action"] for each in listed]
    for action in ("connect-link.create", "consent.start", "consent.complete"):
        assert action in actions, action


async def test_a_provider_that_does_not_answer_leaves_the_link_good(
    keyrack: World, simulator: RunningSimulator
) -> None:
    component_id = await oauth1_component_for(keyrack, simulator, request_sim="status:500")
    link = await link_for(keyrack, component_id)
    async with someone(keyrack) as person:
        begun = await go_on(person, link["attributes"]["url"])
        assert begun.status_code == 400
        assert "Not possible right now" in begun.text
        assert (await person.get(link["attributes"]["url"])).status_code == 200
    assert await status_of(keyrack, link["id"]) == "opened"
