"""What each user sees in the console: nothing that the API does not show them too (decision 28, invariant 1)."""

import pytest

from support.console import ConsoleBrowser, signed_in
from support.tenancy.stage import Stage, ask
from support.tenancy.table import rows

USERS = "TDOIGSNB"
"""Those of the table's callers who can sign in."""
PAGES = {
    "/console",
    "/console/account",
    "/console/account/two-step",
    "/console/building-blocks",
    "/console/workspaces",
}
_WORKSPACE = "/console/workspaces/{workspace_id}"
_SECRET, _CREDENTIAL = f"{_WORKSPACE}/connections/{{secret_id}}", f"{_WORKSPACE}/credentials/{{credential_id}}"
BELOW = {
    _WORKSPACE,
    f"{_WORKSPACE}/connect",
    f"{_WORKSPACE}/connect-links",
    f"{_WORKSPACE}/connect-links/new",
    f"{_WORKSPACE}/consents/{{consent_id}}",
    f"{_WORKSPACE}/credentials",
    _SECRET,
    f"{_SECRET}/delete",
    _CREDENTIAL,
    f"{_CREDENTIAL}/delete",
}
"""Pages of something, which not everybody may see."""
SIGNING_IN = {"/console/sign-in", "/console/sign-in/code"}
OF_THE_SECOND_STEP = {"/console/account/two-step/disable", "/console/account/two-step/recovery-codes"}
"""Lead back to the page before them as long as it is off: `tests/console/test_two_step.py`."""


def pages(stage: Stage) -> set[str]:
    """All paths of the console that show something, from the application itself."""
    found = {path for method, path in stage.routes() if method == "GET" and path.startswith("/console")}
    return found - SIGNING_IN - OF_THE_SECOND_STEP - {"/console/files/{name}"}


@pytest.mark.parametrize("column", USERS)
async def test_nobody_sees_more_than_in_the_api(stage: Stage, column: str) -> None:
    stage.snapshot.restore()
    who = stage.callers[column]
    tenant = stage.other.tenant if column == "B" else stage.mine.tenant
    assert pages(stage) == PAGES | BELOW
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
    for path in sorted(BELOW):
        answer = await browser.get(path.format_map(stage.mine.ids))
        assert answer.status_code in (200, 303, 403, 404), path
        assert (answer.status_code in (403, 404)) or column in "TDOIG", path
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
        for path in sorted(PAGES | BELOW):
            browser = ConsoleBrowser(stage.world.http)
            browser.cookies.update(cookie)
            answer = await browser.get(path)
            assert (answer.status_code, answer.text) == (303, ""), path
    for caller in (stage.callers["T"], stage.callers["V"]):  # an API key is no session
        assert (await caller.get("/console/account")).status_code == 303
    stage.snapshot.restore()
