"""Every route of the console, asked by whoever has no business there (decision 28, invariant 1).

Another tenant's admin, somebody of the tenant without a role, nobody, and the right person by a wrong way: without the
form's token, or from another site. The routes are those of the console itself, what is sent are the forms of its own
pages; so a new page is asked without being named here.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from typing import Any

import httpx2
import pytest
from sqlalchemy import select

from keyrack.store.schema import metadata
from support.console import OURS, ConsoleBrowser, signed_in
from support.console_pages import PUBLIC, SentForm, address, forms, pages, routes, set_up_sign_on
from support.tenancy.stage import Stage

FROM_ELSEWHERE = ({"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://else.example"})
KNOWN = {"/console/sign-in/{tenant_id}": "names a tenant to who has its address (decision 31)"}
"""What may say something of another tenant, and why."""
OWN = ("/console/sign-", "/console/account")
"""What concerns the one who is signed in, and nobody else."""
MAY = {"/console/invites/{invite_id}/accept": "somebody who is invited"}
"""What somebody without a role may do, and why."""


def named(path: str) -> list[str]:
    """Return the ids in a route's path."""
    return [part.strip("{}") for part in path.split("/") if part.startswith("{")]


@pytest.fixture(autouse=True)
async def as_it_was(stage: Stage) -> AsyncIterator[None]:
    """Everything of the estate, and what pages show beside it."""
    stage.snapshot.restore()
    await set_up_sign_on(stage.world, stage.mine.tenant, stage.mine.ids["user_id"])
    yield
    stage.snapshot.restore()


async def sent_forms(stage: Stage) -> Mapping[str, SentForm]:
    """Return the forms of all pages that the tenant's admin sees, by where they go."""
    admin = await signed_in(stage.world, stage.mine.tenant.admin, stage.mine.tenant.id)
    found: dict[str, SentForm] = {}
    for path in pages():
        answer = await admin.get(address(path, stage.mine.ids))
        for form in forms(answer.text):
            found.setdefault(form.action.partition("?")[0], form)
    assert len(found) >= len(routes("POST")) // 2, "most forms that there are stand on a page of the admin's"
    return found


async def test_another_tenants_admin_gets_nothing_of_it(stage: Stage) -> None:
    browser = await signed_in(stage.world, stage.callers["B"], stage.other.tenant.id)
    wrong, heard = [], ""
    for path in pages():
        answer = await browser.get(address(path, stage.mine.ids))
        ids = [] if path in KNOWN else named(path)
        if (ids and answer.status_code not in {303, 403, 404}) or answer.status_code >= 500:
            wrong.append(f"{path}: {answer.status_code}")
        heard += "" if path in KNOWN else answer.text
    assert wrong == []
    assert [what for what, value in stage.mine.canaries.items() if value in heard] == []


@pytest.mark.parametrize("column", ["B", "S"])
async def test_who_has_no_business_there_changes_nothing_of_it(stage: Stage, column: str) -> None:
    sent = await sent_forms(stage)
    home = stage.other if column == "B" else stage.mine
    browser = await signed_in(stage.world, stage.callers[column], home.tenant.id)
    await browser.get("/console/account")  # where there is a form's token
    before, wrong, heard = await _rows(stage), [], ""
    for path in routes("POST"):
        if path.startswith(OWN) or (column == "S" and path in MAY):
            continue
        where = address(path, stage.mine.ids)
        answer = await _send(browser, where, _without(stage.mine.canaries.values(), sent.get(where)), OURS)
        if (named(path) and answer.status_code not in {303, 400, 403, 404}) or answer.status_code >= 500:
            wrong.append(f"{path}: {answer.status_code}")
        heard += answer.text
    assert wrong == []
    if column == "B":
        assert [what for what, value in stage.mine.canaries.items() if value in heard] == []
    after = await _rows(stage)
    assert {name for name, rows in after.items() if rows != before[name]} == set()


async def test_nobody_is_sent_to_sign_in_and_nothing_is_done(stage: Stage) -> None:
    before = await _rows(stage)
    for method in ("GET", "POST"):
        for path in routes(method):
            if path.startswith((*PUBLIC, "/console/sign-")):
                continue
            browser = ConsoleBrowser(stage.world.http)
            where = address(path, stage.mine.ids)
            answer = await (browser.get(where) if method == "GET" else browser.post(where, text="text"))
            assert (answer.status_code, answer.text) == (303, ""), f"{method} {path}"
            assert answer.headers["location"].startswith("/console/sign-in"), f"{method} {path}"
    assert await _rows(stage) == before


async def test_no_form_is_taken_without_its_token_or_from_another_site(stage: Stage) -> None:
    sent = await sent_forms(stage)
    admin = await signed_in(stage.world, stage.mine.tenant.admin, stage.mine.tenant.id)
    await admin.get("/console/account")
    before = await _rows(stage)
    asked: list[tuple[dict[str, str], dict[str, str]]] = [(site, {}) for site in FROM_ELSEWHERE]
    asked += [(OURS, {"form_token": token}) for token in ("", "0" * 64)]
    nobody = ConsoleBrowser(stage.world.http)
    for path in routes("POST"):
        if path == "/console/sign-in/code":  # leads back who was not right about a password just before
            continue
        where = address(path, stage.mine.ids)
        for headers, more in asked:
            who = nobody if path.startswith("/console/sign-in") else admin  # who is signed in is led on from there
            answer = await _send(who, where, sent.get(where), headers, **more)
            assert answer.status_code == 403, f"{path} {headers} {more}: {answer.status_code}"
    after = await _rows(stage)
    assert {name for name, rows in after.items() if rows != before[name]} == set()


def _without(values: Iterable[str], form: SentForm | None) -> SentForm | None:
    """Take values out of a form, that they do not come back because they were sent."""
    if form is None:
        return None
    fields = {name: "text" if any(each in text for each in values) else text for name, text in form.fields.items()}
    return replace(form, fields=fields)


async def _send(
    browser: ConsoleBrowser, where: str, form: SentForm | None, headers: dict[str, str], **more: str
) -> httpx2.Response:
    """Send a form as it stands on its page, but with the token of the one who sends it, or another one."""
    form = form or SentForm(where)
    fields = {name: value for name, value in form.fields.items() if name != "form_token"} | more
    send = browser.post_in_parts if form.in_parts else browser.post
    return await send(where, headers, **fields)


async def _rows(stage: Stage) -> Mapping[str, list[tuple[Any, ...]]]:
    """Return what is stored of the tenant, but for who looked at it when: sessions, and the log of refusals."""
    async with stage.world.store.installation() as unit:
        return {
            name: sorted(
                (
                    tuple(row)
                    for row in (await unit.connection.execute(select(table))).all()
                    if stage.mine.tenant.id in row
                ),
                key=repr,
            )
            for name, table in metadata.tables.items()
            if name not in {"console_sessions", "audit_events"}
        }
