"""The operator's pages: numbers that lead to their rows, across tenants, for service accounts alone (decision 34)."""

import html
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from keyrack.model.operations import CircuitState, ProcessState, RefreshResult, RunningProcess
from keyrack.model.secrets import ErrorCode, Failure, SecretState
from keyrack.service.secrets.refresh.refresh_counter import RefreshCounter
from keyrack.store.core.process_id import node_id
from keyrack.store.leases import Leases
from keyrack.store.processes import Processes
from keyrack.store.schema import auth_secrets
from support.app import World, settings_for, world
from support.console import ConsoleBrowser, signed_in
from support.grants import add_auth_client, add_secret, change
from support.operator_console import ALL, operator_browser

BASE = "/console/installation"
PAGES = ("", "/grants", "/providers", "/queue", "/processes", "/keys", "/tenants", "/audit", "/reports")
NEEDS = {
    "": set(),
    "/grants": {"workspaces.auth_secret.get"},
    "/providers": set(),
    "/queue": set(),
    "/processes": set(),
    "/keys": set(),
    "/tenants": {"tenants.tenant.get"},
    "/audit": {"tenants.audit.get"},
    "/reports": {"tenants.audit.get"},
}
"""What each needs beside `global.metrics.get`."""
SAD = "<script>alert(1)</script>\u202emoc"
GOOD_ORIGIN, BAD_ORIGIN = "https://good.example", "https://bad.example:8443"
TOKENS = {"access_token": "at-very-secret", "refresh_token": "rt-very-secret"}


@dataclass
class Installation:
    """An installation with grants in several states, a circuit that is open, and what was counted."""

    world: World
    ended: str
    failing: str
    ready: str


@pytest.fixture(scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    home = tmp_path_factory.mktemp("operator")
    async with world(settings_for(home, allow_insecure_providers="true", public_url="http://keyrack.test")) as made:
        yield await filled(made)


async def filled(made: World) -> Installation:
    acme, globex, now = made.tenants["Acme"], made.tenants["Globex"], datetime.now(UTC)
    good = await add_auth_client(made.store, acme.id, f"{GOOD_ORIGIN}/token")
    bad = await add_auth_client(made.store, globex.id, f"{BAD_ORIGIN}/token")
    ready = await add_secret(made.store, acme, good, TOKENS)
    failing = await add_secret(made.store, acme, good, TOKENS)
    failure = Failure("temporary", "The authorization server cannot answer.", status=503)
    await change(made.store, failing, failure=failure, failed_at=now, failure_count=2)
    ended = await add_secret(made.store, globex, bad, TOKENS, age=9000)
    await change(
        made.store, ended, name=SAD, state=SecretState.error, error="It is over. It said: <b>gone</b>",
        error_code=ErrorCode.reauthorization_required, error_at=now,
    )  # fmt: skip
    circuits = [CircuitState(BAD_ORIGIN, "open", 1), CircuitState(GOOD_ORIGIN, "closed", 3)]
    async with made.store.installation(writes=True) as unit:
        for pid, started in ((11, now), (12, now - timedelta(hours=3))):
            state = ProcessState(refreshing=4, connections=2, connections_most=10, circuits=circuits)
            process = RunningProcess(
                node_id() if pid == 11 else "x#12:1", "box-1", pid, "9.9", ("api", "worker"), state, started
            )
            await Processes(unit).say(process)
    async with made.store.unit(globex.id, writes=True) as unit:
        assert await Leases(unit).acquire(ended.id, 60_000) is not None
    counter = RefreshCounter(made.store, lambda: now)
    for result, number in ((RefreshResult.renewed, 1234), (RefreshResult.unavailable, 7), (RefreshResult.refused, 3)):
        for _ in range(number):
            counter.count(BAD_ORIGIN if result is not RefreshResult.renewed else GOOD_ORIGIN, result)
    await counter.flush()
    return Installation(made, ended.id, failing.id, ready.id)


async def shown(browser: ConsoleBrowser, path: str) -> str:
    answer = await browser.get(f"{BASE}{path}")
    assert answer.status_code == 200, (path, answer.text)
    assert "style=" not in answer.text
    assert "very-secret" not in answer.text
    assert "\u202e" not in answer.text
    assert "<script>alert" not in answer.text
    return answer.text


def links(text: str) -> set[str]:
    return {html.unescape(found) for found in re.findall(r'href="([^"#]*)"', text) if found.startswith(BASE)}


async def test_every_number_leads_to_the_rows_behind_it(scene: Installation) -> None:
    browser = await operator_browser(scene.world, *ALL)
    seen, wanted = set[str](), {BASE}
    while wanted:
        here = wanted.pop()
        seen.add(here)
        wanted |= links(await shown(browser, here.removeprefix(BASE))) - seen
    assert {path.partition("?")[0].removeprefix(BASE) for path in seen} == {*PAGES, "/providers/named"}
    assert len(seen) < 60


async def test_the_first_page_says_how_the_installation_is(scene: Installation) -> None:
    text = await shown(await operator_browser(scene.world, *ALL), "")
    assert f'href="{BASE}/grants?state=reauthorization_required">1<' in text
    assert f'href="{BASE}/grants?state=failing">1<' in text
    assert "1 with an open circuit" in text
    assert "1\u202f234" in text
    assert "10 more were not renewed" in text
    assert text.count('<rect class="bar good"') == 1
    assert text.count('<rect class="bar bad"') == 1
    assert text.count('<rect class="bar warn"') == 1
    assert re.search(r"<desc[^>]*>10 in the last 24 hours</desc>", text)
    for period in ("hours", "month"):
        page = await shown(await operator_browser(scene.world, *ALL), f"?period={period}")
        assert re.search(rf'href="{BASE}\?period={period}"[^>]* aria-current="page"', page)


async def test_grants_are_narrowed_by_state_provider_tenant_and_client(scene: Installation) -> None:
    browser = await operator_browser(scene.world, *ALL)
    every = await shown(browser, "/grants")
    assert all(each in every for each in (scene.ended, scene.failing, scene.ready, "Globex workspace", "3 grants"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202emoc" in every
    assert "It is over. It said: &lt;b&gt;gone&lt;/b&gt;" in every
    assert "The authorization server cannot answer." in every
    (connection,) = re.findall(rf'href="(/console/workspaces/[0-9a-f]+/connections/{scene.ended})"', every)
    assert (await browser.get(connection)).status_code == 200
    acme = scene.world.tenants["Acme"].id
    for query, ids in (
        ("?state=reauthorization_required", {scene.ended}),
        ("?state=failing", {scene.failing}),
        (f"?provider={GOOD_ORIGIN}", {scene.failing, scene.ready}),
        (f"?tenant={acme}&state=ready", {scene.ready}),
        ("?tenant=nobody", set()),
        ("?provider=none", set()),
        ("?client=nobody", set()),
        ("?page=9", set()),
        ("?state=nonsense", {scene.ended, scene.failing, scene.ready}),
    ):
        text = await shown(browser, f"/grants{query}")
        assert {each for each in (scene.ended, scene.failing, scene.ready) if each in text} == ids, query


async def test_a_provider_shows_its_circuit_in_each_process(scene: Installation) -> None:
    browser = await operator_browser(scene.world, *ALL)
    rows = await shown(browser, "/providers")
    assert rows.index("bad.example") < rows.index("good.example"), "the worst first"
    assert "good.example" not in await shown(browser, "/providers?q=BAD.exa")
    text = await shown(browser, f"/providers/named?origin={BAD_ORIGIN}")
    assert text.count("circuit open") == 3
    assert "box-1" in text
    for origin in ("", "https://unknown.example"):
        assert (await browser.get(f"{BASE}/providers/named?origin={origin}")).status_code == 404


async def test_queue_processes_and_leases(scene: Installation) -> None:
    browser = await operator_browser(scene.world, *ALL)
    text = await shown(browser, "/queue")
    assert scene.ended in text
    assert "Refreshes are behind" in text
    assert re.search(r"leased</span> <span class=\"soft\">box-1 / 11", text)
    text = await shown(browser, "/processes")
    assert scene.ended in text
    assert text.count("version 9.9") == 2
    assert "box-1 / 11" in text
    found = await shown(browser, "/processes?q=BOX-1%20/%2011")
    assert scene.ended in found, "the lease of the process that is looked for"
    assert found.count("version 9.9") == 1
    other = await shown(browser, "/processes?q=x%2312")
    assert other.count("version 9.9") == 1
    assert scene.ended not in other
    assert "Nothing is being refreshed by it at this moment." in other
    assert "No process is like this." in await shown(browser, "/processes?q=nothing")
    assert "There is nothing on this page of the list." in await shown(browser, "/processes?leases=2")


async def test_key_versions_tenants_and_audit(scene: Installation) -> None:
    browser, kek_id = await operator_browser(scene.world, *ALL), scene.world.store.keyring.kek_id
    assert kek_id in await shown(browser, "/keys")
    assert "the installation itself" in await shown(browser, f"/keys?version={kek_id}")
    acme = scene.world.tenants["Acme"]
    text = await shown(browser, "/tenants?q=acm")
    assert f'href="{BASE}/grants?tenant={acme.id}">2<' in text
    assert "Globex" not in text
    assert "No tenant is called so" in await shown(browser, "/tenants?q=%25")
    await acme.admin.post("/v2/users/me/api-keys", {"data": {"type": "api-key", "attributes": {"name": "another"}}})
    text = await shown(browser, "/audit")
    assert "installation.bootstrap" in text
    assert "keyrack-service" not in text, "what happens above tenants is for who works on the machine"


@pytest.mark.parametrize("path", PAGES)
async def test_only_a_service_account_with_the_permissions_gets_in(scene: Installation, path: str) -> None:
    needed = {"global.metrics.get", *NEEDS[path]}
    assert (await (await operator_browser(scene.world, *needed)).get(f"{BASE}{path}")).status_code == 200
    for missing in needed:
        browser = await operator_browser(scene.world, *(set(ALL) - {missing}))
        answer = await browser.get(f"{BASE}{path}")
        assert answer.status_code == 403, missing
        assert "You may not do this" in answer.text
    acme = scene.world.tenants["Acme"]
    for who in (acme.admin, acme.integrator):
        browser = await signed_in(scene.world, who, acme.id)
        assert (await browser.get(f"{BASE}{path}")).status_code == 403
    answer = await ConsoleBrowser(scene.world.http).get(f"{BASE}{path}")
    assert answer.status_code == 303


async def test_who_may_not_see_rows_is_led_to_none(scene: Installation) -> None:
    browser = await operator_browser(scene.world, "global.metrics.get")
    for path in ("", "/providers", "/queue", "/processes", "/keys", f"/providers/named?origin={BAD_ORIGIN}"):
        text = await shown(browser, path)
        found = {each.partition("?")[0] for each in links(text)}
        assert found <= {
            BASE + each for each in ("", "/providers", "/providers/named", "/queue", "/processes", "/keys")
        }
        assert scene.ended not in text
        assert "Globex" not in text


async def test_an_empty_installation_says_what_comes_next(tmp_path: Path) -> None:
    async with world(settings_for(tmp_path, public_url="http://keyrack.test")) as empty:
        browser = await operator_browser(empty, *ALL)
        for path, said in (
            ("", "There are no grants yet."),
            ("/grants", "No grant is like this."),
            ("/providers", "No provider has been called yet."),
            ("/queue", "Nothing is due."),
            ("/processes", "No process has told of itself yet."),
        ):
            assert said in await shown(browser, path)


async def test_what_comes_due_is_listed_behind_its_numbers(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with world(settings_for(tmp_path, public_url="http://keyrack.test")) as made:
        acme = made.tenants["Acme"]
        client = await add_auth_client(made.store, acme.id, f"{GOOD_ORIGIN}/token")
        due = {minutes: (await add_secret(made.store, acme, client, TOKENS)).id for minutes in (-1, 3, 30, 90)}
        async with made.store.unit(acme.id, writes=True) as unit:
            for minutes, secret_id in due.items():
                one = (auth_secrets.c.id == secret_id) & (auth_secrets.c.tenant_id == acme.id)
                values = {"due_at": now + timedelta(minutes=minutes)}
                await unit.connection.execute(update(auth_secrets).where(one).values(**values))
        browser = await operator_browser(made, *ALL)
        for query, wanted in (("", {-1}), ("?due=soon", {3}), ("?due=later", {3, 30}), ("?due=nonsense", {-1})):
            page = await shown(browser, f"/queue{query}")
            assert {each for each, secret_id in due.items() if secret_id in page} == wanted, query
            assert f'<span class="count">{len(wanted)}<' in page
            assert {f"{BASE}/queue?due=soon", f"{BASE}/queue?due=later"} <= {
                each.partition("#")[0] for each in re.findall(r'href="([^"]*)"', page)
            }
