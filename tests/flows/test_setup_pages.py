"""The pages of a setup link: what they say, load and keep, in every case and in a browser (decision 24)."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.service.identity.account_setup import AccountSetup
from support.app import BASE, World, settings_for, world
from support.setup_links import KEY, NAMES, invited, is_refused, key_from, link_for, newcomer, use
from support.waits_and_faults import fail_once

if TYPE_CHECKING:
    from playwright.async_api import Browser

NEW = "new.person@acme.example"
HOSTILE = "<script>alert(1)</script>\u202e"


async def test_every_answer_is_a_page_that_nothing_keeps(keyrack: World, monkeypatch: pytest.MonkeyPatch) -> None:
    acme, http = keyrack.tenants["Acme"], keyrack.http
    url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
    fail_once(monkeypatch, AccountSetup, "introduce", DatabaseUnavailable)
    answers = {
        "outage": (await http.get(url), 503),
        "look": (await http.get(url), 200),
        "no link": (await http.get("/setup"), 400),
        "wrong": (await http.get("/setup?link=x"), 400),
        "NUL": (await http.get("/setup?link=%00"), 400),
        "half a surrogate": (await http.get("/setup?link=%ed%a0%80"), 400),
        "nowhere": (await http.get("/setup/x"), 404),
        "method": (await http.put(url), 405),
        "too much": (await http.post(url, content=b"x" * (1 << 20) + b"x"), 413),
        "many fields": (await use(keyrack, "/setup?link=x", **{f"f{n}": "x" for n in range(50)}), 400),
        "use": (await use(keyrack, url), 200),
        "again": (await use(keyrack, url), 400),
    }
    for what, (answer, status) in answers.items():
        assert answer.status_code == status, (what, answer.text)
        assert answer.headers["content-type"].startswith("text/html"), what
        assert answer.headers["cache-control"] == "no-store", what
        assert answer.headers["referrer-policy"] == "no-referrer", what
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, what
        assert "frame-ancestors 'none'" in policy, what
        assert "script-src 'none'" in policy, what
        assert "unsafe" not in policy, what
        assert "provider" not in answer.text, "that is about consents"
    assert "Nothing was used up" in answers["outage"][0].text


async def test_looking_uses_nothing_up(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
    for _ in range(3):
        assert (await keyrack.http.get(url)).status_code == 200
        assert (await keyrack.http.head(url)).status_code == 200
        assert (await keyrack.http.get(url, headers={"sec-purpose": "prefetch"})).status_code == 200
    await key_from(keyrack, url, NEW)


async def test_names_are_only_text(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    body = {"data": {"attributes": {"name": HOSTILE}}}
    assert (await keyrack.support.patch(f"/v2/tenants/{acme.id}", body)).status_code == 200
    answer = await invited(acme.admin, acme.contract_id, "o'brien&<b>x</b>@acme.example")
    url = answer.json()["meta"]["setup_link"]["url"]
    page = await keyrack.http.get(url)
    again = await use(keyrack, url, first_name='"><script>alert(1)</script>')
    shown = await use(keyrack, url, first_name=HOSTILE, last_name="x" * 10_000)
    for each in (page, again, shown):
        assert "<script>" not in each.text
        assert "<b>" not in each.text
        assert "\u202e" not in each.text
    assert KEY.search(shown.text)
    me = (await acme.admin.get("/v2/users")).json()["data"][-1]["attributes"]
    assert (me["first_name"], me["last_name"]) == ("<script>alert(1)</script>", "x" * 255)


async def test_no_log_has_a_link_or_key(keyrack: World, capsys: pytest.CaptureFixture[str]) -> None:
    acme = keyrack.tenants["Acme"]
    url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
    person = await key_from(keyrack, url, NEW)
    assert await is_refused(keyrack, url)
    captured = capsys.readouterr()
    logged = captured.out + captured.err
    assert "/setup" in logged
    assert url.partition("link=")[2] not in logged
    assert person.api_key not in logged


async def test_guessing_is_slowed_down_and_a_good_link_is_not(tmp_path: Path) -> None:
    async with world(settings_for(tmp_path, public_url=BASE, wrong_keys_limit="3")) as made:
        acme = made.tenants["Acme"]
        url = await link_for(acme.admin, await newcomer(acme.admin, NEW))
        answers = [await made.http.get(f"/setup?link={n}") for n in range(5)]
        assert [each.status_code for each in answers] == [400, 400, 400, 429, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert "<h1>Too many requests</h1>" in answers[-1].text
        await key_from(made, url, NEW)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_person_with_a_phone_and_without_javascript_gets_a_key(
    listening: World, browser: "Browser", scheme: str
) -> None:
    acme = listening.tenants["Acme"]
    answer = await invited(acme.admin, acme.contract_id, f"{'long-name-' * 6}{NEW}")
    context = await browser.new_context(
        viewport={"width": 360, "height": 640},
        java_script_enabled=False,
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    try:
        page = await context.new_page()
        for step in ("asked", "again", "shown"):
            if step == "asked":
                await page.goto(answer.json()["meta"]["setup_link"]["url"])
            elif step == "again":
                await page.get_by_label("First name").fill(" ")
                await page.get_by_label("Last name").fill("Person")
                await page.get_by_role("button").click()
            else:
                await page.get_by_label("First name").fill(NAMES["first_name"])
                await page.get_by_role("button", name="Join and show my API key").click()
            width = await page.locator("main").bounding_box()
            assert width is not None
            assert width["x"] >= 0
            assert width["x"] + width["width"] <= 360, step
            for inner in await page.locator("main *").all():
                box = await inner.bounding_box()
                assert box is None or box["x"] + box["width"] <= 360, (step, await inner.inner_text())
        assert await page.locator("h1").inner_text() == "Your first API key"
        key = await page.locator("#api-key").inner_text()
        assert re.fullmatch(r"kr_[A-Za-z0-9_-]{43}", key)
        await page.reload()  # which sends the form again
        assert await page.locator("h1").inner_text() == "This link is not valid"
    finally:
        await context.close()
