"""Nothing tells what another tenant has from what does not exist: not the answer, and not what it costs (issue 4.2).

Where the contract wants 403 for an existing tenant, contract or workspace that is named (section 3), it is told so, and
nothing beyond it. Cost is compared as the statements that the database executes, which no busy machine changes.
"""

import re
from collections.abc import Mapping
from typing import Any

import pytest

from support.app import Caller, relationship
from support.tenancy.bodies import Noted, body
from support.tenancy.stage import Stage, ask, statements
from support.tenancy.table import OF_ANOTHER_TENANT, Row, rows

ROWS = list(rows())
ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{24}")
UNKNOWN, UNKNOWN_REVISION = "f" * 24, "f" * 40
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
OF_EVERYBODY = {"step_id", "provider_name"}
PARENTS = {"tenant_id": "tenant", "contract_id": "contract", "workspace_id": "workspace"}
"""What gives 403 when it is there, and 404 when not (section 3)."""

NAMES = {
    "mcp-server": "auth_client_id",
    "api-key": "key_id",
    "auth-secret": "secret_id",
    "contract-invite": "invite_id",
    "connect-link": "connect_link_id",
    "oauth-consent": "consent_id",
    "version": "component_id",
}
"""What the estate calls a resource, where its type says it otherwise."""
MAKES_NOTHING = {"client-secret-rotation", "dpop-proof"}
"""Types of what has no id of its own: a part of its client, or answered and not kept."""

Told = tuple[int, Mapping[str, str], str, list[str]]


async def told(stage: Stage, who: Caller, row: Row, ids: Mapping[str, str]) -> Told:
    """Return all that a caller can tell of an answer: status, headers, body but for ids, and what it costs."""
    with statements() as executed:
        answer = await ask(who, row, ids)
    stage.snapshot.restore()
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    text = TIME.sub("a time", ID.sub("an id", answer.text)).replace(ids["team_name"], "a name")
    return answer.status_code, headers, text, executed


def unknown(name: str) -> str:
    """Return what nothing is called."""
    if name == "team_name":
        return "nope"  # as long as the tenants' names
    return UNKNOWN_REVISION if name in {"version", "revision", "unused_revision"} else UNKNOWN


def differences(there: Told, nowhere: Told) -> list[str]:
    names = ("status", "headers", "body", "statements")
    return [f"{name}: {a} / {b}" for name, a, b in zip(names, there, nowhere, strict=True) if a != b]


@pytest.mark.parametrize("column", "BbSNn")
async def test_what_is_not_seen_is_as_if_it_were_not_there(stage: Stage, column: str) -> None:
    nowhere = {name: unknown(name) for name in stage.mine.ids} | {"step_id": "step_1", "provider_name": "none"}
    if column not in OF_ANOTHER_TENANT:  # who knows the tenant: it is their own
        nowhere["tenant_id"] = stage.mine.ids["tenant_id"]
    wrong: list[Any] = []
    for row in ROWS:
        if row.cells[column] != "4" or "{" not in row.path:
            continue
        there = await told(stage, stage.callers[column], row, stage.mine.ids)
        found = differences(there, await told(stage, stage.callers[column], row, nowhere))
        if column not in OF_ANOTHER_TENANT:  # what is in one's own tenant may cost more to judge
            found = [each for each in found if not each.startswith("statements")]
        wrong += [(row.route, found)] if found else []
    assert wrong == []


async def test_another_tenants_id_in_ones_own_request_is_as_if_it_were_not_there(stage: Stage) -> None:
    """Each id that a request names, in path, query or body, is exchanged in turn; all others are the caller's own."""
    who, own, theirs = stage.callers["B"], stage.other.ids, stage.mine.ids
    wrong: list[Any] = []
    tried = 0
    stage.snapshot.restore()
    for row in ROWS:
        named = Noted(own)
        await ask(who, row, named)
        stage.snapshot.restore()
        for name in sorted(named.asked - OF_EVERYBODY):
            there = await told(stage, who, row, {**own, name: theirs[name]})
            nowhere = await told(stage, who, row, {**own, name: unknown(name)})
            tried += 1
            if name in PARENTS and (there[0], nowhere[0]) == (403, 404):
                continue
            found = differences(there, nowhere)
            wrong += [(row.route, name, found)] if found else []
    assert wrong == []
    assert tried > len(ROWS)


async def test_an_id_made_up_by_a_caller_does_not_tell_what_another_tenant_has(stage: Stage) -> None:  # section 4
    who, own = stage.callers["B"], stage.other.ids
    stage.snapshot.restore()
    for row in ROWS:
        given = body(row.method, row.path, own)
        if row.method != "POST" or row.cells["B"] == "4" or "data" not in (given or {}) or "id" in given["data"]:
            continue
        statuses = set()
        kind = given["data"]["type"]
        if kind in MAKES_NOTHING:
            continue
        for made_up in (UNKNOWN, stage.mine.ids[NAMES.get(kind, f"{kind.replace('-', '_')}_id")]):
            given["data"]["id"] = made_up
            answer = await who.call(row.method, row.path.format_map(own), given)
            stage.snapshot.restore()
            statuses.add(answer.status_code)
            assert answer.status_code != 409, f"{row.route}: {answer.text}"
        assert len(statuses) == 1, row.route


async def test_the_log_of_a_refusal_does_not_say_whose_another_tenants_place_is(stage: Stage) -> None:
    who, theirs, tenant_id = stage.callers["B"], stage.mine.ids, stage.other.tenant.id
    workspace = relationship("workspace", theirs["workspace_id"])
    flow = body("POST", "/v2/flows", stage.other.ids)
    flow["data"]["relationships"]["workspace"] = workspace
    for path, content, target in (
        (f"/v2/contracts/{theirs['contract_id']}/suspend", None, theirs["contract_id"]),
        ("/v2/flows", flow, theirs["workspace_id"]),
    ):
        assert (await who.post(path, content)).status_code == 403
        trail = await who.get(f"/v2/tenants/{tenant_id}/audit-events?page[size]=1000")
        assert theirs["tenant_id"] not in trail.text
        assert target in trail.text
    stage.snapshot.restore()
