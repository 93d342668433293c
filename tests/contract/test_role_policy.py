"""Replacing a tenant's role policy (contract 6.4): what it must hold, what it may not lose, and what it does."""

from typing import Any

import httpx2
import pytest

from keyrack.model.tenancy import Role
from keyrack.service.authz.permissions import DEFAULT_ROLES
from keyrack.store.contracts import ContractRows
from keyrack.store.tenants import RolePolicy
from support.app import Caller, TenantInTest, World, error_of
from support.documents import rel

OWNERS = [("contracts", "owner"), ("workspaces", "owner")]
BUILT_IN = {(role.scope, role.role): role for role in DEFAULT_ROLES}


@pytest.fixture
async def bare(keyrack: World) -> str:
    """A tenant in which no role is assigned."""
    names = {"name": "Bare", "app_domain": "bare.example", "code": "", "mandrill_email_from": ""}
    made = await keyrack.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": names}})
    return str(made.json()["data"]["id"])


def entry(scope: str, role: str, *permissions: str, **titles: str) -> dict[str, Any]:
    made: dict[str, Any] = {"scope": scope, "role": role, "permissions": list(permissions)}
    return made | ({"i18n": titles} if titles else {})


async def replace(who: Caller, tenant: str, roles: Any) -> httpx2.Response:
    body = {"data": {"type": "tenant-policy", "attributes": {"roles": roles}}}
    return await who.patch(f"/v2/tenants/{tenant}/roles", body)


async def replaced(who: Caller, tenant: str, roles: Any) -> dict[tuple[str, str], dict[str, Any]]:
    answer = await replace(who, tenant, roles)
    assert answer.status_code == 200, answer.text
    assert (await who.get(f"/v2/tenants/{tenant}/roles")).json() == answer.json(), "what is told is what is stored"
    shown = answer.json()["data"]["attributes"]["roles"]
    return {(role["scope"], role["role"]): role for role in shown}


async def roles_of(who: Caller, tenant: str) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = (await who.get(f"/v2/tenants/{tenant}/roles")).json()["data"]["attributes"]["roles"]
    return shown


async def test_the_answer_is_the_policy(keyrack: World, bare: str) -> None:
    auditor = entry("contracts", "auditor", "contracts.workspace.listAll", en="Auditor", de="Prüferin")
    document = (await replace(keyrack.support, bare, [auditor])).json()
    roles = document["data"]["attributes"]["roles"]
    assert document == {
        "data": {
            "id": bare,
            "type": "tenant-policy",
            "attributes": {"roles": roles},
            "relationships": {"tenant": rel("tenant", bare)},
        },
        "meta": {},
        "links": {"self": f"/v2/tenants/{bare}/roles"},
    }
    assert auditor in roles


async def test_what_a_policy_shows_can_be_sent_back(keyrack: World, acme: TenantInTest) -> None:
    before = await roles_of(keyrack.support, acme.id)
    assert (await replace(keyrack.support, acme.id, before)).json()["data"]["attributes"]["roles"] == before
    assert (await acme.admin.get(f"/v2/tenants/{acme.id}")).status_code == 200, "tenant-admin is as it was"
    custom = [*before, entry("tenants", "clerk", "tenants.user.list_all", en="Clerk", fr="Commis")]
    assert (await replace(keyrack.support, acme.id, custom)).json()["data"]["attributes"]["roles"] == custom
    assert await roles_of(keyrack.support, acme.id) == custom


async def test_no_roles_are_the_owners_only(keyrack: World, bare: str) -> None:
    assert list(await replaced(keyrack.support, bare, [])) == OWNERS
    assert len(await replaced(keyrack.support, bare, [entry("workspaces", "guest")])) == 3


async def test_owner_is_not_edited(keyrack: World, bare: str) -> None:  # 6.3
    edited = [entry("contracts", "owner", en="Boss"), entry("workspaces", "owner", "contracts.devTeam.edit")]
    shown = await replaced(keyrack.support, bare, edited)
    assert list(shown) == OWNERS
    for key, role in shown.items():
        assert set(role["permissions"]) == BUILT_IN[key].permissions
        assert role["i18n"] == BUILT_IN[key].i18n


async def test_aliases_are_normalised(keyrack: World, bare: str) -> None:  # 6.1
    aliases = ("tenants.oauth_client.get", "contract.devTeams.get", "workspaces.edit_membership_support")
    given = entry("tenants", "clerk", *aliases, "tenants.oauth_clients.get")
    shown = await replaced(keyrack.support, bare, [given])
    assert shown["tenants", "clerk"]["permissions"] == [
        "contracts.devTeams.get",
        "tenants.oauth_clients.get",
        "workspaces.workspace.edit_membership_support",
    ]


async def test_titles_are_kept_until_others_are_sent(keyrack: World, bare: str) -> None:
    first = await replaced(keyrack.support, bare, [entry("contracts", "a", en="A", de="Ä"), entry("contracts", "b")])
    assert first["contracts", "b"]["i18n"] == {"en": "b"}
    second = await replaced(keyrack.support, bare, [entry("contracts", "a"), entry("contracts", "b", en="B")])
    assert second["contracts", "a"]["i18n"] == {"en": "A", "de": "Ä"}
    assert second["contracts", "b"]["i18n"] == {"en": "B"}


async def test_one_name_is_one_role_in_each_scope(keyrack: World, bare: str) -> None:
    twice = [entry("contracts", "x"), entry("workspaces", "x"), entry("tenants", "x"), entry("contracts", "x")]
    refused = await replace(keyrack.support, bare, twice)
    assert error_of(refused) == (400, "validation_error", "/data/attributes/roles/3/role")
    assert len(await replaced(keyrack.support, bare, twice[:3])) == 5


async def test_all_faults_of_a_policy_are_told(keyrack: World, bare: str) -> None:
    before = await roles_of(keyrack.support, bare)
    wrong = [
        entry("contracts", "x", "contracts.contract.edit", "contracts.contract.dance", "sing"),
        entry("contracts", "x", "*", de="X"),
    ]
    answer = await replace(keyrack.support, bare, wrong)
    base = "/data/attributes/roles"
    assert answer.status_code == 400
    assert [error["source"]["pointer"] for error in answer.json()["errors"]] == [
        f"{base}/0/permissions/1",
        f"{base}/0/permissions/2",
        f"{base}/1/role",
        f"{base}/1/permissions/0",
        f"{base}/1/i18n/en",
    ]
    assert await roles_of(keyrack.support, bare) == before


@pytest.mark.parametrize(
    ("roles", "pointers"),
    [
        (None, ["/data/attributes/roles"]),
        ({}, ["/data/attributes/roles"]),
        ([{"role": "x", "scope": "contracts"}], ["/data/attributes/roles/0/permissions"]),
        ([{"permissions": []}], ["/data/attributes/roles/0/role", "/data/attributes/roles/0/scope"]),
        ([entry("global", "x")], ["/data/attributes/roles/0/scope"]),
        ([entry("contracts", "")], ["/data/attributes/roles/0/role"]),
        ([entry("contracts", "x" * 256)], ["/data/attributes/roles/0/role"]),
        ([{**entry("contracts", "x"), "permissions": [1]}], ["/data/attributes/roles/0/permissions/0"]),
        ([{**entry("contracts", "x"), "i18n": []}], ["/data/attributes/roles/0/i18n"]),
        ([entry("contracts", f"x{n}") for n in range(501)], ["/data/attributes/roles"]),
    ],
)
async def test_a_policy_of_another_form_is_refused(keyrack: World, bare: str, roles: Any, pointers: list[str]) -> None:
    answer = await replace(keyrack.support, bare, roles)
    assert answer.status_code == 400
    assert [error["source"]["pointer"] for error in answer.json()["errors"]] == pointers


async def test_type_and_id_of_a_policy(keyrack: World, bare: str) -> None:
    path, attributes = f"/v2/tenants/{bare}/roles", {"roles": list[Any]()}
    for data, expected in (
        ({"attributes": attributes}, (400, "validation_error", "/data/type")),
        ({"type": "tenant", "attributes": attributes}, (409, "type_conflict", "/data/type")),
        ({"type": "tenant-policy"}, (400, "validation_error", "/data/attributes")),
        ({"type": "tenant-policy", "attributes": {}}, (400, "validation_error", "/data/attributes/roles")),
        ({"type": "tenant-policy", "id": "0" * 24, "attributes": attributes}, (409, "id_conflict", "/data/id")),
    ):
        assert error_of(await keyrack.support.patch(path, {"data": data})) == expected


async def without(keyrack: World, tenant: str, *gone: tuple[str, str]) -> httpx2.Response:
    kept = [role for role in await roles_of(keyrack.support, tenant) if (role["scope"], role["role"]) not in gone]
    return await replace(keyrack.support, tenant, kept)


async def test_a_role_that_somebody_holds_stays(keyrack_on_each: World) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    meta = {"contract_ids": list[str](), "workspace_ids": list[str](), "user_ids": list[str]()}
    for gone, blocking in (
        (("contracts", "member"), {"contract_ids": [acme.contract_id]}),
        (("workspaces", "guest"), {"workspace_ids": [acme.workspace_id]}),
    ):
        refused = await without(world, acme.id, gone)
        assert error_of(refused) == (409, "in_use", None)
        assert refused.json()["errors"][0]["meta"] == meta | blocking
        assert gone[1] in refused.json()["errors"][0]["detail"]
    assert (await without(world, acme.id, ("workspaces", "admin"))).status_code == 200, "nobody holds it"
    clerk = entry("tenants", "clerk")
    assert (await replace(world.support, acme.id, [*(await roles_of(world.support, acme.id)), clerk])).is_success
    given = {"data": {"type": "tenant-member", "attributes": {"roles": ["clerk"]}}}
    path = f"/v2/tenants/{acme.id}/members/{acme.guest.id}"
    assert (await acme.admin.patch(path, given)).status_code == 200
    refused = await without(world, acme.id, ("tenants", "clerk"))
    assert refused.json()["errors"][0]["meta"] == meta | {"user_ids": [acme.guest.id]}
    given["data"]["attributes"] = {"roles": []}
    assert (await acme.admin.patch(path, given)).status_code == 200
    assert (await without(world, acme.id, ("tenants", "clerk"))).status_code == 200
    assert (await without(world, world.tenants["Globex"].id, ("contracts", "admin"))).status_code == 409


async def test_a_role_that_a_contract_makes_available_stays(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    names = {"name": "Bare", "app_domain": "bare.example", "code": "", "mandrill_email_from": ""}
    made = await world.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": names}})
    bare = str(made.json()["data"]["id"])
    async with world.store.unit(bare, writes=True) as unit:
        pairs = [("contracts", "member"), ("contracts", "owner"), ("workspaces", "owner")]
        contract = await ContractRows(unit).add("Limited", pairs, {}, None)
    refused = await without(world, bare, ("contracts", "member"), ("workspaces", "guest"))
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"]["contract_ids"] == [contract]
    assert "guest" not in refused.json()["errors"][0]["detail"], "only what blocks is named"
    assert (await without(world, bare, ("workspaces", "guest"), ("contracts", "admin"))).status_code == 200


async def test_tenant_admin_can_lose_permissions_and_is_never_removed(keyrack: World, acme: TenantInTest) -> None:
    clients, shown = f"/v2/tenants/{acme.id}/oauth-clients", await roles_of(keyrack.support, acme.id)
    kept = [name for name in BUILT_IN["tenants", "tenant-admin"].permissions if "oauth_clients" not in name]  # 6.1
    admin = entry("tenants", "tenant-admin", *sorted(kept), en="Tenant admin")
    assert (await acme.admin.get(clients)).status_code == 200
    assert admin in (await replaced(keyrack.support, acme.id, [*shown, admin])).values(), "it is shown once it differs"
    assert error_of(await acme.admin.get(clients))[:2] == (403, "forbidden")
    await replaced(keyrack.support, acme.id, shown)
    assert error_of(await acme.admin.get(clients))[:2] == (403, "forbidden"), "leaving it out gives nothing back"
    built_in = entry("tenants", "tenant-admin", *BUILT_IN["tenants", "tenant-admin"].permissions, en="Tenant admin")
    assert ("tenants", "tenant-admin") not in await replaced(keyrack.support, acme.id, [*shown, built_in])
    assert (await acme.admin.get(clients)).status_code == 200


async def test_a_new_role_works_at_once(keyrack: World, acme: TenantInTest) -> None:
    shown = await roles_of(keyrack.support, acme.id)
    keeper = entry("workspaces", "keeper", "workspaces.credential.edit")
    await replaced(keyrack.support, acme.id, [*shown, keeper])
    member = f"/v2/workspaces/{acme.workspace_id}/members/{acme.guest.id}"
    credentials = f"/v2/credentials?workspace_id={acme.workspace_id}"
    body = {"data": {"type": "member", "attributes": {"roles": ["keeper"]}}}
    assert (await acme.admin.patch(member, body)).status_code == 200
    assert (await acme.guest.get(credentials)).status_code == 200
    held = await roles_of(keyrack.support, acme.id)
    assert held[-1] == keeper | {"i18n": {"en": "keeper"}}
    contract = (await acme.admin.get(f"/v2/contracts/{acme.contract_id}/roles")).json()["data"]["attributes"]["roles"]
    assert contract == held, "a contract without a list of roles has all but those of the tenant itself"


async def test_service_permissions_in_a_role_open_nothing_to_people(keyrack: World, acme: TenantInTest) -> None:  # 0.3
    shown = [role for role in await roles_of(keyrack.support, acme.id) if role["role"] != "integrator"]
    names = ("global.runtime_env.get", "global.task_keys.create", "global.metrics.get", "tenants.tenant.create")
    wide = [entry("workspaces", "integrator", *names), entry("tenants", "tenant-admin", *names)]
    await replaced(keyrack.support, acme.id, [*shown, *wide])
    component = await keyrack.add_component(acme, "c", {"title": "C"})
    for who in (acme.integrator, acme.admin):
        path = f"/v2/workspaces/{acme.workspace_id}/components/{component}/runtime-env"
        assert (await who.get(path)).status_code == 403
        assert (await who.get("/metrics")).status_code == 403
        names_of_new = {"name": "N", "app_domain": "n.example", "code": "", "mandrill_email_from": ""}
        created = await who.post("/v2/tenants", {"data": {"type": "tenant", "attributes": names_of_new}})
        assert created.status_code == 403


async def test_who_may_replace_a_policy(keyrack: World, acme: TenantInTest) -> None:
    path, before = f"/v2/tenants/{acme.id}/roles", await roles_of(keyrack.support, acme.id)
    others = [acme.admin, acme.integrator, acme.stranger, keyrack.tenants["Globex"].admin]
    for who in [*others, await keyrack.add_service_account("tenants.tenant.edit", "tenants.tenant.list_roles")]:
        assert error_of(await replace(who, acme.id, []))[:2] == (403, "forbidden")
    assert (await keyrack.http.patch(path, json={})).status_code == 401
    assert error_of(await replace(keyrack.support, "f" * 24, []))[:2] == (404, "not_found")
    assert await roles_of(keyrack.support, acme.id) == before
    allowed = await keyrack.add_service_account("tenants.tenant.edit_roles")
    assert (await replace(allowed, acme.id, before)).status_code == 200


async def test_a_policy_is_its_tenants_own(keyrack: World, acme: TenantInTest) -> None:
    globex = keyrack.tenants["Globex"]
    before = await roles_of(keyrack.support, globex.id)
    await replaced(keyrack.support, acme.id, [*(await roles_of(keyrack.support, acme.id)), entry("contracts", "own")])
    assert await roles_of(keyrack.support, globex.id) == before
    async with keyrack.store.unit(globex.id) as unit:
        assert [type(role) for role in await RolePolicy(unit).list()] == [Role] * len(DEFAULT_ROLES)


async def test_a_policy_is_in_the_audit_log(keyrack: World, acme: TenantInTest) -> None:  # 0.16
    await replaced(keyrack.support, acme.id, await roles_of(keyrack.support, acme.id))
    path = f"/v2/tenants/{acme.id}/audit-events?action=role-policy.change"
    (event,) = (await acme.admin.get(path)).json()["data"]
    assert event["attributes"]["actor"] == keyrack.support.name
    assert event["attributes"]["outcome"] == "allowed"


async def test_a_role_that_somebody_is_invited_with_stays(keyrack_on_each: World) -> None:  # section 9
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    invited = {"email": "new@acme.example", "roles": ["member"], "workspace_id": acme.workspace_id}
    body = {"data": {"type": "contract-invite", "attributes": {**invited, "workspace_roles": ["admin"]}}}
    made = await acme.admin.post(f"/v2/contracts/{acme.contract_id}/invites", body)
    assert made.status_code == 200, made.text
    refused = await without(world, acme.id, ("workspaces", "admin"))
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"]["workspace_ids"] == [acme.workspace_id]
    invite = f"/v2/contracts/{acme.contract_id}/invites/{made.json()['data']['id']}"
    assert (await acme.admin.delete(invite)).status_code == 204
    assert (await without(world, acme.id, ("workspaces", "admin"))).status_code == 200
