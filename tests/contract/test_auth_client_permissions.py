"""Who may do what to auth clients, and who sees their credentials: contract 6.2, 14.1, 0.10 and 24.17, 20, 21."""

import pytest

from keyrack.errors import Forbidden
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.tenancy import Role
from keyrack.service.authz.access import Scope
from keyrack.service.clients.auth_client_authorization import GLOBAL, auth_client_permissions
from keyrack.store.contracts import ContractMembers
from keyrack.store.directory import Location
from keyrack.store.tenants import RolePolicy
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import Caller, World, error_of
from support.auth_clients import PATH, SECOND_GENERATION, auth_client, change, make, one_of_each, scopes_of

SCOPES = ("global", "tenant", "contract", "workspace")


@pytest.fixture
async def component(keyrack: World) -> str:
    return await keyrack.add_component(keyrack.tenants["Acme"], "ledger", SECOND_GENERATION, access="global")


async def holder(world: World, level: str, *permissions: str) -> Caller:
    """A user of Globex whose only role, held at one level, has the permissions."""
    globex = world.tenants["Globex"]
    name = f"{level} holder"
    role = Role(f"{level}s", name, frozenset(permissions), {"en": name})
    roles = [name] if level == "tenant" else []
    who = await world.add_user(globex.id, f"{level}-holder@globex.example", tenant_roles=roles)
    async with world.store.unit(globex.id, writes=True) as unit:
        await RolePolicy(unit).replace([*await RolePolicy(unit).list(), role])
        if level == "contract":
            await ContractMembers(unit).add(globex.contract_id, who.id, [name])
        elif level == "workspace":
            await WorkspaceMembers(unit).add(globex.workspace_id, who.id, [name])
    return who


async def can_create_in(world: World, who: Caller, component: str) -> set[str]:
    found = set()
    for name, scope in scopes_of(world).items():
        answer = await who.post(PATH, auth_client([component], scope))
        if answer.status_code == 201:
            found.add(name)
        else:
            assert error_of(answer)[:2] == (403, "forbidden")
    return found


@pytest.mark.parametrize(
    ("level", "permission", "reached"),
    [
        ("tenant", "global.auth_clients.create", {"tenant", "contract", "workspace"}),
        ("contract", "global.auth_clients.create", {"contract", "workspace"}),
        ("workspace", "global.auth_clients.create", {"workspace"}),
        ("tenant", "tenants.auth_clients.create", {"tenant"}),
        ("tenant", "contracts.auth_clients.create", {"contract"}),
        ("tenant", "workspaces.auth_clients.create", {"workspace"}),
        ("contract", "tenants.auth_clients.create", set()),
        ("contract", "contracts.auth_clients.create", {"contract"}),
        ("contract", "workspaces.auth_clients.create", {"workspace"}),
        ("workspace", "tenants.auth_clients.create", set()),
        ("workspace", "contracts.auth_clients.create", set()),
        ("workspace", "workspaces.auth_clients.create", {"workspace"}),
        ("tenant", "global.auth_clients.get", set()),
    ],
)
async def test_a_role_reaches_the_place_where_it_is_held_and_below(
    keyrack: World, component: str, level: str, permission: str, reached: set[str]
) -> None:  # 6.2
    who = await holder(keyrack, level, permission)
    assert await can_create_in(keyrack, who, component) == reached
    for kind, place in (("tenant", "Acme"), ("workspace", "Acme")):
        scope = scopes_of(keyrack, place)[kind]
        assert (await who.post(PATH, auth_client([component], scope))).status_code == 403


@pytest.mark.parametrize(
    ("permission", "reached"),
    [
        ("global.auth_clients.create", set(SCOPES)),
        ("tenants.auth_clients.create", {"tenant"}),
        ("contracts.auth_clients.create", {"contract"}),
        ("workspaces.auth_clients.create", {"workspace"}),
        ("tenants.oauth_clients.create", set()),
    ],
)
async def test_a_service_account_reaches_every_tenant(
    keyrack: World, component: str, permission: str, reached: set[str]
) -> None:  # 6.2
    assert await can_create_in(keyrack, await keyrack.add_service_account(permission), component) == reached


async def test_default_roles(keyrack: World, component: str) -> None:  # 6.3, 24.20
    globex = keyrack.tenants["Globex"]
    wanted = {
        globex.admin: {"tenant", "contract", "workspace"},
        globex.integrator: {"workspace"},
        globex.guest: set(),
        globex.stranger: set(),
        keyrack.tenants["Acme"].admin: set(),
    }
    for who, reached in wanted.items():
        assert await can_create_in(keyrack, who, component) == reached, who.name


async def test_edit_and_delete_need_their_permission_at_the_clients_own_scope(
    keyrack: World, component: str
) -> None:  # 14.1, 3
    globex = keyrack.tenants["Globex"]
    ids = await one_of_each(keyrack, component)
    expected = {
        globex.admin: {"global": 403, "tenant": 200, "contract": 200, "workspace": 200},
        globex.integrator: {"global": 403, "tenant": 403, "contract": 403, "workspace": 200},
        globex.guest: {"global": 403, "tenant": 403, "contract": 403, "workspace": 403},
        globex.stranger: dict.fromkeys(SCOPES, 404),
        keyrack.tenants["Acme"].admin: {"global": 403, "tenant": 404, "contract": 404, "workspace": 404},
        keyrack.tenants["Acme"].stranger: dict.fromkeys(SCOPES, 404),
        await keyrack.add_service_account("global.auth_clients.edit"): dict.fromkeys(SCOPES, 200),
        await keyrack.add_service_account("global.auth_clients.get"): dict.fromkeys(SCOPES, 403),
    }
    for who, statuses in expected.items():
        for name, status in statuses.items():
            changed = await who.patch(f"{PATH}/{ids[name]}", change({"name": "New"}))
            assert changed.status_code == status, (who.name, name)
            if status != 200:  # who may edit may delete in these roles, except for the service account
                assert (await who.delete(f"{PATH}/{ids[name]}")).status_code == status, (who.name, name)
    for name in SCOPES[1:]:
        assert (await globex.admin.delete(f"{PATH}/{ids[name]}")).status_code == 204
    assert (await globex.admin.patch(f"{PATH}/{'0' * 24}", change())).status_code == 404


async def test_credentials_are_shown_only_with_the_get_permission_at_the_clients_scope(
    keyrack: World, component: str
) -> None:  # 14.1, 24.17
    globex = keyrack.tenants["Globex"]
    ids = await one_of_each(keyrack, component)
    contract_owner = await holder(keyrack, "contract", "global.auth_clients.get")
    older = await holder(keyrack, "workspace", "workspaces.auth_clients.get")
    expected = {
        globex.guest: {"workspace"},
        older: {"workspace"},
        contract_owner: {"contract", "workspace"},
        globex.admin: {"tenant", "contract", "workspace"},
        keyrack.support: set(SCOPES),
    }
    names = {auth_client_id: name for name, auth_client_id in ids.items()}
    query = f"?workspace_id={globex.workspace_id}"
    for who, shown in expected.items():
        listed = (await who.get(PATH + query)).json()["data"]
        assert {names[each["id"]] for each in listed} == set(SCOPES), who.name
        with_keys = {names[each["id"]] for each in listed if "credentials" in each["attributes"]}
        assert with_keys == shown, who.name
        for each in listed:
            assert (await who.get(f"{PATH}/{each['id']}{query}")).json()["data"] == each
            assert ("shh" in str(each)) == (names[each["id"]] in shown)


async def test_a_scope_needs_the_get_permission_there(keyrack: World, component: str) -> None:  # 14.1
    globex = keyrack.tenants["Globex"]
    ids = await one_of_each(keyrack, component)
    queries = {
        "tenant": f"?tenant_id={globex.id}",
        "contract": f"?contract_id={globex.contract_id}",
        "workspace": f"?workspace_id={globex.workspace_id}",
    }
    expected = {
        globex.admin: {"tenant", "contract", "workspace"},
        globex.integrator: {"workspace"},
        globex.stranger: set(),
        keyrack.tenants["Acme"].admin: set(),
        await keyrack.add_service_account("contracts.auth_clients.get"): {"contract"},
        await keyrack.add_service_account("global.auth_clients.edit"): set(),
    }
    for who, allowed in expected.items():
        for name, query in queries.items():
            status = 200 if name in allowed else 403
            assert (await who.get(PATH + query)).status_code == status, (who.name, name)
            assert (await who.get(f"{PATH}/{ids['global']}{query}")).status_code == status, (who.name, name)


async def test_global_clients_are_listed_for_whoever_may_get_any_auth_client(
    keyrack: World, component: str
) -> None:  # 14.1
    globex = keyrack.tenants["Globex"]
    shared = await make(keyrack.support, auth_client([component]))
    for who, keys in (
        (globex.guest, False),
        (globex.admin, False),
        (await holder(keyrack, "contract", "workspaces.auth_clients.get"), False),
        (await keyrack.add_service_account("workspaces.auth_clients.get"), False),
        (await keyrack.add_service_account("global.auth_clients.get"), True),
    ):
        listed = await who.get(PATH)
        assert listed.status_code == 200, who.name
        assert [each["id"] for each in listed.json()["data"]] == [shared]
        one = (await who.get(f"{PATH}/{shared}")).json()["data"]
        assert one == listed.json()["data"][0]
        assert ("credentials" in one["attributes"]) == keys, who.name
    powerless = await holder(keyrack, "workspace", "tenants.auth_clients.get", "workspaces.auth_secret.get")
    for who in (globex.stranger, powerless, await keyrack.add_service_account("global.auth_clients.create")):
        assert (await who.get(PATH)).status_code == 403, who.name
        assert (await who.get(f"{PATH}/{shared}")).status_code == 404, who.name


async def test_without_a_parameter_one_client_is_judged_at_its_own_scope(
    keyrack: World, component: str
) -> None:  # 0.10
    globex = keyrack.tenants["Globex"]
    ids = await one_of_each(keyrack, component)
    expected = {
        globex.admin: set(SCOPES),
        globex.integrator: {"global", "workspace"},
        globex.guest: {"global", "workspace"},
        globex.stranger: set(),
        keyrack.tenants["Acme"].admin: {"global"},
        keyrack.support: set(SCOPES),
        await keyrack.add_service_account("tenants.auth_clients.get"): {"global", "tenant"},
    }
    for who, seen in expected.items():
        for name, auth_client_id in ids.items():
            found = await who.get(f"{PATH}/{auth_client_id}")
            assert found.status_code == (200 if name in seen else 404), (who.name, name)
            if name in seen - {"global"}:
                assert "credentials" in found.json()["data"]["attributes"], (who.name, name)


async def test_a_removed_role_takes_its_reach_with_it(keyrack: World, component: str) -> None:  # 6.3
    globex = keyrack.tenants["Globex"]
    made = await make(globex.admin, auth_client([component], ("tenant", globex.id)))
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        await UserRows(unit).set_tenant_roles(globex.admin.id, [])
    assert (await globex.admin.patch(f"{PATH}/{made}", change({"name": "n"}))).status_code == 403
    assert (await globex.admin.get(f"{PATH}/{made}")).status_code == 404


async def test_a_task_user_reaches_its_workspace_and_never_sees_keys(keyrack: World) -> None:  # 14.1, section 2
    globex = keyrack.tenants["Globex"]
    workspace = Location(globex.id, globex.contract_id, globex.workspace_id)
    who = Principal(
        PrincipalKind.task_user,
        "0" * 24,
        f"task-{'0' * 24}",
        globex.id,
        contract_id=globex.contract_id,
        workspace_id=globex.workspace_id,
    )
    async with keyrack.store.unit(globex.id) as unit:
        reach = await auth_client_permissions(Scope(unit, who, workspace, frozenset(), in_workspace=True))
        assert reach.allows("get", workspace)
        assert not reach.shows_keys(workspace)
        for action in ("create", "edit", "delete"):
            assert not reach.allows(action, workspace)
        for wider in (Location(globex.id, globex.contract_id), Location(globex.id), GLOBAL):
            assert not reach.allows("get", wider)
        elsewhere = Location(globex.id, globex.contract_id, "0" * 24)
        assert not reach.allows("get", elsewhere)
        assert not reach.knows(elsewhere)
        nowhere = Scope(unit, Principal(PrincipalKind.task_user, "0" * 24, "task", globex.id), workspace, frozenset())
        with pytest.raises(Forbidden):
            await auth_client_permissions(nowhere)
