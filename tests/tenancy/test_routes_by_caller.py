"""Every route for every caller: what they get, what they change, what they see (issue 4.2, invariant 1).

What is expected is in `support.tenancy.table`. All requests are valid and name what exists, so that a refusal is due to
the caller's standing alone; the installation is put back after each that was not refused.
"""

from collections.abc import Mapping

import httpx2
import pytest

from support.tenancy.stage import Stage, ask
from support.tenancy.table import CALLERS, COLUMNS, OF_ANOTHER_TENANT, PUBLIC, rows

ROWS = list(rows())
CODES = {403: {"forbidden"}, 404: {"not_found", "related_not_found"}}
SUCCESS = "y"

# fmt: off
SEEN: dict[str, str] = {
    # what                         by whom: TDOIGSN sn Bb Vv
    "email of a member":                   "yyyyy.. .. .. y.",
    "email of a user":                     "yyyyyy. .. .. y.",  # invited to the contract
    "component title":                     "yyyyy.y y. .. y.",  # shared in the tenant
    "env var":                             "yy..... .. .. y.",
    "owner's key":                         "yy..... .. .. y.",  # in the component's variables
    "OAuth client id":                     "y.yy... .. .. y.",  # in authorization URLs
    "OAuth client secret":                 "y...... .. .. y.",
    "new secret":                           "....... .. .. ..",  # of a rotation
    "deleted name":                         "yyyy... .. .. y.",
    "deleted secret":                       "....... .. .. ..",  # of a client that can be restored
    "auth client name":                    "yyyyy.. y. .. y.",
    "auth client secret":                  "yyyyy.. .. .. y.",  # a guest holds get permission at the client's own scope
    "secret name":                         "..yyy.. y. .. y.",
    "access token of a secret":            "..yy... y. .. y.",
    "credential name":                     "..yyy.. y. .. y.",
    "access token of a credential":        "..yy... y. .. y.",
    "refresh token":                       "..yy... y. .. y.",
    "state of a consent":                  "...y... .. .. ..",  # who started it
    "flow name":                           "y.yyy.. y. .. y.",  # for its admins: what uses an OAuth client (0.15)
    "webhook":                             "y...... .. .. y.",
    "webhook secret":                      "....... .. .. ..",  # shown once
    "custom data":                         "y...... .. .. y.",
    "registry password":                   "....... .. .. ..",
    "API key":                             "....... .. .. ..",
    "service account":                     "....... .. .. y.",
    "display name":                        "y...... .. .. y.",
    "setup link":                          "....... .. .. ..",  # shown once
    "connect link":                        "....... .. .. ..",  # shown once
}
"""Which values of the tenant occur in any answer to a caller."""
# fmt: on


def test_every_route_has_a_row(stage: Stage) -> None:
    found = stage.routes()
    asked = [(row.method, row.path) for row in ROWS]
    assert len(asked) == len(set(asked))
    assert {(method, path) for method, path in found if path not in PUBLIC} == {row.route for row in ROWS}
    assert {path for _, path in found} >= set(PUBLIC)


def test_every_value_has_a_row(stage: Stage) -> None:
    assert set(SEEN) == set(stage.mine.canaries)


@pytest.mark.parametrize("column", CALLERS)
async def test_what_a_caller_gets_changes_and_sees(stage: Stage, column: str) -> None:
    stage.snapshot.restore()
    before = digests(stage, column)
    heard, wrong = "", []
    for row in sorted(ROWS, key=lambda row: row.cells[column] == SUCCESS):  # refusals first, which change nothing
        answer = await ask(stage.callers[column], row, stage.mine.ids)
        heard += f"{answer.headers}{answer.text}\n"
        if is_wrong(answer, row.expected(column), refused=row.cells[column] != SUCCESS):
            wrong.append(f"{row.section} {row.method} {row.path}: {answer.status_code} {answer.text[:300]}")
        if row.cells[column] == SUCCESS and row.method != "GET":
            if digests(stage, column) == before and not row.is_idle:
                wrong.append(f"{row.section} {row.method} {row.path}: changed nothing")
            stage.snapshot.restore()
    assert wrong == []
    assert digests(stage, column) == before
    seen = {what for what, value in stage.mine.canaries.items() if value in heard}
    assert seen == {what for what, by in SEEN.items() if dict(zip(COLUMNS, by, strict=True))[column] == SUCCESS}


def digests(stage: Stage, column: str) -> Mapping[str, str]:
    """Of all rows but those that tell of refusals, which are written in the log of the caller's tenant."""
    tenant_id = stage.mine.tenant.id
    return stage.snapshot.digests(audit_of=tenant_id if column in OF_ANOTHER_TENANT else None)


def is_wrong(answer: httpx2.Response, status: int, *, refused: bool) -> bool:
    if answer.status_code != status:
        return True
    return refused and not {error["code"] for error in answer.json()["errors"]} <= CODES[status]


async def test_nobody_gets_in_without_a_good_key(stage: Stage) -> None:  # section 2
    wrong = [
        f"{why}: {row.method} {row.path}: {answer.status_code}"
        for why, who in stage.locked_out.items()
        for row in ROWS
        if (answer := await ask(who, row, stage.mine.ids)).status_code != 401
        or answer.json()["errors"][0]["code"] != "unauthorized"
    ]
    assert wrong == []


async def test_what_is_public_is_the_same_for_all(stage: Stage) -> None:
    callers = [stage.callers["T"], stage.callers["B"], stage.callers["v"]]
    for path in sorted(set(PUBLIC) - {"/metrics"}):
        answers = [
            await who.get(path.format_map({**stage.mine.ids, "name": "docs.js", "issuer_name": "unknown"}))
            for who in (*callers, stage.locked_out["no key"])
        ]
        assert len({answer.status_code for answer in answers}) == 1, path
        for answer in answers:
            assert [what for what, value in stage.mine.canaries.items() if value in answer.text] == [], path


@pytest.mark.parametrize("unknown", ["0" * 24, "nonsense", "%00", "A" * 5000, "..%2f", "%F0%9F%A6%86"])
async def test_an_unknown_or_malformed_id_is_404(stage: Stage, unknown: str) -> None:  # sections 1 and 3
    ids = {**dict.fromkeys(stage.mine.ids, unknown), "step_id": "step_1"}
    for column in "TBs":
        for row in ROWS:
            if "{" not in row.path.partition("?")[0]:
                continue
            answer = await ask(stage.callers[column], row, ids)
            no_profile = column == "s" and row.path.startswith("/v2/users/me/") and unknown != "%00"  # judged first
            wanted = 403 if no_profile else 404
            assert answer.status_code == wanted, f"{column} {row.section} {row.method} {row.path}: {answer.text}"
            code = answer.json()["errors"][0]["code"]
            assert code == ("forbidden" if wanted == 403 else "not_found"), f"{row.method} {row.path}"
