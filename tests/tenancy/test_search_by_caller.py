"""Search finds what the caller's own requests would show, for every caller of the table (decision 35)."""

from collections.abc import Mapping

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import Forbidden
from keyrack.ids import new_id
from keyrack.model.identity import Principal
from keyrack.service.search.search import Results
from support.app import Caller
from support.tenancy.stage import Stage
from support.tenancy.table import CALLERS, OF_ANOTHER_TENANT

STEPS = "snb"
"""Running steps, which search nothing."""

SHOWN: Mapping[str, tuple[str, str]] = {
    "tenant": ("tenant_id", "/v2/tenants/{id}"),
    "user": ("user_id", "/v2/users/{id}"),
    "contract": ("contract_id", "/v2/contracts/{id}"),
    "workspace": ("workspace_id", "/v2/workspaces/{id}"),
    "team": ("team_id", "/v2/teams/{id}"),
    "component": ("component_id", "/v2/components/{id}"),
    "oauth-client": ("oauth_client_id", "/v2/tenants/{tenant_id}/oauth-clients/{id}"),
    "auth-client": ("auth_client_id", "/v2/auth-clients/{id}"),
    "credential": ("credential_id", "/v2/credentials/{id}"),
    "auth-secret": ("secret_id", "/v2/workspaces/{workspace_id}/secrets/{id}"),
    "flow": ("flow_id", "/v2/flows/{id}"),
    "webhook": ("webhook_id", "/v2/tenants/{tenant_id}/webhooks/{id}"),
    "oauth-consent": ("consent_id", "/v2/workspaces/{workspace_id}/oauth-consents/{id}"),
    "connect-link": ("connect_link_id", "/v2/workspaces/{workspace_id}/connect-links/{id}"),
}
"""By kind: the id in the estate, and the request that shows it."""

BY_LIST = {
    "contract-invite": ("invite_id", "/v2/contracts/{contract_id}/invites"),
    "event": ("event_id", "/v2/tenants/{tenant_id}/events"),
}
"""Of these there is a list alone."""


async def principal(stage: Stage, caller: Caller) -> Principal:
    services = stage.world.services
    return await services.authentication.authenticate(caller.name, Secret(caller.api_key), None, None)


async def look(stage: Stage, column: str, text: str) -> Results:
    who = await principal(stage, stage.callers[column])
    return await stage.world.services.searching.find(who, text, limit=50)


def exactly(results: Results) -> set[tuple[str, str]]:
    return {(each.found.kind, each.found.id) for each in results.exact}


@pytest.mark.parametrize("column", [each for each in CALLERS if each not in STEPS])
async def test_an_id_leads_to_what_its_own_request_shows(stage: Stage, column: str) -> None:
    stage.snapshot.restore()
    wrong = []
    for kind, (name, path) in {**SHOWN, **BY_LIST}.items():
        wanted = stage.mine.ids[name]
        asked = path.format(**{**stage.mine.ids, "id": wanted})
        answer = await stage.callers[column].get(asked, params={"page[size]": "100"} if kind in BY_LIST else {})
        shown = answer.status_code == 200 and wanted in answer.text
        results = await look(stage, column, f" {wanted.upper()} ")
        if exactly(results) != ({(kind, wanted)} if shown else set()):
            wrong.append(f"{kind}: {answer.status_code}, but found {results.exact}")
        if not shown and not results.none:
            wrong.append(f"{kind}: not shown, but found {results}")
    assert wrong == []


@pytest.mark.parametrize("column", [each for each in CALLERS if each not in STEPS])
async def test_a_name_leads_to_what_its_own_request_shows(stage: Stage, column: str) -> None:
    stage.snapshot.restore()
    wrong, seen = [], 0
    names = {
        "credential": stage.mine.canaries["credential name"],
        "flow": stage.mine.canaries["flow name"],
    }
    for text in (*names.values(), stage.mine.tenant.stranger.name, "globex", "acme", "canary", "a", "i"):
        results = await look(stage, column, text)
        for kind, found in results.by_name.items():
            for each in found:
                ids = {**stage.mine.ids, "id": each.found.id, "workspace_id": each.found.parent_id or ""}
                answer = await stage.callers[column].get(SHOWN[kind][1].format(**ids))
                seen += 1
                if answer.status_code != 200:
                    wrong.append(f"{text}: {kind} {each}: {answer.status_code}")
    assert wrong == []
    assert bool(seen) == (column in "TDOIGNBV")
    for kind, text in names.items():
        asked = SHOWN[kind][1].format(id=stage.mine.ids[SHOWN[kind][0]])
        answer = await stage.callers[column].get(asked)
        found_ids = {each.found.id for each in (await look(stage, column, text)).by_name.get(kind, ())}
        is_user = stage.callers[column].name not in (stage.callers["V"].name, stage.callers["v"].name)
        assert (stage.mine.ids[SHOWN[kind][0]] in found_ids) == (answer.status_code == 200 and is_user)


@pytest.mark.parametrize("column", OF_ANOTHER_TENANT.replace("b", ""))
async def test_another_tenants_admin_finds_nothing_by_any_value(stage: Stage, column: str) -> None:
    """But what all tenants share, which this tenant has none of."""
    stage.snapshot.restore()
    mine = {*stage.mine.ids.values()}
    for text in (*stage.mine.ids.values(), *stage.mine.canaries.values(), "canary"):
        results = await look(stage, column, text)
        found = [*results.exact, *(each for some in results.by_name.values() for each in some)]
        assert not {each.found.id for each in found} & mine, text


@pytest.mark.parametrize("column", STEPS)
async def test_a_running_step_searches_nothing(stage: Stage, column: str) -> None:
    with pytest.raises(Forbidden):
        await look(stage, column, stage.mine.ids["flow_id"])


async def test_an_own_api_key_is_found_and_nobody_elses(stage: Stage) -> None:
    stage.snapshot.restore()
    keys = (await stage.mine.tenant.integrator.get("/v2/users/me/api-keys")).json()["data"]
    assert keys
    for column in CALLERS:
        if column not in STEPS:
            found = exactly(await look(stage, column, keys[0]["id"]))
            assert found == ({("api-key", keys[0]["id"])} if column == "I" else set()), column


async def test_a_request_is_found_by_whoever_reads_the_audit_log(stage: Stage) -> None:
    stage.snapshot.restore()
    globex = stage.mine.tenant
    body = {"data": {"type": "connect-theme", "attributes": {"display_name": "Changed"}}}
    changed = await globex.admin.patch(f"/v2/tenants/{globex.id}/connect-theme", body)
    request_id = changed.headers["x-request-id"]
    for column in CALLERS:
        if column not in STEPS:
            log = await stage.callers[column].get(f"/v2/tenants/{globex.id}/audit-events")
            is_user = column not in "Vv"
            expected = {("request", request_id)} if log.status_code == 200 and is_user else set()
            assert exactly(await look(stage, column, request_id)) == expected, column


async def test_hostile_texts_find_nothing_and_do_no_harm(stage: Stage) -> None:
    stage.snapshot.restore()
    odd = ["", " ", "%", "_", "\0", "\ud800", "'; DROP TABLE users --", "f" * 24, "0" * 24, "x" * 100_000, "\U0010ffff"]
    for text in (*odd, new_id()):
        assert (await look(stage, "I", text)).none, text[:30]


async def test_what_all_tenants_share_is_found_by_all_of_them(stage: Stage) -> None:
    stage.snapshot.restore()
    globex = stage.mine.tenant
    shared = await stage.world.add_component(globex, "shared-by-all", {"title": "x"}, access="global")
    waits = await stage.world.add_component(globex, "waits-for-a-client", {"useOAuthClient": True}, access="global")
    for column in CALLERS:
        if column in STEPS:
            continue
        shown = (await stage.callers[column].get(f"/v2/components/{shared}")).status_code == 200
        results = (await look(stage, column, "BY-ALL")).by_name.get("component", ())
        assert [each.found.id for each in results] == ([shared] if shown else []), column
        shown = (await stage.callers[column].get(f"/v2/components/{waits}")).status_code == 200
        results = (await look(stage, column, "waits")).by_name.get("component", ())
        assert [each.found.id for each in results] == ([waits] if shown else []), column
    stage.snapshot.restore()


async def test_no_more_is_shown_than_was_asked_for_and_it_is_said_that_there_is_more(stage: Stage) -> None:
    stage.snapshot.restore()
    globex = stage.mine.tenant
    for number in range(4):
        await stage.world.add_component(globex, f"many-{number}", {"title": "x"})
    who = await principal(stage, globex.integrator)
    for limit, more in ((3, frozenset({"component"})), (4, frozenset())):
        results = await stage.world.services.searching.find(who, "many", limit=limit)
        assert len(results.by_name["component"]) == limit
        assert results.more == more
    results = await stage.world.services.searching.find(who, "many", kinds=("flow",))
    assert results.none
    stage.snapshot.restore()
