"""What each user sees in the console: nothing that the API does not show them too (decision 28, invariant 1)."""

import pytest

from support.console import ConsoleBrowser, signed_in
from support.tenancy.stage import Stage, ask
from support.tenancy.table import rows

USERS = "TDOIGSNB"
"""Those of the table's callers who can sign in."""
FOR_ANYBODY = {
    "/console/files/{name}",
    "/console/sign-in",
    "/console/sign-in/code",
    "/console/sign-in/organisation",
    "/console/sign-in/{tenant_id}",
    "/console/sign-in/{tenant_id}/callback",
}
OPEN = {
    "/console",
    "/console/account",
    "/console/account/two-step",
    "/console/building-blocks",
    "/console/contracts",
    "/console/invites",
    "/console/search",
    "/console/workspaces",
}
"""Pages that everybody gets who is signed in; the others are for those who may see what they show."""


class Ids(dict[str, str]):
    """The ids of a tenant's things; what it does not have is nowhere."""

    def __missing__(self, name: str) -> str:
        return "f" * 24


def pages(stage: Stage) -> set[str]:
    """All paths of the console that show something, from the application itself."""
    found = {path for method, path in stage.routes() if method == "GET" and path.startswith("/console")}
    return found - FOR_ANYBODY


@pytest.mark.parametrize("column", USERS)
async def test_nobody_sees_more_than_in_the_api(stage: Stage, column: str) -> None:
    stage.snapshot.restore()
    who = stage.callers[column]
    tenant = stage.other.tenant if column == "B" else stage.mine.tenant
    assert pages(stage) >= OPEN
    in_api = ""
    for row in rows():
        if row.method == "GET":
            in_api += (await ask(who, row, stage.mine.ids)).text
    for contract in (await who.get("/v2/contracts")).json()["data"]:  # what one can use in one's own, which no row asks
        in_api += (await who.get("/v2/auth-clients", params={"contract_id": contract["id"]})).text
    own_log = await who.get(f"/v2/tenants/{tenant.id}/audit-events?page[size]=1000")
    in_api += own_log.text  # which also has what the caller has just named in vain
    browser = await signed_in(stage.world, who, tenant.id)
    shown, ids = "", Ids(stage.mine.ids)
    for path in sorted(pages(stage)):
        answer = await browser.get(path.format_map(ids))
        assert answer.status_code in ({200} if path in OPEN else {200, 303, 403, 404}), path
        if path.startswith("/console/installation"):  # for operators; no user of a tenant sees any of it
            assert answer.status_code in {403, 404}, path
        shown += answer.text if answer.status_code == 200 else ""
    known = {**stage.mine.canaries, **stage.mine.ids, "contract": stage.mine.tenant.contract_id}
    seen = {what for what, value in known.items() if value in shown}
    assert seen <= {what for what, value in known.items() if value in in_api}
    assert (stage.mine.tenant.workspace_id in shown) == (column in "OIG") or column in "TDB"  # B named it in vain
    assert (stage.mine.tenant.contract_id in shown) == (column in "TDOIG") or column == "S"  # who is invited into it
    stage.snapshot.restore()


async def test_without_a_session_no_page_shows_anything(stage: Stage) -> None:
    stage.snapshot.restore()
    good = await signed_in(stage.world, stage.callers["T"], stage.mine.tenant.id)
    name, value = next(iter(good.cookies.items()))
    ids = Ids(stage.mine.ids)
    for cookie in ({}, {name: "A" * 43}, {name: ""}, {name: value + "A"}, {name.removeprefix("__Host-"): value}):
        for path in sorted(pages(stage)):
            browser = ConsoleBrowser(stage.world.http)
            browser.cookies.update(cookie)
            answer = await browser.get(path.format_map(ids))
            assert (answer.status_code, answer.text) == (303, ""), path
    for caller in (stage.callers["T"], stage.callers["V"]):  # an API key is no session
        assert (await caller.get("/console/account")).status_code == 303
    stage.snapshot.restore()
