"""Changing a contract (contract section 9): a permission for each attribute, available roles, custom data."""

from typing import Any

import pytest
from sqlalchemy import update

from keyrack.store.schema import roles
from support.app import Caller, TenantInTest, World, error_of
from support.secrets import resource

ROLES = "/data/attributes/available_roles"
CUSTOM = "/data/attributes/custom_data"


def path_of(acme: TenantInTest) -> str:
    return f"/v2/contracts/{acme.contract_id}"


def body(**attributes: Any) -> dict[str, Any]:
    return {"data": {"attributes": attributes}}  # without a type, as the documented example has it


def pairs(*named: str) -> list[dict[str, str]]:
    return [dict(zip(("scope", "role"), role.split("."), strict=True)) for role in named]


async def test_what_is_named_changes_and_the_rest_stays(acme: TenantInTest) -> None:
    before = resource(await acme.admin.get(path_of(acme)))
    renamed = await acme.admin.patch(path_of(acme), body(name="Another name", colour="blue", status="suspended"))
    assert renamed.json() == {
        "data": before | {"attributes": before["attributes"] | {"name": "Another name"}},
        "meta": {},
    }
    noted = resource(await acme.admin.patch(path_of(acme), body(custom_data=[{"any": None}, 1])))
    assert noted["attributes"] == renamed.json()["data"]["attributes"] | {"custom_data": [{"any": None}, 1]}
    assert resource(await acme.admin.get(path_of(acme))) == noted
    emptied = resource(await acme.admin.patch(path_of(acme), body(custom_data=None)))
    assert emptied == renamed.json()["data"]
    assert resource(await acme.admin.patch(path_of(acme), {"data": {}})) == emptied


# fmt: off
WHO = [
    # attribute,        tenant admin, contract owner, integrator, other's admin, service account with the permission
    ("name",            200,          200,            403,        403,                  200),
    ("available_roles", 200,          403,            403,        403,                  200),
    ("custom_data",     200,          403,            403,        403,                  200),
]
# fmt: on
PERMISSIONS = {"name": "edit", "available_roles": "edit_available_roles", "custom_data": "edit_custom_data"}


@pytest.mark.parametrize(("attribute", "admin", "owner", "integrator", "elsewhere", "service"), WHO)
async def test_each_attribute_needs_its_own_permission(
    keyrack: World,
    acme: TenantInTest,
    attribute: str,
    admin: int,
    owner: int,
    integrator: int,
    elsewhere: int,
    service: int,
) -> None:
    value: Any = {"name": "New name", "available_roles": [], "custom_data": {}}[attribute]
    the_owner = await keyrack.add_user(acme.id, "owner@acme.example")
    member = {"type": "contract-member", "id": the_owner.id, "attributes": {"roles": ["owner"]}}
    assert (await acme.admin.post(f"{path_of(acme)}/members", {"data": member})).status_code == 200
    able = await keyrack.add_service_account(f"contracts.contract.{PERMISSIONS[attribute]}")
    callers = {acme.admin: admin, the_owner: owner, acme.integrator: integrator, able: service}
    callers[keyrack.tenants["Globex"].admin] = elsewhere
    for who, status in callers.items():
        answer = await who.patch(path_of(acme), body(**{attribute: value}))
        assert answer.status_code == status, answer.text
        if attribute == "name" and status == 200:
            everything = body(name="Other name", custom_data=1)
            assert (await who.patch(path_of(acme), everything)).status_code == (200 if who is acme.admin else 403)
    refused = await the_owner.patch(path_of(acme), body(custom_data=1, name="x"))
    assert error_of(refused)[:2] == (403, "forbidden"), "section 3: the permission comes before the body"


async def test_custom_data_is_for_those_who_may_see_it(keyrack: World, acme: TenantInTest) -> None:
    writer = await keyrack.add_service_account("contracts.contract.edit_custom_data")
    reader = await keyrack.add_service_account("contracts.contract.get_custom_data", "contracts.contract.listAll")
    answered = resource(await writer.patch(path_of(acme), body(custom_data={"note": "for few"})))
    assert "custom_data" not in answered["attributes"]
    for who, sees in [(acme.admin, True), (reader, True), (writer, False), (acme.integrator, False)]:
        assert ("custom_data" in resource(await who.get(path_of(acme)))["attributes"]) is sees
    for who, sees in [(acme.admin, True), (reader, True), (acme.integrator, False)]:
        everything = (await who.get("/v2/contracts")).json()["data"]
        (listed,) = [each for each in everything if each["id"] == acme.contract_id]
        assert ("custom_data" in listed["attributes"]) is sees


async def give(world: World, tenant_id: str, scope: str, role: str, permissions: list[str]) -> None:
    """Set what a role of a tenant's policy holds."""
    mine = (roles.c.tenant_id == tenant_id, roles.c.scope == scope, roles.c.role == role)
    async with world.store.unit(tenant_id, writes=True) as unit:
        await unit.connection.execute(update(roles).where(*mine).values(permissions=permissions))


async def test_a_contract_role_may_show_custom_data(keyrack: World, acme: TenantInTest) -> None:
    await give(keyrack, acme.id, "contracts", "member", ["contracts.contract.get_custom_data"])
    assert (await acme.admin.patch(path_of(acme), body(custom_data=1))).status_code == 200
    other = resource(
        await acme.admin.post(
            "/v2/contracts", {"data": {"type": "contract", **body(name="Other", custom_data=2)["data"]}}
        ),
        201,
    )
    member = {"type": "contract-member", "id": acme.integrator.id, "attributes": {"roles": ["owner"]}}
    assert (await acme.admin.post(f"/v2/contracts/{other['id']}/members", {"data": member})).status_code == 200
    listed = (await acme.integrator.get("/v2/contracts")).json()["data"]
    shown = {each["id"]: each["attributes"].get("custom_data") for each in listed}
    assert shown == {acme.contract_id: 1, other["id"]: None}
    for contract, value in shown.items():
        one = resource(await acme.integrator.get(f"/v2/contracts/{contract}"))
        assert one["attributes"].get("custom_data") == value


SIZES = [(999_998, 200), (999_999, 400)]  # 1 MB of JSON, the quotes included


@pytest.mark.parametrize(("length", "status"), SIZES)
@pytest.mark.parametrize("method", ["PATCH", "POST"])
async def test_custom_data_is_at_most_1_mb(acme: TenantInTest, method: str, length: int, status: int) -> None:
    if method == "PATCH":
        answer = await acme.admin.patch(path_of(acme), body(custom_data="x" * length))
    else:
        content = {"type": "contract", "attributes": {"name": "Big", "custom_data": "x" * length}}
        answer = await acme.admin.post("/v2/contracts", {"data": content})
    assert answer.is_success is (status == 200), answer.text[:500]
    if status == 400:
        assert error_of(answer) == (400, "validation_error", CUSTOM)


async def test_available_roles_bring_both_owners(acme: TenantInTest) -> None:
    named = pairs("contracts.admin", "contracts.member", "workspaces.integrator", "workspaces.guest")
    changed = resource(await acme.admin.patch(path_of(acme), body(available_roles=named)))
    assert changed["attributes"]["available_roles"] == named + pairs("contracts.owner", "workspaces.owner")
    offered = resource(await acme.integrator.get(f"{path_of(acme)}/roles"))["attributes"]["roles"]
    assert {(role["scope"], role["role"]) for role in offered} == {
        (pair["scope"], pair["role"]) for pair in changed["attributes"]["available_roles"]
    }
    member = {"type": "member", "id": acme.stranger.id, "attributes": {"roles": ["admin"]}}
    joined = {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["member"]}}
    assert (await acme.admin.post(f"{path_of(acme)}/members", {"data": joined})).status_code == 200
    refused = await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/members", {"data": member})
    assert error_of(refused) == (400, "validation_error", "/data/attributes/roles/0")
    emptied = resource(await acme.admin.patch(path_of(acme), body(available_roles=[])))
    assert emptied["attributes"]["available_roles"] == [], "all"
    assert (await acme.admin.post(f"/v2/workspaces/{acme.workspace_id}/members", {"data": member})).status_code == 200


async def test_a_role_that_is_held_stays_available(acme: TenantInTest) -> None:  # decision 6
    answer = await acme.admin.patch(path_of(acme), body(available_roles=pairs("contracts.admin", "workspaces.guest")))
    assert error_of(answer) == (409, "in_use", ROLES)
    held = [
        {"scope": "contracts", "role": "member", "members": 2},
        {"scope": "workspaces", "role": "integrator", "members": 1},
    ]
    assert answer.json()["errors"][0]["meta"]["roles"] == held
    assert resource(await acme.admin.get(path_of(acme)))["attributes"]["available_roles"] == []


WRONG: list[tuple[dict[str, Any], tuple[int, str, str]]] = [
    (body(name="ab"), (400, "validation_error", "/data/attributes/name")),
    (body(name=None), (400, "validation_error", "/data/attributes/name")),
    (body(available_roles=pairs("contracts.nobody")), (400, "validation_error", f"{ROLES}/0")),
    (body(available_roles=pairs("workspaces.member")), (400, "validation_error", f"{ROLES}/0")),
    (body(available_roles=pairs("tenants.tenant-admin")), (400, "validation_error", f"{ROLES}/0/scope")),
    (body(available_roles=None), (400, "validation_error", ROLES)),
    ({"data": {"type": "tenant", "attributes": {"name": "Name"}}}, (409, "type_conflict", "/data/type")),
    ({"data": {"id": "0" * 24, "attributes": {"name": "Name"}}}, (409, "id_conflict", "/data/id")),
    ({"data": {"attributes": []}}, (400, "validation_error", "/data/attributes")),
    ({"data": []}, (400, "validation_error", "/data")),
]


@pytest.mark.parametrize(("content", "error"), WRONG)
async def test_what_is_wrong_is_told(acme: TenantInTest, content: Any, error: tuple[int, str, str]) -> None:
    before = (await acme.admin.get(path_of(acme))).json()
    assert error_of(await acme.admin.patch(path_of(acme), content)) == error
    assert (await acme.admin.get(path_of(acme))).json() == before


async def test_an_unknown_contract_is_404(acme: TenantInTest) -> None:
    assert error_of(await acme.admin.patch(f"/v2/contracts/{'0' * 24}", body(name="Name")))[:2] == (404, "not_found")


async def test_defaults_come_from_the_tenant(keyrack: World) -> None:  # decision 6
    hosts = {"app_domain": "stats.example", "code": "", "mandrill_email_from": "", "flow_stats_enabled_default": True}
    data = {"type": "tenant", "attributes": {"name": "Stats", "support_user_id": "0" * 24, **hosts}}
    tenant = resource(await keyrack.support.post("/v2/tenants", {"data": data}), 201)["id"]
    admin: Caller = await keyrack.add_user(tenant, "admin@stats.example", ["tenant-admin"])
    data = {"type": "contract", "attributes": {"name": "Counted"}}
    contract = resource(await admin.post("/v2/contracts", {"data": data}), 201)
    assert contract["attributes"]["flow_stats_enabled_default"] is True
    assert contract["attributes"]["support_user_id"] == "0" * 24
    member = {"type": "contract-member", "id": admin.id, "attributes": {"roles": ["owner"]}}
    assert (await admin.post(f"/v2/contracts/{contract['id']}/members", {"data": member})).status_code == 200
    about = {"contract": {"data": {"type": "contract", "id": contract["id"]}}}
    data = {"type": "workspace", "attributes": {"name": "Counted"}, "relationships": about}
    workspace = resource(await admin.post("/v2/workspaces", {"data": data}))
    assert workspace["attributes"] == {"name": "Counted", "type": "full", "flow_stats_enabled_default": True}
