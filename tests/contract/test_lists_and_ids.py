"""Paging, order, `type` and `id` in requests: contract section 4."""

from typing import Any

import pytest

from support.app import Caller, World, error_of, relationship
from support.documents import ID, faults, ids, paging

UNKNOWN = "f" * 24
PERSON = {"first_name": "A", "last_name": "B", "email": "new@acme.example", "password": "correct h0rse"}
HOSTS = {"app_domain": "new.example", "code": "", "mandrill_email_from": ""}

ALWAYS_PAGED = [("/v2/users", 50, 4), ("/v2/contracts", 20, 3), ("/v2/workspaces", 20, 3)]
"""Path, default size and how many there are."""

PAGED_ON_REQUEST = [
    ("/v2/contracts/{contract}/members", 3),
    ("/v2/workspaces/{workspace}/members", 3),
    ("/v2/teams?contract_id={contract}", 3),
    ("/v2/users/me/api-keys", 3),
    ("/v2/tenants", 1),
]


@pytest.fixture(scope="module")
async def three(keyrack_to_read: World) -> World:
    """Acme with three contracts, workspaces, teams and API keys of its admin."""
    acme = keyrack_to_read.tenants["Acme"]
    for name in ("Second", "Third"):
        made = await acme.admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": {"name": name}}})
        assert made.status_code == 201
        related = {"contract": relationship("contract", acme.contract_id)}
        for path, data in (
            ("/v2/workspaces", {"type": "workspace", "attributes": {"name": name}, "relationships": related}),
            ("/v2/teams", {"type": "team", "attributes": {"name": name}, "relationships": related}),
            ("/v2/users/me/api-keys", {"type": "api-key", "attributes": {"name": name}}),
        ):
            assert (await acme.admin.post(path, {"data": data})).is_success
    return keyrack_to_read


def fill(world: World, path: str) -> str:
    acme = world.tenants["Acme"]
    return path.format(tenant=acme.id, contract=acme.contract_id, workspace=acme.workspace_id, team=acme.team_id)


def paged(path: str, query: str) -> str:
    return f"{path}{'&' if '?' in path else '?'}{query}"


@pytest.mark.parametrize(("path", "size", "total"), ALWAYS_PAGED)
async def test_lists_that_are_always_paged(three: World, path: str, size: int, total: int) -> None:
    admin = three.tenants["Acme"].admin
    whole = await admin.get(path)
    assert whole.json()["meta"] == paging(1, size, total)
    assert ids(whole) == sorted(ids(whole)), "by id, which is creation order"
    assert len(ids(whole)) == total
    seen: list[str] = []
    for number in range(1, total + 1):
        page = await admin.get(f"{path}?page[size]=1&page[number]={number}")
        assert page.json()["meta"] == paging(number, 1, total)
        seen += ids(page)
    assert seen == ids(whole)


@pytest.mark.parametrize(("path", "total"), PAGED_ON_REQUEST)
async def test_lists_that_are_paged_on_request(three: World, path: str, total: int) -> None:
    admin, path = three.tenants["Acme"].admin, fill(three, path)
    whole = await admin.get(path)
    assert whole.json()["meta"] == {}
    assert ids(whole) == sorted(ids(whole))
    assert len(ids(whole)) == total
    page = await admin.get(paged(path, "page[size]=2&page[number]=2"))
    assert page.json()["meta"] == paging(2, 2, total)
    assert ids(page) == ids(whole)[2:4]
    numbered = await admin.get(paged(path, "page[number]=1"))
    assert numbered.json()["meta"] == paging(1, 50, total), "any page[...] is honoured"


@pytest.mark.parametrize("path", [row[0] for row in ALWAYS_PAGED] + [row[0] for row in PAGED_ON_REQUEST])
async def test_a_page_past_the_end_is_200_and_empty(three: World, path: str) -> None:
    answer = await three.tenants["Acme"].admin.get(paged(fill(three, path), "page[size]=2&page[number]=1000000"))
    assert ids(answer) == []
    assert answer.json()["meta"]["page"] == 1_000_000


@pytest.mark.parametrize("query", ["page[size]=2&page[number]=2", "page%5Bsize%5D=2&page%5bnumber%5d=2"])
async def test_brackets_raw_and_encoded(three: World, query: str) -> None:  # section 1
    answer = await three.tenants["Acme"].admin.get(f"/v2/contracts?{query}")
    assert answer.json()["meta"] == paging(2, 2, 3)


@pytest.mark.parametrize("path", [row[0] for row in ALWAYS_PAGED] + [row[0] for row in PAGED_ON_REQUEST])
@pytest.mark.parametrize("size", ["0", "-1", "1001", "1.5", "ten", "", "1e2", "+1", "٣", "9" * 30])
async def test_a_wrong_size_is_400_and_never_clamped(three: World, path: str, size: str) -> None:
    answer = await three.tenants["Acme"].admin.get(paged(fill(three, path), f"page[size]={size}".replace("+", "%2B")))
    assert answer.status_code == 400
    assert faults(answer) == {"page[size]"}


@pytest.mark.parametrize("number", ["0", "-1", "1.5", "x", ""])
async def test_a_wrong_number_is_400(three: World, number: str) -> None:
    answer = await three.tenants["Acme"].admin.get(f"/v2/workspaces?page[number]={number}")
    assert answer.status_code == 400
    assert faults(answer) == {"page[number]"}


async def test_a_thousand_is_a_size(three: World) -> None:
    answer = await three.tenants["Acme"].admin.get("/v2/users?page[size]=1000")
    assert answer.json()["meta"] == paging(1, 1000, 4)


async def test_an_empty_list_has_no_pages(three: World) -> None:
    answer = await three.tenants["Acme"].stranger.get("/v2/contracts")
    assert answer.json() == {"data": [], "meta": paging(1, 20, 0)}


def valid(world: World, kind: str) -> tuple[Caller, str, dict[str, Any]]:
    """Who creates a resource of a kind, where, and the request's data."""
    acme = world.tenants["Acme"]
    related = {"contract": relationship("contract", acme.contract_id)}
    rows: dict[str, tuple[Caller, str, dict[str, Any]]] = {
        "tenant": (world.support, "/v2/tenants", {"attributes": {"name": "New", **HOSTS}}),
        "contract": (acme.admin, "/v2/contracts", {"attributes": {"name": "New"}}),
        "workspace": (acme.admin, "/v2/workspaces", {"attributes": {"name": "New"}, "relationships": related}),
        "user": (acme.admin, "/v2/users", {"attributes": PERSON}),
        "team": (acme.admin, "/v2/teams", {"attributes": {"name": "new"}, "relationships": related}),
        "api-key": (acme.admin, "/v2/users/me/api-keys", {"attributes": {"name": "new"}}),
        "contract-member": (
            acme.admin,
            f"/v2/contracts/{acme.contract_id}/members",
            {"id": acme.stranger.id, "attributes": {"roles": ["member"]}},
        ),
    }
    return rows[kind]


KINDS = ["tenant", "contract", "workspace", "user", "team", "api-key", "contract-member"]


@pytest.mark.parametrize("kind", KINDS)
async def test_another_type_is_409(keyrack_to_read: World, kind: str) -> None:
    who, path, data = valid(keyrack_to_read, kind)
    for wrong in ("credential", kind + "s", kind.upper(), ""):
        answer = await who.post(path, {"data": {**data, "type": wrong}})
        assert error_of(answer) == (409, "type_conflict", "/data/type"), wrong


@pytest.mark.parametrize("kind", KINDS)
async def test_a_missing_type_is_400_but_for_teams(keyrack: World, kind: str) -> None:
    who, path, data = valid(keyrack, kind)
    answer = await who.post(path, {"data": data})
    if kind == "team":
        assert answer.status_code == 201
    else:
        assert error_of(answer) == (400, "validation_error", "/data/type")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_type_that_is_no_text_is_400(keyrack_to_read: World, kind: str) -> None:
    who, path, data = valid(keyrack_to_read, kind)
    answer = await who.post(path, {"data": {**data, "type": 5}})
    assert error_of(answer) == (400, "validation_error", "/data/type")


@pytest.mark.parametrize("kind", ["workspace", "team"])
async def test_another_type_in_a_linkage_is_400(keyrack_to_read: World, kind: str) -> None:
    who, path, data = valid(keyrack_to_read, kind)
    related = {"contract": relationship("workspace", keyrack_to_read.tenants["Acme"].contract_id)}
    answer = await who.post(path, {"data": {**data, "type": kind, "relationships": related}})
    assert error_of(answer) == (400, "validation_error", "/data/relationships/contract/data/type")


@pytest.mark.parametrize("kind", ["workspace", "team"])
async def test_an_unknown_contract_in_a_linkage_is_404(keyrack_to_read: World, kind: str) -> None:  # section 3
    who, path, data = valid(keyrack_to_read, kind)
    for unknown in (UNKNOWN, "nonsense"):
        related = {"contract": relationship("contract", unknown)}
        answer = await who.post(path, {"data": {**data, "type": kind, "relationships": related}})
        assert error_of(answer) == (404, "related_not_found", "/data/relationships/contract/data/id")


@pytest.mark.parametrize("kind", ["tenant", "contract", "workspace", "user", "team"])
async def test_an_id_made_up_by_the_client(keyrack: World, kind: str) -> None:
    who, path, data = valid(keyrack, kind)
    for name, tenant in keyrack.tenants.items():
        taken = {
            "tenant": tenant.id,
            "contract": tenant.contract_id,
            "workspace": tenant.workspace_id,
            "user": tenant.guest.id,
            "team": tenant.team_id,
        }[kind]
        if name == "Globex" and who is not keyrack.support:
            continue  # what another tenant has is not told: tests/tenancy/test_existence.py
        answer = await who.post(path, {"data": {**data, "type": kind, "id": taken}})
        assert error_of(answer) == (409, "id_conflict", "/data/id"), "it exists"
    answer = await who.post(path, {"data": {**data, "type": kind, "id": 5}})
    assert error_of(answer) == (400, "validation_error", "/data/id")
    made = await who.post(path, {"data": {**data, "type": kind, "id": UNKNOWN}})
    assert made.is_success
    assert made.json()["data"]["id"] != UNKNOWN, "the server assigns ids"
    assert ID.fullmatch(made.json()["data"]["id"])
