"""What each user sees in the console: nothing that the API does not show them too (decision 28, invariant 1)."""

import pytest

from support.console import ConsoleBrowser, signed_in
from support.tenancy.stage import Stage, ask
from support.tenancy.table import rows

USERS = "TDOIGSNB"
"""Those of the table's callers who can sign in."""
PAGES = {"/console", "/console/account", "/console/building-blocks", "/console/search"}
OF_ADMINS = {"/console/settings/connect-page", "/console/settings/connect-page/preview"}


def pages(stage: Stage) -> set[str]:
    """All paths of the console that show something, from the application itself."""
    found = {path for method, path in stage.routes() if method == "GET" and path.startswith("/console")}
    return found - {"/console/sign-in", "/console/files/{name}"}


@pytest.mark.parametrize("column", USERS)
async def test_nobody_sees_more_than_in_the_api(stage: Stage, column: str) -> None:
    stage.snapshot.restore()
    who = stage.callers[column]
    tenant = stage.other.tenant if column == "B" else stage.mine.tenant
    assert pages(stage) == PAGES | OF_ADMINS
    in_api = ""
    for row in rows():
        if row.method == "GET":
            in_api += (await ask(who, row, stage.mine.ids)).text
    browser = await signed_in(stage.world, who, tenant.id)
    shown = ""
    for path in sorted(PAGES):
        answer = await browser.get(path)
        assert answer.status_code == 200, path
        shown += answer.text
    for path in sorted(OF_ADMINS):
        answer = await browser.get(path)
        assert answer.status_code == (200 if column in "TB" else 403), path
        shown += answer.text
    known = {**stage.mine.canaries, **stage.mine.ids, "contract": stage.mine.tenant.contract_id}
    seen = {what for what, value in known.items() if value in shown}
    assert seen <= {what for what, value in known.items() if value in in_api}
    assert (stage.mine.tenant.workspace_id in shown) == (column in "OIG") or column in "TD"
    assert (stage.mine.tenant.contract_id in shown) == (column in "TDOIG")
    stage.snapshot.restore()


async def test_without_a_session_no_page_shows_anything(stage: Stage) -> None:
    stage.snapshot.restore()
    good = await signed_in(stage.world, stage.callers["T"], stage.mine.tenant.id)
    name, value = next(iter(good.cookies.items()))
    for cookie in ({}, {name: "A" * 43}, {name: ""}, {name: value + "A"}, {name.removeprefix("__Host-"): value}):
        for path in sorted(PAGES | OF_ADMINS):
            browser = ConsoleBrowser(stage.world.http)
            browser.cookies.update(cookie)
            answer = await browser.get(path)
            assert (answer.status_code, answer.text) == (303, ""), path
    for caller in (stage.callers["T"], stage.callers["V"]):  # an API key is no session
        assert (await caller.get("/console/account")).status_code == 303
    stage.snapshot.restore()
