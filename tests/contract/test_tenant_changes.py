"""Changing and deleting tenants (contract section 7): who may, what stays, what goes, what forbids it."""

from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from sqlalchemy import Table, func, select

from keyrack.service.authz.permissions import DEFAULT_ROLES
from keyrack.store import schema as t
from keyrack.store.role_assignments import RoleAssignments
from keyrack.store.tenants import TenantRows
from support.app import Caller, TenantInTest, World, error_of
from support.consent import add_oauth_client
from support.flows import add_contract
from support.grants import add_auth_client

FLAGS = {
    "contract_component_whitelist": False,
    "enabled_totp": False,
    "forced_totp": False,
    "sensitive_actions_reauth": False,
    "email_verification": True,
}
OF_TENANT = [table for table in t.metadata.sorted_tables if "tenant_id" in table.c and table is not t.audit_events]
"""Every table that has something of a tenant but its log."""


async def change(who: Caller, tenant: str, data: Any) -> httpx2.Response:
    return await who.patch(f"/v2/tenants/{tenant}", {"data": data})


async def attributes(who: Caller, tenant: str, **changed: Any) -> dict[str, Any]:
    answer = await change(who, tenant, {"type": "tenant", "attributes": changed})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["data"]["attributes"]
    assert (await who.get(f"/v2/tenants/{tenant}")).json() == answer.json(), "what is told is what is stored"
    return told


async def test_what_is_not_named_stays(acme: TenantInTest) -> None:
    before = (await acme.admin.get(f"/v2/tenants/{acme.id}")).json()
    bodies: list[dict[str, Any]] = [{"type": "tenant", "attributes": {}}, {"attributes": {}}, {"type": "tenant"}, {}]
    for data in bodies:
        answer = await change(acme.admin, acme.id, data)
        assert (answer.status_code, answer.json()) == (200, before), "no member is required, not even the type"
    told = await attributes(acme.admin, acme.id, name="Acme & Sons", app_domain="SONS.example", custom_css={"a": [1]})
    expected = before["data"]["attributes"] | {"name": "Acme & Sons", "app_domain": "sons.example"}
    assert told == expected | {"custom_css": {"a": [1]}}


async def test_null_unsets(acme: TenantInTest) -> None:
    await attributes(acme.admin, acme.id, main_logo_url="https://x", default_workspace_type="limited", api_domain="a.b")
    nulls = dict.fromkeys(("main_logo_url", "default_workspace_type", "api_domain", "never_was"))
    told = await attributes(acme.admin, acme.id, **nulls)
    assert told["default_workspace_type"] == "full", "as if it had never been given"
    assert not {"main_logo_url", "api_domain", "never_was"} & set(told)


async def test_feature_flags_are_changed_one_by_one(acme: TenantInTest) -> None:
    flags = {"contract_component_whitelist": True, "own": True}
    assert (await attributes(acme.admin, acme.id, feature_flags=flags))["feature_flags"] == FLAGS | flags
    one = {"email_verification": False}
    assert (await attributes(acme.admin, acme.id, feature_flags=one))["feature_flags"] == FLAGS | flags | one
    gone = {"own": None, "email_verification": None}
    told = await attributes(acme.admin, acme.id, feature_flags=gone)
    assert told["feature_flags"] == FLAGS | {"contract_component_whitelist": True}
    assert (await attributes(acme.admin, acme.id, feature_flags=None))["feature_flags"] == FLAGS


@pytest.mark.parametrize("name", ["name", "app_domain", "code", "mandrill_email_from"])
async def test_what_every_tenant_has_cannot_be_unset(acme: TenantInTest, name: str) -> None:
    answer = await change(acme.admin, acme.id, {"attributes": {name: None}})
    assert error_of(answer) == (400, "validation_error", f"/data/attributes/{name}")


async def test_all_faults_are_told_together(acme: TenantInTest) -> None:
    wrong = {"name": "", "app_domain": "no host", "feature_flags": {"a": 1}, "is_default": "yes", "api_domain": 1}
    answer = await change(acme.admin, acme.id, {"type": "tenant", "attributes": wrong})
    pointers = [error["source"]["pointer"] for error in answer.json()["errors"]]
    assert answer.status_code == 400
    assert sorted(pointers) == sorted(f"/data/attributes/{name}" for name in wrong)


async def test_type_and_id_must_fit_where_they_are_given(acme: TenantInTest) -> None:  # section 4
    answer = await change(acme.admin, acme.id, {"type": "contract", "attributes": {}})
    assert error_of(answer) == (409, "type_conflict", "/data/type")
    other = await change(acme.admin, acme.id, {"id": "0" * 24, "attributes": {"name": "X"}})
    assert error_of(other) == (409, "id_conflict", "/data/id")
    assert (await change(acme.admin, acme.id, {"id": acme.id, "attributes": {"name": "X"}})).status_code == 200


async def test_a_domain_is_one_tenants(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    answer = await change(keyrack_on_each.support, acme.id, {"attributes": {"app_domain": "Globex.example"}})
    assert error_of(answer) == (409, "already_exists", "/data/attributes/app_domain")
    same = await attributes(keyrack_on_each.support, acme.id, app_domain="ACME.example")
    assert same["app_domain"] == "acme.example", "one's own is not taken"


async def test_one_tenant_at_most_is_the_default(keyrack_on_each: World) -> None:
    support = keyrack_on_each.support
    acme, globex = keyrack_on_each.tenants["Acme"].id, keyrack_on_each.tenants["Globex"].id
    assert (await attributes(support, acme, is_default=True))["is_default"] is True
    await attributes(support, acme, is_default=True)
    answer = await change(support, globex, {"attributes": {"is_default": True}})
    assert error_of(answer) == (409, "already_exists", "/data/attributes/is_default")
    assert (await attributes(support, acme, is_default=False))["is_default"] is False
    await attributes(support, globex, is_default=True)
    assert "is_default" not in await attributes(support, globex, is_default=None)
    await attributes(support, acme, is_default=True)


async def test_attributes_cannot_grow_without_end(acme: TenantInTest) -> None:
    for number in range(2):
        data = {"attributes": {f"custom_{number}": "x" * 600_000}}
        answer = await change(acme.admin, acme.id, data)
        assert answer.status_code == (200, 400)[number]
    assert error_of(answer) == (400, "validation_error", "/data/attributes")


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
async def test_who_may(keyrack: World, acme: TenantInTest, method: str) -> None:
    path, body = f"/v2/tenants/{acme.id}", {"data": {"attributes": {"name": "New"}}}
    refused = [acme.integrator, acme.stranger, keyrack.tenants["Globex"].admin, await keyrack.add_service_account()]
    if method == "DELETE":
        refused.append(acme.admin)
    for who in refused:
        assert error_of(await who.call(method, path, body))[:2] == (403, "forbidden")
    assert (await keyrack.http.request(method, path, json=body)).status_code == 401
    for unknown in ("0" * 24, "nonsense", "%00"):
        answer = await keyrack.support.call(method, f"/v2/tenants/{unknown}", body)
        assert error_of(answer)[:2] == (404, "not_found")
    needed = {"PATCH": "tenants.tenant.edit", "DELETE": "tenants.tenant.delete"}[method]
    allowed = await keyrack.add_service_account(needed)
    expected = {"PATCH": 200, "DELETE": 409}[method]
    assert (await allowed.call(method, path, body)).status_code == expected


async def test_a_tenant_with_a_contract_stays(keyrack: World, acme: TenantInTest) -> None:  # 22
    other = await add_contract(keyrack, acme, "other")
    answer = await keyrack.support.delete(f"/v2/tenants/{acme.id}")
    assert error_of(answer) == (409, "in_use", None)
    (error,) = answer.json()["errors"]
    assert error["meta"] == {"contract_ids": [acme.contract_id, other.contract_id], "contracts": 2}
    assert (await acme.admin.get(f"/v2/tenants/{acme.id}")).status_code == 200


async def count(world: World, table: Table, tenant_id: str) -> int:
    async with world.store.installation() as unit:
        query = select(func.count()).select_from(table).where(table.c.tenant_id == tenant_id)
        return int((await unit.connection.execute(query)).scalar_one())


async def furnish(world: World) -> tuple[str, Caller]:
    """Make a tenant without contracts that has one of everything a tenant can have by itself."""
    name = {"name": "Empty", "app_domain": "empty.example", "code": "", "mandrill_email_from": ""}
    made = await world.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": name}})
    tenant = str(made.json()["data"]["id"])
    admin = await world.add_user(tenant, "admin@empty.example", tenant_roles=["tenant-admin"])
    shared = await world.add_component(world.tenants["Acme"], "shared", {"useOAuthClient": True}, access="global")
    world.tenants["Empty"] = TenantInTest(tenant, "", "", "", admin, admin, admin, admin)
    await add_oauth_client(world, "Empty", shared, "id", "secret")
    await add_auth_client(world.store, tenant, "https://login.example.com/token")
    hook = {"data": {"type": "webhook", "attributes": {"url": "https://hooks.example.com/x"}}}
    answer = await admin.post(f"/v2/tenants/{tenant}/webhooks", hook)
    assert answer.status_code == 201, answer.text
    hook_id = answer.json()["data"]["id"]
    await admin.post(f"/v2/tenants/{tenant}/webhooks/{hook_id}/test")
    return tenant, admin


async def test_a_tenant_takes_all_it_has_with_it_but_its_log(keyrack_on_each: World) -> None:  # 22
    world = keyrack_on_each
    tenant, admin = await furnish(world)
    everywhere = {table.name: await count(world, table, world.tenants["Acme"].id) for table in OF_TENANT}
    had = {table.name for table in OF_TENANT if await count(world, table, tenant)}
    needed = {"users", "roles", "oauth_clients", "auth_clients", "webhooks", "events", "deliveries", "data_keys"}
    assert needed <= had, "there is something to lose"
    assert (await admin.get("/v2/users/me")).status_code == 200
    logged = await count(world, t.audit_events, tenant)
    before = datetime.now(UTC)
    answer = await world.support.delete(f"/v2/tenants/{tenant}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert {table.name for table in OF_TENANT if await count(world, table, tenant)} == set()
    assert error_of(await world.support.get(f"/v2/tenants/{tenant}"))[:2] == (404, "not_found")
    assert (await admin.get("/v2/users/me")).status_code == 401, "API keys die with their users"
    assert await count(world, t.audit_events, tenant) == logged + 1
    for owner in (tenant, ""):
        async with world.store.installation() as unit:
            query = select(t.audit_events).where(t.audit_events.c.tenant_id == owner).order_by(t.audit_events.c.id)
            last = (await unit.connection.execute(query)).all()[-1]
        assert (last.action, last.target_id, last.outcome) == ("tenant.delete", tenant, "allowed")
        assert int(before.timestamp() * 1000) <= int(last.at.timestamp() * 1000)
    others = {table.name: await count(world, table, world.tenants["Acme"].id) for table in OF_TENANT}
    assert others == everywhere, "nobody else's is touched"


async def test_domain_and_default_are_free_again(keyrack: World) -> None:
    tenant, _ = await furnish(keyrack)
    await attributes(keyrack.support, tenant, is_default=True)
    assert (await keyrack.support.delete(f"/v2/tenants/{tenant}")).status_code == 204
    again = {"name": "Again", "app_domain": "empty.example", "code": "", "mandrill_email_from": "", "is_default": True}
    made = await keyrack.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": again}})
    assert made.status_code == 201, made.text
    async with keyrack.store.unit(made.json()["data"]["id"]) as unit:
        assert len(await RoleAssignments(unit).policy()) == len(DEFAULT_ROLES)


async def test_a_unit_bound_to_a_tenant_reaches_no_other(keyrack: World, acme: TenantInTest) -> None:
    async with keyrack.store.unit(keyrack.tenants["Globex"].id, writes=True) as unit:
        assert await TenantRows(unit).find(acme.id) is None
