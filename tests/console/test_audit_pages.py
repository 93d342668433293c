"""The audit log in the console: who sees it, what narrows it, how it is turned and exported; over HTTP."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, update

from keyrack.console.audit.export import harmless
from keyrack.console.audit.words import what_happened
from keyrack.ids import new_id
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.service.audit.verifier import verify
from keyrack.store.schema import audit_chains, audit_events
from support.app import World
from support.console import ConsoleBrowser, signed_in

START = datetime(2026, 1, 1, tzinfo=UTC)
HOSTILE = '=HYPERLINK("https://evil.example")<script>\u202e'


async def admin_of(world: World, name: str = "Acme") -> ConsoleBrowser:
    return await signed_in(world, world.tenants[name].admin, world.tenants[name].id)


async def log_of(world: World, tenant_id: str, count: int, **more: Any) -> None:
    """Put entries into a tenant's log, a minute apart."""
    rows = [
        {
            "id": new_id(), "tenant_id": tenant_id, "at": START + timedelta(minutes=n), "actor": f"p{n}@acme.example",
            "actor_kind": "user", "action": "secret.reveal", "target_type": "auth-secret", "target_id": f"{n:024x}",
            "outcome": "allowed", "address": "192.0.2.7", "request_id": f"r{n}", **more,
        }
        for n in range(count)
    ]  # fmt: skip
    async with world.store.installation(writes=True) as unit:
        await unit.connection.execute(insert(audit_events), rows)


async def test_it_says_who_did_what_in_plain_words_with_the_action_beneath(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    contract = {"data": {"type": "contract", "attributes": {"name": "Fresh"}}}
    assert (await acme.admin.post("/v2/contracts", contract)).status_code == 201
    assert (await acme.integrator.post("/v2/contracts", contract)).status_code == 403
    browser = await admin_of(keyrack)
    page = (await browser.get("/console/audit")).text
    for text in ("created a contract", "contract.create", acme.admin.name, acme.integrator.name, "refused", "done"):
        assert text in page, text
    denied = (await browser.get("/console/audit?outcome=denied")).text
    assert acme.integrator.name in denied
    assert "done</span>" not in denied


async def test_only_who_may_read_the_log_gets_it(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    for who in (acme.integrator, acme.stranger):
        browser = await signed_in(keyrack, who, acme.id)
        for path in ("/console/audit", "/console/audit/export?format=csv"):
            assert (await browser.get(path)).status_code == 403, path
        assert "/console/audit" not in (await browser.get("/console")).text
    assert "/console/audit" in (await (await admin_of(keyrack)).get("/console")).text


async def test_each_tenant_has_its_own(keyrack: World) -> None:
    await log_of(keyrack, keyrack.tenants["Globex"].id, 3, actor="other@globex.example")
    browser = await admin_of(keyrack)
    for path in ("/console/audit", "/console/audit?actor=other@globex.example", "/console/audit/export?format=jsonl"):
        answer = await browser.get(path)
        assert answer.status_code == 200
        assert f"{2:024x}" not in answer.text, path


async def test_the_address_has_the_filters_and_a_wrong_one_is_said(keyrack: World) -> None:
    await log_of(keyrack, keyrack.tenants["Acme"].id, 5)
    browser = await admin_of(keyrack)
    one = (await browser.get(f"/console/audit?target_type=auth-secret&target_id={3:024x}&request_id=r3")).text
    assert "p3@acme.example" in one
    assert "p2@acme.example" not in one
    assert f'value="{3:024x}"' in one  # the form shows what narrows the list
    day = (await browser.get("/console/audit?since=2026-01-01&until=2026-01-01")).text
    assert "p4@acme.example" in day
    assert "p4@acme.example" not in (await browser.get("/console/audit?until=2026-01-01T00:04:00Z")).text
    wrong = (await browser.get("/console/audit?since=yesterday")).text
    assert "Write a day such as" in wrong
    assert (await browser.get("/console/audit/export?format=csv&since=yesterday")).status_code == 400
    assert "Nothing in the log matches" in (await browser.get("/console/audit?actor=nobody")).text


async def test_a_long_log_is_turned_to_the_end_and_back(keyrack: World) -> None:
    await log_of(keyrack, keyrack.tenants["Acme"].id, 60)
    browser, seen = await admin_of(keyrack), list[str]()
    path = "/console/audit?action=secret.reveal"
    while True:
        page = (await browser.get(path)).text
        seen += [f"p{n}@" for n in range(59, -1, -1) if f">p{n}@acme.example<" in page]
        if 'rel="next"' not in page:
            break
        path = next_of(page, "next")
    assert seen == [f"p{n}@" for n in range(59, -1, -1)]
    back = (await browser.get(next_of(page, "prev"))).text
    assert ">p10@acme.example<" in back
    assert ">p34@acme.example<" in back
    assert ">p35@acme.example<" not in back
    for odd in ("after=x", "after=1-x", f"before={'9' * 30}-{'a' * 24}"):
        assert ">p59@acme.example<" in (await browser.get(f"/console/audit?action=secret.reveal&{odd}")).text


def next_of(page: str, rel: str) -> str:
    """Return where the link with a relation leads."""
    before = page.partition(f'" rel="{rel}"')[0]
    return before.rpartition('href="')[2].replace("&amp;", "&")


@pytest.mark.parametrize("count", [3, 500, 1203])
async def test_what_is_found_is_exported_whole_oldest_first(keyrack_on_each: World, count: int) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    await log_of(keyrack_on_each, acme.id, count)
    browser = await admin_of(keyrack_on_each)
    answer = await browser.get("/console/audit/export?format=jsonl&action=secret.reveal")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert "attachment" in answer.headers["content-disposition"]
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["actor"] for line in lines] == [f"p{n}@acme.example" for n in range(count)]
    assert lines[0]["at"] == "2026-01-01T00:00:00.000Z"
    table = list(
        csv.DictReader(io.StringIO((await browser.get("/console/audit/export?format=csv&action=secret.reveal")).text))
    )
    assert [row["request_id"] for row in table] == [f"r{n}" for n in range(count)]
    assert table[0].keys() == lines[0].keys()


async def test_an_export_has_no_formulas_and_a_page_no_markup(keyrack: World) -> None:
    await log_of(keyrack, keyrack.tenants["Acme"].id, 1, actor=HOSTILE, address=None, request_id="+1")
    browser = await admin_of(keyrack)
    page = (await browser.get("/console/audit?action=secret.reveal")).text
    assert "<script>" not in page.replace('<script src="', "")
    assert "\u202e" not in page
    text = (await browser.get("/console/audit/export?format=csv&action=secret.reveal")).text
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["actor"] == f"'{HOSTILE}"
    assert (row["request_id"], row["address"]) == ("'+1", "")
    assert (await browser.get("/console/audit/export?format=xlsx")).status_code == 404


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\tx", "\r=1", "  =1", "\uff1d1"])
def test_what_a_spreadsheet_takes_for_a_formula_gets_an_apostrophe(text: str) -> None:
    assert harmless(text) == f"'{text}"


def test_plain_text_stays_as_it_is() -> None:
    assert [harmless(text) for text in ("", "a=1", "nora@acme.example", "2026-01-01")] == [
        "",
        "a=1",
        "nora@acme.example",
        "2026-01-01",
    ]


def test_an_action_that_nobody_has_put_into_words_is_shown_as_it_is() -> None:
    assert what_happened("lunar.land") == "lunar.land"
    assert what_happened("oauth-client.create") == "created an OAuth client"


async def test_the_page_says_how_the_hash_chain_stands_and_exports_it(keyrack: World) -> None:
    acme, chainer = keyrack.tenants["Acme"], keyrack.services.audit_parts.chainer
    await log_of(keyrack, acme.id, 3)
    browser = await admin_of(keyrack)
    assert "nothing signed yet" in (await browser.get("/console/audit")).text
    await chainer.tick()
    page = (await browser.get("/console/audit")).text
    assert "end verified" in page
    (key,) = await SigningKeys(keyrack.store).all()
    assert key.key.id in page
    lines = (await browser.get("/console/audit/export?format=chain")).content.splitlines(keepends=True)
    verified = verify(lines, [key.key.public], {})
    assert verified.tenant_id == acme.id
    assert b'"audit-log.export"' in lines[-2], "the export is in the log itself"
    (event, *_) = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=secret.reveal")).json()["data"]
    hashes = {record["sequence"]: record["hash"] for line in lines if (record := json.loads(line))["type"] == "entry"}
    assert hashes[event["meta"]["sequence"]] == event["meta"]["hash"]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await unit.connection.execute(update(audit_chains).values(hash=bytes(32)))
    assert "changed by somebody else" in (await browser.get("/console/audit")).text
    integrator = await signed_in(keyrack, acme.integrator, acme.id)
    assert (await integrator.get("/console/audit/export?format=chain")).status_code == 403
