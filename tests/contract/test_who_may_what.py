"""Who may call which route: the permission columns of contract sections 0.2, 0.16, 6.4, 7 and 9 to 12.

One row a route and target. The columns are callers of tenant Acme, from many rights to none, then the admin of another
tenant, then the service account with every permission. Section 3 says which refusal it is: 403 for an existing parent
named in the path, 404 for what is addressed without a parent and not seen.
"""

from typing import Any

import pytest

from support.app import Caller, World, relationship

ADMIN, INTEGRATOR, STRANGER, ELSEWHERE, SERVICE = "admin", "integrator", "stranger", "other tenant's admin", "service"
COLUMNS = (ADMIN, INTEGRATOR, STRANGER, ELSEWHERE, SERVICE)

# fmt: off
READS: list[tuple[str, str, tuple[int, ...]]] = [
    # section, path                                admin integr. stranger other service
    ("0.2",  "/v2/users/me/api-keys",                (200, 200, 200, 200, 403)),
    ("0.16", "/v2/tenants/{tenant}/audit-events",    (200, 403, 403, 403, 200)),
    ("6.4",  "/v2/permissions",                      (200, 200, 200, 200, 200)),
    ("6.4",  "/v2/tenants/{tenant}/roles",           (200, 403, 403, 403, 200)),
    ("6.4",  "/v2/contracts/{contract}/roles",       (200, 200, 403, 403, 200)),
    ("7",    "/v2/tenants",                          (200, 403, 403, 200, 200)),
    ("7",    "/v2/tenants/{tenant}",                 (200, 403, 403, 403, 200)),
    ("9",    "/v2/contracts",                        (200, 200, 200, 200, 200)),
    ("9",    "/v2/contracts/{contract}",             (200, 200, 403, 403, 200)),
    ("9",    "/v2/contracts/{contract}/members",     (200, 200, 403, 403, 200)),
    ("9",    "/v2/contracts/{contract}/invites",     (200, 200, 403, 403, 200)),
    ("10",   "/v2/workspaces",                       (200, 200, 200, 200, 200)),
    ("10",   "/v2/workspaces?contract_id={contract}", (200, 200, 403, 403, 200)),
    ("10",   "/v2/workspaces/{workspace}",           (200, 200, 403, 403, 200)),
    ("10",   "/v2/workspaces/{workspace}/members",   (200, 200, 403, 403, 200)),
    ("11",   "/v2/users/me",                         (200, 200, 200, 200, 403)),
    ("9",    "/v2/users/me/invites",                 (200, 200, 200, 200, 403)),
    ("11",   "/v2/users",                            (200, 403, 403, 200, 403)),
    ("11",   "/v2/users/{integrator}",               (200, 200, 404, 404, 200)),
    ("11",   "/v2/users/{stranger}",                 (200, 404, 200, 404, 200)),
    ("12",   "/v2/teams?contract_id={contract}",     (200, 200, 403, 403, 200)),
    ("12",   "/v2/teams/{team}",                     (200, 200, 404, 404, 200)),
]
"""Routes that read."""

WRITES: list[tuple[str, str, str, tuple[int, ...]]] = [
    # section, path, body                               admin integr. stranger other service
    ("0.2", "/v2/users/me/api-keys", "api-key",            (201, 201, 201, 201, 403)),
    ("7",  "/v2/tenants", "tenant",                        (403, 403, 403, 403, 201)),
    ("9",  "/v2/contracts", "contract",                    (201, 403, 403, 201, 403)),
    ("9",  "/v2/contracts/{contract}/members", "contract-member", (200, 403, 403, 403, 200)),
    ("9",  "/v2/contracts/{contract}/invites", "contract-invite", (200, 403, 403, 403, 200)),
    ("10", "/v2/workspaces", "workspace",                  (200, 200, 403, 403, 403)),
    ("10", "/v2/workspaces/{workspace}/members", "member", (200, 403, 403, 403, 200)),
    ("11", "/v2/users", "user",                            (201, 403, 403, 201, 403)),
    ("12", "/v2/teams", "team",                            (201, 403, 403, 403, 201)),
    ("12", "/v2/teams/{team}/relationships/members", "user-linkage", (200, 403, 404, 404, 200)),
]
"""Routes that write, with a body that is valid for all callers."""
# fmt: on


def caller(world: World, column: str) -> Caller:
    acme = world.tenants["Acme"]
    return {
        ADMIN: acme.admin,
        INTEGRATOR: acme.integrator,
        STRANGER: acme.stranger,
        ELSEWHERE: world.tenants["Globex"].admin,
        SERVICE: world.support,
    }[column]


def fill(world: World, path: str) -> str:
    acme = world.tenants["Acme"]
    return path.format(
        tenant=acme.id,
        contract=acme.contract_id,
        workspace=acme.workspace_id,
        team=acme.team_id,
        integrator=acme.integrator.id,
        stranger=acme.stranger.id,
    )


async def body(world: World, kind: str) -> Any:
    acme = world.tenants["Acme"]
    in_contract = {"contract": relationship("contract", acme.contract_id)}
    if kind == "member":  # somebody who is in the contract and not yet in the workspace
        joined = {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["member"]}}
        assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", {"data": joined})).status_code == 200
    hosts = {"app_domain": "new.example", "code": "", "mandrill_email_from": ""}
    person = {"first_name": "A", "last_name": "B", "email": "new@acme.example", "password": "correct h0rse"}
    bodies: dict[str, Any] = {
        "api-key": {"type": "api-key", "attributes": {"name": "laptop"}},
        "tenant": {"type": "tenant", "attributes": {"name": "New", **hosts}},
        "contract": {"type": "contract", "attributes": {"name": "New"}},
        "contract-member": {"type": kind, "id": acme.stranger.id, "attributes": {"roles": ["member"]}},
        "contract-invite": {"type": kind, "attributes": {"email": "new@acme.example", "roles": ["member"]}},
        "workspace": {"type": "workspace", "attributes": {"name": "New"}, "relationships": in_contract},
        "member": {"type": "member", "id": acme.stranger.id, "attributes": {"roles": ["guest"]}},
        "user": {"type": "user", "attributes": person},
        "team": {"type": "team", "relationships": in_contract},
        "user-linkage": {"type": "user", "id": acme.integrator.id},
    }
    return {"data": bodies[kind]}


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
@pytest.mark.parametrize(("section", "path", "statuses"), READS, ids=str)
async def test_reading(keyrack_to_read: World, section: str, path: str, statuses: tuple[int, ...], column: int) -> None:
    who = caller(keyrack_to_read, COLUMNS[column])
    answer = await who.get(fill(keyrack_to_read, path))
    assert answer.status_code == statuses[column], f"section {section}: {answer.text}"
    code = {200: None, 403: "forbidden", 404: "not_found"}[answer.status_code]
    assert code is None or [error["code"] for error in answer.json()["errors"]] == [code]


@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
@pytest.mark.parametrize(("section", "path", "kind", "statuses"), WRITES, ids=str)
async def test_writing(
    keyrack: World, section: str, path: str, kind: str, statuses: tuple[int, ...], column: int
) -> None:
    content = await body(keyrack, kind)
    answer = await caller(keyrack, COLUMNS[column]).post(fill(keyrack, path), content)
    assert answer.status_code == statuses[column], f"section {section}: {answer.text}"


ROUTES = [(section, "GET", path.partition("?")[0], "") for section, path, _ in READS] + [
    (section, "POST", path, kind) for section, path, kind, _ in WRITES
]


@pytest.mark.parametrize(("section", "method", "path", "kind"), ROUTES, ids=str)
async def test_nobody_gets_in_without_a_key(
    keyrack_to_read: World, section: str, method: str, path: str, kind: str
) -> None:
    content: Any = {"data": {}} if kind else None
    answer = await keyrack_to_read.http.request(method, fill(keyrack_to_read, path), json=content)
    assert answer.status_code == 401, f"section 2, {section}"


@pytest.mark.parametrize(("section", "method", "path", "kind"), [row for row in ROUTES if "{" in row[2]], ids=str)
@pytest.mark.parametrize("unknown", ["0" * 24, "nonsense", "%00", "A" * 5000, "..%2f", "%F0%9F%A6%86"])
async def test_an_unknown_or_malformed_id_is_404(
    keyrack_to_read: World, section: str, method: str, path: str, kind: str, unknown: str
) -> None:  # section 1: a malformed id behaves like an unknown one
    for name in ("{tenant}", "{contract}", "{workspace}", "{team}", "{integrator}", "{stranger}"):
        path = path.replace(name, unknown)
    who = keyrack_to_read.tenants["Acme"].admin
    answer = await who.call(method, path, {"data": {"type": kind}} if kind else None)
    assert answer.status_code == 404, f"section 1, {section}: {answer.text}"
    assert answer.json()["errors"][0]["code"] == "not_found"


async def test_every_route_of_these_sections_is_in_the_table(keyrack_to_read: World) -> None:
    described = (await keyrack_to_read.http.get("/openapi.json")).json()["paths"]
    mine = {"permissions", "tenants", "roles", "audit-events", "contracts", "workspaces", "members", "users", "me"}
    mine |= {
        "api-keys",
        "invites",
        "teams",
        "relationships",
        "suspend",
        "unsuspend",
    }  # what these sections call their collections

    def is_mine(path: str) -> bool:
        return path.startswith("/v2/") and mine.issuperset(name for name in path.split("/")[2:] if "{" not in name)

    found = {(method.upper(), path) for path, item in described.items() for method in item if is_mine(path)}
    generic = {"{tenant}": "{tenant_id}", "{contract}": "{contract_id}", "{workspace}": "{workspace_id}"}
    generic |= {"{team}": "{team_id}", "{integrator}": "{user_id}", "{stranger}": "{user_id}"}
    listed = set()
    for _, method, path, _ in ROUTES:
        for short, long in generic.items():
            path = path.replace(short, long)  # noqa: PLW2901 - translated name by name
        listed.add((method, path))
    listed.add(("DELETE", "/v2/users/me/api-keys/{key_id}"))  # test_authentication.py
    invites = "/v2/contracts/{contract_id}/invites"  # test_invites.py
    listed |= {("PATCH", f"{invites}/{{invite_id}}"), ("DELETE", f"{invites}/{{invite_id}}")}
    listed.add(("DELETE", "/v2/users/{user_id}"))  # test_deleting_users.py
    team = "/v2/teams/{team_id}"  # test_team_changes.py
    listed |= {("PATCH", team), ("DELETE", team), ("DELETE", f"{team}/relationships/members")}
    listed |= {("POST", f"/v2/contracts/{{contract_id}}/{action}") for action in ("suspend", "unsuspend")}
    for place in ("contract", "workspace"):  # test_contract_*.py, test_workspace_*.py, test_members_leaving.py
        listed |= {(method, f"/v2/{place}s/{{{place}_id}}") for method in ("PATCH", "DELETE")}
        listed |= {(method, f"/v2/{place}s/{{{place}_id}}/members/{{user_id}}") for method in ("PATCH", "DELETE")}
    listed |= {(method, "/v2/tenants/{tenant_id}") for method in ("PATCH", "DELETE")}  # test_tenant_changes.py
    listed.add(("PATCH", "/v2/tenants/{tenant_id}/roles"))  # test_role_policy.py
    listed.add(("PATCH", "/v2/tenants/{tenant_id}/members/{user_id}"))  # test_tenant_members.py
    assert found == listed
