"""Contracts and their members (contract section 9): whole documents and refusals."""

from typing import Any

import pytest

from support.app import TenantInTest, World, error_of, relationship
from support.documents import paging, rel, relation


def people(acme: TenantInTest) -> list[str]:
    return [acme.admin.id, acme.integrator.id, acme.guest.id]


def person(name: str, *roles: str) -> dict[str, Any]:
    return {"first_name": "First", "last_name": "Last", "email": f"{name}@acme.example", "roles": list(roles)}


async def test_contract(acme: TenantInTest) -> None:
    path = f"/v2/contracts/{acme.contract_id}"
    resource = {
        "id": acme.contract_id,
        "type": "contract",
        "links": {"self": path},
        "attributes": {"name": "Acme contract", "available_roles": [], "status": "active"},
        "relationships": {"members": relation("contract-member", people(acme), f"{path}/members/")},
    }
    document = {"data": resource, "meta": {}, "links": {"self": path}}
    assert (await acme.integrator.get(path)).json() == document
    listed = (await acme.integrator.get("/v2/contracts")).json()
    assert listed == {"data": [resource], "meta": paging(1, 20, 1)}
    included = (await acme.integrator.get(f"{path}?include=members")).json()
    members = (await acme.integrator.get(f"{path}/members")).json()["data"]
    assert included == document | {"included": members}


async def test_contract_created_without_members(acme: TenantInTest) -> None:  # 0.11
    roles = [{"scope": "contracts", "role": "member"}]
    attributes = {"name": "Fresh", "available_roles": roles, "custom_data": {"any": [1, None]}}
    made = await acme.admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": attributes}})
    document = made.json()
    contract = document["data"]["id"]
    owners = [{"scope": scope, "role": "owner"} for scope in ("contracts", "workspaces")]
    assert made.status_code == 201
    assert document == {
        "data": {
            "id": contract,
            "type": "contract",
            "links": {"self": f"/v2/contracts/{contract}"},
            "attributes": attributes | {"available_roles": roles + owners, "status": "active"},
            "relationships": {"members": relation("contract-member", [], f"/v2/contracts/{contract}/members/")},
        },
        "meta": {},
    }
    body = {"type": "contract-member", "id": acme.integrator.id, "attributes": {"roles": ["owner", "member"]}}
    assert (await acme.admin.post(f"/v2/contracts/{contract}/members", {"data": body})).status_code == 200
    seen = (await acme.integrator.get(f"/v2/contracts/{contract}")).json()["data"]["attributes"]
    assert "custom_data" not in seen, "only for holders of contracts.contract.get_custom_data"
    seen = (await acme.admin.get(f"/v2/contracts/{contract}")).json()["data"]["attributes"]
    assert seen["custom_data"] == {"any": [1, None]}


NAMES = [("abc", True), ("a" * 40, True), ("A-b_c 9", True), ("ab", False), ("a" * 41, False)]
NAMES += [("naïve", False), ("a.b", False), ("abc\n", False), ("", False), ("a/b", False)]


@pytest.mark.parametrize(("name", "valid"), NAMES)
@pytest.mark.parametrize("kind", ["contract", "workspace"])
async def test_contract_and_workspace_names(acme: TenantInTest, kind: str, name: str, valid: bool) -> None:
    data: dict[str, Any] = {"type": kind, "attributes": {"name": name}}
    data["relationships"] = {"contract": relationship("contract", acme.contract_id)}
    answer = await acme.admin.post(f"/v2/{kind}s", {"data": data})
    if valid:
        assert answer.json()["data"]["attributes"]["name"] == name
    else:
        assert error_of(answer) == (400, "validation_error", "/data/attributes/name")


@pytest.mark.parametrize("pair", [{"scope": "contracts", "role": "nobody"}, {"scope": "contracts", "role": "guest"}])
async def test_contract_with_a_role_the_tenant_has_not(acme: TenantInTest, pair: dict[str, str]) -> None:
    attributes = {"name": "Fresh", "available_roles": [{"scope": "contracts", "role": "admin"}, pair]}
    answer = await acme.admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": attributes}})
    assert error_of(answer) == (400, "validation_error", "/data/attributes/available_roles/1")


async def test_contract_members(acme: TenantInTest) -> None:
    path = f"/v2/contracts/{acme.contract_id}/members"
    rows = [(acme.admin, "admin", ("owner", "admin")), (acme.integrator, "integrator", ("member",))]
    rows.append((acme.guest, "guest", ("member",)))
    members = [
        {
            "id": who.id,
            "type": "contract-member",
            "attributes": person(name, *roles),
            "relationships": {"user": rel("user", who.id)},
        }
        for who, name, roles in rows
    ]
    listed = await acme.integrator.get(path)
    assert listed.json() == {"data": members, "meta": {}, "links": {"self": path}}
    body = {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["admin"]}}
    made = await acme.admin.post(path, {"data": body})
    attributes = person("stranger", "admin")
    user = {"user": rel("user", acme.stranger.id)}
    assert made.status_code == 200, "not 201"
    assert made.json() == {"data": {**body, "attributes": attributes, "relationships": user}, "meta": {}}
    again = await acme.admin.post(path, {"data": body})
    assert error_of(again) == (409, "already_exists", "/data/id")


async def test_contract_member_of_another_tenant_is_404(keyrack: World, acme: TenantInTest) -> None:
    foreign = keyrack.tenants["Globex"].stranger.id
    body = {"type": "contract-member", "id": foreign, "attributes": {"roles": ["member"]}}
    answer = await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", {"data": body})
    assert error_of(answer) == (404, "related_not_found", "/data/id")
