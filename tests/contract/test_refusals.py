"""The error document, which refusal comes first, and what is told together: contract section 3."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from support.app import Caller, World, error_of, settings_for, world
from support.documents import faults

WRONG = "0" * 24
PERSON = {"first_name": "A", "last_name": "B", "email": "new@acme.example", "password": "correct h0rse"}


def fill(world: World, path: str) -> str:
    acme = world.tenants["Acme"]
    return path.format(tenant=acme.id, contract=acme.contract_id, workspace=acme.workspace_id, team=acme.team_id)


def who(world: World, name: str) -> Caller:
    caller: Caller = getattr(world.tenants["Acme"], name)
    return caller


PAGE_SIZE, CONTRACT_ID = {"parameter": "page[size]"}, {"parameter": "contract_id"}
# fmt: off
DOCUMENTS: list[tuple[str, str, str, bytes, int, str, dict[str, str] | None]] = [
    # caller,      method, path,                        body,   status, code,               source
    ("admin",      "POST", "/v2/contracts",             b"{",      400, "bad_request",      None),
    ("admin",      "POST", "/v2/contracts",             b"",       400, "bad_request",      None),
    ("admin",      "POST", "/v2/contracts",             b"[]",     400, "validation_error", {"pointer": ""}),
    ("admin",      "POST", "/v2/contracts",             b"{}",     400, "validation_error", {"pointer": "/data"}),
    ("admin",      "GET",  "/v2/users?page[size]=0",    b"",       400, "validation_error", PAGE_SIZE),
    ("admin",      "GET",  "/v2/teams",                 b"",       400, "validation_error", CONTRACT_ID),
    ("integrator", "GET",  "/v2/tenants/{tenant}",      b"",       403, "forbidden",        None),
    ("admin",      "GET",  "/v2/nothing",               b"",       404, "not_found",        None),
    ("admin",      "GET",  "/v2/contracts/" + WRONG,    b"",       404, "not_found",        None),
    ("admin",      "PUT",  "/v2/contracts",             b"",       405, "method_not_allowed", None),
    ("admin",      "POST", "/v2/contracts",             b"a" * (1 << 20) + b"b", 413, "payload_too_large", None),
]
# fmt: on


@pytest.mark.parametrize(("caller", "method", "path", "content", "status", "code", "source"), DOCUMENTS)
async def test_the_error_document(
    keyrack_to_read: World,
    caller: str,
    method: str,
    path: str,
    content: bytes,
    status: int,
    code: str,
    source: dict[str, str] | None,
) -> None:
    answer = await who(keyrack_to_read, caller).call(method, fill(keyrack_to_read, path), content=content)
    detail = answer.json()["errors"][0]["detail"]
    error = {"status": str(status), "code": code, "title": HTTPStatus(status).phrase, "detail": detail}
    if source is not None:
        error["source"] = source
    assert answer.status_code == status
    assert answer.json() == {"errors": [error], "meta": {}}
    assert detail


async def test_too_many_requests_say_when_to_come_back(tmp_path: Path) -> None:  # 3: 429 with Retry-After, 0.18
    async with world(settings_for(tmp_path, rate_limit="2")) as limited:
        admin = limited.tenants["Acme"].admin
        answers = [await admin.get("/v2/permissions") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert error_of(answers[-1]) == (429, "rate_limited", None)
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        other = await limited.tenants["Acme"].integrator.get("/v2/permissions")
        assert other.status_code == 200, "each caller has its own measure"


ALLOWED = [
    ("/v2/permissions", {"GET"}),
    ("/v2/tenants", {"GET", "POST"}),
    ("/v2/tenants/{tenant}", {"GET", "PATCH", "DELETE"}),
    ("/v2/tenants/{tenant}/roles", {"GET", "PATCH"}),
    ("/v2/tenants/{tenant}/audit-events", {"GET"}),
    ("/v2/tenants/{tenant}/oauth-clients", {"GET", "POST"}),
    ("/v2/contracts", {"GET", "POST"}),
    ("/v2/contracts/{contract}", {"GET", "PATCH", "DELETE"}),
    ("/v2/contracts/{contract}/members", {"GET", "POST"}),
    ("/v2/workspaces", {"GET", "POST"}),
    ("/v2/workspaces/{workspace}", {"GET", "PATCH", "DELETE"}),
    ("/v2/workspaces/{workspace}/members", {"GET", "POST"}),
    ("/v2/users", {"GET", "POST"}),
    ("/v2/users/me/api-keys", {"GET", "POST"}),
    ("/v2/teams", {"GET", "POST"}),
    ("/v2/teams/{team}/relationships/members", {"POST", "DELETE"}),
]


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "QUERY"])
@pytest.mark.parametrize(("path", "allowed"), ALLOWED)
async def test_405_lists_what_is_allowed(keyrack_to_read: World, method: str, path: str, allowed: set[str]) -> None:
    answer = await who(keyrack_to_read, "admin").call(method, fill(keyrack_to_read, path))
    assert answer.status_code == 405
    with_head = allowed | {"HEAD"} if "GET" in allowed else allowed  # contract 0.22
    assert {name.strip() for name in answer.headers["allow"].split(",")} == with_head


BAD = b"{"
HTML, TEXT = {"accept": "text/html"}, {"content-type": "text/plain"}
BROKEN = json.dumps({"data": {"type": "contract"}}).encode()
MEMBERS = "/v2/contracts/{contract}/members"
TEAM_MEMBERS = f"/v2/teams/{WRONG}/relationships/members"
ONE_CLIENT = "/v2/tenants/{tenant}/oauth-clients/" + WRONG
# fmt: off
ORDER: list[tuple[str, str, str, str, dict[str, str], bytes, int, str]] = [
    # what comes first,           caller,     method,  path,                   headers, body, status, code
    ("unknown route before 406", "admin",     "GET",   "/v2/nothing",          HTML,    b"",  404, "not_found"),
    ("405 before 406",           "admin",     "PUT",   "/v2/contracts",        HTML, b"", 405, "method_not_allowed"),
    ("406 before unparsable",    "admin",     "POST",  "/v2/contracts",        HTML,    BAD,  406, "not_acceptable"),
    ("406 before unparsable",    "admin",     "POST",  "/v2/contracts",        TEXT,    BAD,  406, "not_acceptable"),
    ("406 before the parent",    "admin",     "GET",   "/v2/tenants/" + WRONG, HTML,    b"",  406, "not_acceptable"),
    ("unparsable before parent", "admin",     "POST",  f"/v2/contracts/{WRONG}/members", {}, BAD, 400, "bad_request"),
    ("unparsable before 403",    "stranger",  "POST",  MEMBERS,                {},      BAD,  400, "bad_request"),
    ("parent before 403",        "stranger",  "GET",   "/v2/tenants/" + WRONG, {},      b"",  404, "not_found"),
    ("parent before validation", "admin",     "POST",  f"/v2/contracts/{WRONG}/members", {}, BROKEN, 404, "not_found"),
    ("403 before validation",    "stranger",  "POST",  MEMBERS,                {},      BROKEN, 403, "forbidden"),
    ("403 before validation",    "integrator", "POST", "/v2/contracts",        {},      BROKEN, 403, "forbidden"),
    ("403 before validation",    "integrator", "POST", "/v2/users",            {},      BROKEN, 403, "forbidden"),
    ("403 before validation",    "admin",     "POST",  "/v2/tenants",          {},      BROKEN, 403, "forbidden"),
    ("target before validation", "admin",     "POST",  TEAM_MEMBERS,        {},      BROKEN, 404, "not_found"),
    ("403 before the target",    "integrator", "GET",  ONE_CLIENT,            {},      b"", 403, "forbidden"),
]
# fmt: on


@pytest.mark.parametrize(("what", "caller", "method", "path", "headers", "content", "status", "code"), ORDER)
async def test_what_comes_first(  # noqa: PLR0913, PLR0917 - a table's columns
    keyrack_to_read: World,
    what: str,
    caller: str,
    method: str,
    path: str,
    headers: dict[str, str],
    content: bytes,
    status: int,
    code: str,
) -> None:
    answer = await who(keyrack_to_read, caller).call(
        method, fill(keyrack_to_read, path), content=content, headers=headers
    )
    assert error_of(answer)[:2] == (status, code), what


def member(kind: str, user_id: str, *roles: str) -> dict[str, Any]:
    return {"data": {"type": kind, "id": user_id, "attributes": {"roles": list(roles)}}}


async def test_validation_before_related_before_state(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    empty = await acme.admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": {"name": "Empty"}}})
    path = f"/v2/contracts/{empty.json()['data']['id']}/members"

    async def refusal(body: dict[str, Any]) -> tuple[int, str, str | None]:
        return error_of(await acme.admin.post(path, body))

    assert await refusal(member("member", WRONG, "nonsense")) == (409, "type_conflict", "/data/type")
    roles = "/data/attributes/roles/0"
    assert await refusal(member("contract-member", WRONG, "nonsense")) == (400, "validation_error", roles)
    assert await refusal(member("contract-member", WRONG, "member")) == (404, "related_not_found", "/data/id")
    state = await refusal(member("contract-member", acme.integrator.id, "member"))
    assert state == (409, "state_conflict", "/data/attributes/roles")
    assert (await acme.admin.post(path, member("contract-member", acme.integrator.id, "owner"))).status_code == 200


# fmt: off
TOGETHER: list[tuple[str, dict[str, Any], set[str]]] = [
    ("/v2/contracts", {"type": "contract"}, {"/attributes"}),
    ("/v2/contracts", {"type": "contract", "attributes": {"name": "a", "available_roles": [{"role": 5}]}},
     {"/attributes/name", "/attributes/available_roles/0/role", "/attributes/available_roles/0/scope"}),
    ("/v2/contracts", {"attributes": {"name": 5}}, {"/type", "/attributes/name"}),
    ("/v2/contracts/{contract}/members", {"type": "contract-member"}, {"/id", "/attributes"}),
    ("/v2/contracts/{contract}/members", {"type": "contract-member", "id": 1, "attributes": {"roles": ["a", 5]}},
     {"/id", "/attributes/roles/1"}),
    ("/v2/contracts/{contract}/members", {"type": "contract-member", "id": WRONG, "attributes": {"roles": ["a", "b"]}},
     {"/attributes/roles/0", "/attributes/roles/1"}),
    ("/v2/workspaces", {"type": "workspace"}, {"/attributes", "/relationships"}),
    ("/v2/workspaces",
     {"type": "workspace", "attributes": {"name": "a b\n"}, "relationships": {"contract": {"data": {}}}},
     {"/attributes/name", "/relationships/contract/data/id", "/relationships/contract/data/type"}),
    ("/v2/workspaces/{workspace}/members", {"type": "member", "attributes": {}}, {"/id", "/attributes/roles"}),
    ("/v2/users", {"type": "user", "attributes": {}},
     {"/attributes/first_name", "/attributes/last_name", "/attributes/email", "/attributes/password"}),
    ("/v2/users", {"type": "user", "attributes": {"first_name": "", "email": "no", "password": "weak"}},
     {"/attributes/first_name", "/attributes/last_name", "/attributes/email", "/attributes/password"}),
    ("/v2/teams", {"attributes": {"name": "no spaces"}, "relationships": {}},
     {"/attributes/name", "/relationships/contract"}),
    ("/v2/teams/{team}/relationships/members", {}, {"/id", "/type"}),
    ("/v2/tenants", {"type": "tenant", "attributes": {}},
     {"/attributes/name", "/attributes/app_domain", "/attributes/code", "/attributes/mandrill_email_from"}),
    ("/v2/tenants", {"type": "tenant", "attributes": {"app_domain": "a b", "feature_flags": {"enabled_totp": 1}}},
     {"/attributes/name", "/attributes/app_domain", "/attributes/code", "/attributes/mandrill_email_from",
      "/attributes/feature_flags"}),
]
# fmt: on


@pytest.mark.parametrize(("path", "data", "pointers"), TOGETHER)
async def test_all_invalid_members_are_told_together(
    keyrack_to_read: World, path: str, data: dict[str, Any], pointers: set[str]
) -> None:
    caller = keyrack_to_read.support if path == "/v2/tenants" else who(keyrack_to_read, "admin")
    answer = await caller.post(fill(keyrack_to_read, path), {"data": data})
    assert answer.status_code == 400, answer.text
    assert faults(answer) == {f"/data{pointer}" for pointer in pointers}


async def test_both_paging_parameters_are_told_together(keyrack_to_read: World) -> None:
    answer = await who(keyrack_to_read, "admin").get("/v2/users?page[size]=x&page[number]=0")
    assert answer.status_code == 400
    assert faults(answer) == {"page[size]", "page[number]"}


@pytest.mark.parametrize("password", ["short1!", "no digits here!", "12345678!", "nospecial1", "ñandúes1"])
async def test_a_weak_password_is_400_and_never_repeated(keyrack_to_read: World, password: str) -> None:  # 11, 3
    body = {"data": {"type": "user", "attributes": {**PERSON, "password": password}}}
    answer = await who(keyrack_to_read, "admin").post("/v2/users", body)
    assert error_of(answer) == (400, "validation_error", "/data/attributes/password")
    assert password not in answer.text
