"""Permission names, aliases and default roles: contract sections 6.1 to 6.3, and what the routes do with them."""

from typing import Any

import pytest

from keyrack.model.tenancy import Role
from keyrack.service.authz.permissions import DEFAULT_ROLES
from keyrack.service.operator.accounts import Accounts
from keyrack.store.contracts import ContractRows
from keyrack.store.tenants import RolePolicy
from support.app import TenantInTest, World, error_of, relationship
from support.documents import rel


def names(text: str) -> set[str]:
    """Spell permissions out: `a.b.c/d` is a.b.c and a.b.d."""
    found = set()
    for word in text.split():
        place, _, actions = word.rpartition(".")
        found |= {f"{place}.{action}" for action in actions.split("/")}
    return found


CRUD = "get/create/edit/delete"
LISTED = names(
    f"global.auth_clients.{CRUD}"
    " workspaces.auth_secret.get/get_credentials/create/edit/delete/refresh"
    " workspaces.credential.edit workspaces.flow.edit/toggleStatus/toggleRealtime/exportToRecipe"
    " workspaces.workspace.edit/edit_membership_support workspaces.logs.read_all workspaces.recipe.edit"
    f" workspaces.topic.{CRUD} workspaces.vpn_agent.{CRUD}"
    " contracts.contract.edit contracts.membership.edit contracts.workspace.create/delete/listAll"
    " contracts.workspace_limits.edit contracts.repository.edit contracts.devTeam.edit global.stats.workspaces"
)
"""Class *listed* of section 6.1."""

SERVICE = names(
    f"tenants.oauth_clients.{CRUD} tenants.auth_clients.{CRUD} contracts.auth_clients.{CRUD}"
    f" workspaces.auth_clients.{CRUD} workspaces.workspace.edit_type/finish_delete contracts.devTeams.get"
    " contracts.contract.get/delete/suspend/unsuspend/finish_suspend/finish_delete/listAll/list_blocking_tasks"
    " contracts.contract.edit_available_roles/edit_custom_data/get_custom_data contracts.membership.edit_directly"
    " contracts.devTeam.edit_access tenants.tenant.create/get/edit/delete/list_roles/edit_roles"
    " tenants.membership.edit tenants.contract.create tenants.user.create/get/list_all/delete/disable_totp"
    " tenants.component.list_all tenants.workspace.edit_membership global.workspace.get_all"
    " global.contract.contract.list_all"
    " tenants.audit.get global.runtime_env.get global.task_keys.create"  # 0.16
    f" tenants.webhooks.{CRUD}"  # extension, 0.6
)
"""Classes *service*, *legacy* and *tenant admin* of section 6.1."""

OWNER_OF_WORKSPACE = names(
    "workspaces.workspace.edit/edit_membership_support"
    " workspaces.auth_secret.get/get_credentials/create/edit/delete/refresh"
    " workspaces.flow.edit/toggleStatus/toggleRealtime workspaces.credential.edit workspaces.logs.read_all"
    f" workspaces.vpn_agent.{CRUD} workspaces.topic.{CRUD} global.auth_clients.{CRUD}"
)
ADMIN_OF_WORKSPACE = OWNER_OF_WORKSPACE | names("workspaces.flow.exportToRecipe workspaces.recipe.edit")
ROLES: dict[tuple[str, str], set[str]] = {
    ("tenants", "tenant-admin"): names(
        "tenants.tenant.get/edit/list_roles tenants.membership.edit tenants.contract.create"
        " tenants.user.create/get/list_all/delete/disable_totp tenants.component.list_all"
        f" tenants.oauth_clients.{CRUD} global.auth_clients.{CRUD} tenants.workspace.edit_membership"
        " contracts.contract.get/edit/delete/suspend/unsuspend/listAll/list_blocking_tasks"
        " contracts.contract.edit_available_roles/edit_custom_data/get_custom_data"
        " contracts.membership.edit/edit_directly contracts.devTeam.edit contracts.devTeams.get"
        " workspaces.workspace.edit_type tenants.audit.get"
        f" tenants.webhooks.{CRUD}"  # extension, 0.6
    ),
    ("contracts", "owner"): names(
        "contracts.contract.edit contracts.membership.edit contracts.workspace_limits.edit"
        f" contracts.workspace.create/listAll/delete global.stats.workspaces global.auth_clients.{CRUD}"
    ),
    ("contracts", "admin"): names(
        "contracts.workspace.create/listAll/delete contracts.repository.edit contracts.devTeam.edit"
        f" global.auth_clients.{CRUD}"
    ),
    ("contracts", "member"): names("contracts.workspace.create"),
    ("workspaces", "owner"): OWNER_OF_WORKSPACE,
    ("workspaces", "admin"): ADMIN_OF_WORKSPACE,
    ("workspaces", "integrator"): {name for name in ADMIN_OF_WORKSPACE if not name.startswith("workspaces.workspace.")},
    ("workspaces", "guest"): names(
        "global.auth_clients.get workspaces.auth_secret.get workspaces.logs.read_all workspaces.vpn_agent.get"
        " workspaces.topic.get"
    ),
}
"""Section 6.3."""


async def roles(tenant: TenantInTest, path: str) -> dict[tuple[str, str], set[str]]:
    shown = (await tenant.admin.get(path)).json()["data"]["attributes"]["roles"]
    return {(role["scope"], role["role"]): set(role["permissions"]) for role in shown}


async def test_listed_permissions(acme: TenantInTest) -> None:  # 6.1, 6.4
    shown = (await acme.stranger.get("/v2/permissions")).json()["data"]["attributes"]["permissions"]
    assert set(shown) == LISTED
    assert len(shown) == len(LISTED), "each once"


async def test_every_permission_can_be_held(keyrack: World) -> None:  # 6.1
    account, _ = await Accounts(keyrack.store).create_service_account("all", sorted(LISTED | SERVICE))
    assert account.permissions == LISTED | SERVICE
    first = await keyrack.support.get("/v2/users/me")
    assert first.status_code == 403


@pytest.mark.parametrize(
    ("alias", "emitted"),
    [
        *((f"tenants.oauth_client.{action}", f"tenants.oauth_clients.{action}") for action in CRUD.split("/")),
        ("contract.devTeams.get", "contracts.devTeams.get"),
        ("tenant.workspace.edit_membership", "tenants.workspace.edit_membership"),
        ("workspace.workspace.edit_membership_support", "workspaces.workspace.edit_membership_support"),
        ("workspaces.edit_membership_support", "workspaces.workspace.edit_membership_support"),
        ("workspaces.workspace.listAll", "contracts.workspace.listAll"),  # section 10
    ],
)
async def test_aliases_are_normalised(keyrack: World, alias: str, emitted: str) -> None:  # 6.1
    account, _ = await Accounts(keyrack.store).create_service_account("aliased", [alias, emitted])
    assert account.permissions == {emitted}


async def test_default_roles(acme: TenantInTest) -> None:  # 6.3
    shown = await roles(acme, f"/v2/tenants/{acme.id}/roles")
    assert shown == {role: held for role, held in ROLES.items() if role[0] != "tenants"}
    built_in = {(role.scope, role.role): set(role.permissions) for role in DEFAULT_ROLES}
    assert built_in == ROLES


async def test_contract_roles_are_limited_to_the_available_ones(keyrack: World, acme: TenantInTest) -> None:  # 6.4, 9
    assert await roles(acme, f"/v2/contracts/{acme.contract_id}/roles") == {
        role: held for role, held in ROLES.items() if role[0] != "tenants"
    }
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        limited = await ContractRows(unit).add("Limited", [("contracts", "member"), ("workspaces", "guest")], {}, None)
    shown = await roles(acme, f"/v2/contracts/{limited}/roles")
    assert set(shown) == {
        ("contracts", "owner"),
        ("contracts", "member"),
        ("workspaces", "owner"),
        ("workspaces", "guest"),
    }
    body: dict[str, Any] = {
        "type": "contract-member",
        "id": acme.integrator.id,
        "attributes": {"roles": ["owner", "admin"]},
    }
    answer = await acme.admin.post(f"/v2/contracts/{limited}/members", {"data": body})
    assert error_of(answer) == (400, "validation_error", "/data/attributes/roles/1")


async def test_the_policy_can_take_oauth_clients_away(keyrack: World, acme: TenantInTest) -> None:  # 6.1
    path = f"/v2/tenants/{acme.id}/oauth-clients"
    assert (await acme.admin.get(path)).status_code == 200
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        policy = await RolePolicy(unit).list()
        kept = [
            Role(
                role.scope,
                role.role,
                frozenset(name for name in role.permissions if not name.startswith("tenants.oauth_clients.")),
                role.i18n,
            )
            for role in policy
        ]
        await RolePolicy(unit).replace(kept)
    assert error_of(await acme.admin.get(path))[:2] == (403, "forbidden")
    assert (await keyrack.tenants["Globex"].admin.get(path.replace(acme.id, keyrack.tenants["Globex"].id))).is_success


async def test_contract_roles_give_nothing_inside_workspaces(keyrack: World, acme: TenantInTest) -> None:  # 6.3
    related = {"contract": relationship("contract", acme.contract_id)}
    data = {"type": "workspace", "attributes": {"name": "Theirs"}, "relationships": related}
    workspace = (await acme.integrator.post("/v2/workspaces", {"data": data})).json()["data"]["id"]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        policy = [role for role in await RolePolicy(unit).list() if (role.scope, role.role) != ("contracts", "admin")]
        wide = frozenset(ROLES["contracts", "admin"] | {"workspaces.credential.edit", "workspaces.workspace.edit"})
        await RolePolicy(unit).replace([*policy, Role("contracts", "admin", wide, {"en": "Admin"})])
    body = {"type": "member", "id": acme.guest.id, "attributes": {"roles": ["guest"]}}
    boss = await keyrack.add_user(acme.id, "boss@acme.example")
    joined = {"type": "contract-member", "id": boss.id, "attributes": {"roles": ["admin"]}}
    assert (await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", {"data": joined})).status_code == 200
    assert (await boss.get(f"/v2/workspaces/{workspace}")).status_code == 200, "listAll shows it"
    refused = await boss.post(f"/v2/workspaces/{workspace}/members", {"data": body})
    assert error_of(refused)[:2] == (403, "forbidden")
    listed = await boss.get(f"/v2/credentials?workspace_id={workspace}")
    assert error_of(listed)[:2] == (403, "forbidden")


async def test_several_roles_add_up(keyrack: World, acme: TenantInTest) -> None:  # 6.3
    both = await keyrack.add_user(acme.id, "both@acme.example")
    path = f"/v2/contracts/{acme.contract_id}/members"
    body = {"type": "contract-member", "id": both.id, "attributes": {"roles": ["owner", "admin"]}}
    assert (await acme.admin.post(path, {"data": body})).status_code == 200
    related = {"contract": relationship("contract", acme.contract_id)}
    team = await both.post("/v2/teams", {"data": {"type": "team", "relationships": related}})
    assert team.status_code == 201, "admin has contracts.devTeam.edit"
    owner = await keyrack.add_user(acme.id, "owner@acme.example")
    body = {"type": "contract-member", "id": owner.id, "attributes": {"roles": ["owner"]}}
    assert (await acme.admin.post(path, {"data": body})).status_code == 200
    refused = await owner.post("/v2/teams", {"data": {"type": "team", "relationships": related}})
    assert error_of(refused)[:2] == (403, "forbidden"), "owner has not"


async def test_permissions_have_no_id(acme: TenantInTest) -> None:  # 6.4
    document = (await acme.stranger.get("/v2/permissions")).json()
    permissions = document["data"]["attributes"]["permissions"]
    attributes = {"permissions": permissions}
    assert document == {"data": {"id": None, "type": "permissions", "attributes": attributes}, "meta": {}}


@pytest.mark.parametrize("kind", ["tenant", "contract"])
async def test_policy(acme: TenantInTest, kind: str) -> None:  # 6.4
    place = {"tenant": acme.id, "contract": acme.contract_id}[kind]
    document = (await acme.admin.get(f"/v2/{kind}s/{place}/roles")).json()
    roles = document["data"]["attributes"]["roles"]
    assert document == {
        "data": {
            "id": place,
            "type": f"{kind}-policy",
            "attributes": {"roles": roles},
            "relationships": {kind: rel(kind, place)},
        },
        "meta": {},
        "links": {"self": f"/v2/{kind}s/{place}/roles"},
    }
    for role in roles:
        assert set(role) == {"role", "scope", "permissions", "i18n"}
        assert role["scope"] in {"contracts", "workspaces"}
        assert set(role["i18n"]) == {"en"}
