"""Workspaces and their members (contract section 10): whole documents and refusals."""

from typing import Any

from sqlalchemy import update

from keyrack.store.contracts import ContractMembers
from keyrack.store.schema import roles
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from support.app import TenantInTest, World, error_of, relationship
from support.documents import paging, rel, relation
from support.flows import add_contract

HOSTS = {"app_domain": "new.example", "code": "p {}", "mandrill_email_from": "a@new.example"}


def people(acme: TenantInTest) -> list[str]:
    return [acme.admin.id, acme.integrator.id, acme.guest.id]


def person(name: str, *roles: str) -> dict[str, Any]:
    return {"first_name": "First", "last_name": "Last", "email": f"{name}@acme.example", "roles": list(roles)}


async def test_workspace(acme: TenantInTest) -> None:
    path = f"/v2/workspaces/{acme.workspace_id}"
    resource = {
        "id": acme.workspace_id,
        "type": "workspace",
        "links": {"self": path},
        "attributes": {"name": "Acme workspace", "type": "full"},
        "relationships": {
            "contract": rel("contract", acme.contract_id),
            "members": relation("member", people(acme), f"{path}/members/"),
        },
    }
    assert (await acme.guest.get(path)).json() == {"data": resource, "meta": {}}
    links = {"self": "/v2/workspaces"}
    listed = {"data": [resource], "meta": paging(1, 20, 1), "links": links}
    assert (await acme.guest.get("/v2/workspaces")).json() == listed
    assert (await acme.guest.get(f"/v2/workspaces?contract_id={acme.contract_id}")).json() == listed
    members = (await acme.guest.get(f"{path}/members")).json()["data"]
    included = (await acme.guest.get(f"{path}?include=members")).json()
    assert included == {"data": resource, "meta": {}, "included": members}
    contract = resource["relationships"]["contract"]["data"]["id"]  # type: ignore[index] # as clients navigate
    assert (await acme.guest.get(f"/v2/contracts/{contract}")).status_code == 200


async def test_workspace_belongs_to_its_creator(acme: TenantInTest) -> None:
    data = {"type": "workspace", "attributes": {"name": "Fresh"}}
    related = {"contract": relationship("contract", acme.contract_id)}
    made = await acme.integrator.post("/v2/workspaces", {"data": {**data, "relationships": related}})
    workspace = made.json()["data"]["id"]
    path = f"/v2/workspaces/{workspace}"
    assert made.status_code == 200, "not 201"
    assert made.json() == {
        "data": {
            "id": workspace,
            "type": "workspace",
            "links": {"self": path},
            "attributes": {"name": "Fresh", "type": "full"},
            "relationships": {
                "contract": rel("contract", acme.contract_id),
                "members": relation("member", [acme.integrator.id], f"{path}/members/"),
            },
        },
        "meta": {},
    }
    (owner,) = (await acme.integrator.get(f"{path}/members")).json()["data"]
    assert owner["attributes"]["roles"] == ["owner"]
    assert (await acme.guest.get(path)).status_code == 403
    assert (await acme.admin.get(f"{path}?include=members")).json()["included"] == [owner], "by listAll"


async def test_workspace_list_is_of_ones_own_or_all_by_list_all(keyrack: World, acme: TenantInTest) -> None:
    related = {"contract": relationship("contract", acme.contract_id)}
    data = {"type": "workspace", "attributes": {"name": "Fresh"}, "relationships": related}
    fresh = (await acme.integrator.post("/v2/workspaces", {"data": data})).json()["data"]["id"]
    for query in ("", f"?contract_id={acme.contract_id}"):
        for who, expected in (
            (acme.guest, [acme.workspace_id]),
            (acme.integrator, [acme.workspace_id, fresh]),
            (acme.admin, [acme.workspace_id, fresh]),  # contracts.workspace.listAll
        ):
            listed = (await who.get(f"/v2/workspaces{query}")).json()["data"]
            assert [workspace["id"] for workspace in listed] == expected
    everywhere = (await keyrack.support.get("/v2/workspaces")).json()
    assert everywhere["meta"]["total"] == 4, "a service account with global.workspace.get_all"
    few = await keyrack.add_service_account("tenants.oauth_clients.get")
    assert error_of(await few.get("/v2/workspaces"))[:2] == (403, "forbidden")
    assert error_of(await few.get("/v2/contracts"))[:2] == (403, "forbidden")


async def hold(world: World, tenant_id: str, scope: str, role: str, permission: str) -> None:
    """Let a role of a tenant's policy hold one permission and no other."""
    mine = (roles.c.tenant_id == tenant_id, roles.c.scope == scope, roles.c.role == role)
    async with world.store.unit(tenant_id, writes=True) as unit:
        await unit.connection.execute(update(roles).where(*mine).values(permissions=[permission]))


async def test_only_members_of_the_contract_make_workspaces_whatever_a_role_above_holds(
    keyrack: World, acme: TenantInTest
) -> None:
    """The creator becomes the owner, and members of a workspace are members of its contract."""
    await hold(keyrack, acme.id, "tenants", "tenant-admin", "contracts.workspace.create")
    outsider = await keyrack.add_user(acme.id, "outsider@acme.example", ["tenant-admin"])
    related = {"contract": relationship("contract", acme.contract_id)}
    body = {"data": {"type": "workspace", "attributes": {"name": "Mine"}, "relationships": related}}
    assert error_of(await outsider.post("/v2/workspaces", body))[:2] == (403, "forbidden")
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        assert await WorkspaceRows(unit).of_contract(acme.contract_id) == [acme.workspace_id]
        await ContractMembers(unit).add(acme.contract_id, outsider.id, ["member"])
    made = await outsider.post("/v2/workspaces", body)
    assert made.status_code == 200, made.text
    assert [each["id"] for each in made.json()["data"]["relationships"]["members"]["data"]] == [outsider.id]


async def test_list_all_reaches_as_far_as_the_role_that_holds_it(keyrack: World, acme: TenantInTest) -> None:
    """A role in one contract lists that one; a role above lists those that its holder is a member of."""
    other, foreign = [await add_contract(keyrack, acme, name) for name in ("other", "foreign")]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await ContractMembers(unit).change(acme.contract_id, acme.guest.id, ["admin"])
        await ContractMembers(unit).add(other.contract_id, acme.guest.id, ["member"])
        await WorkspaceMembers(unit).remove(acme.workspace_id, acme.guest.id)

    async def listed() -> list[str]:
        return [each["id"] for each in (await acme.guest.get("/v2/workspaces?page[size]=100")).json()["data"]]

    await hold(keyrack, acme.id, "contracts", "admin", "contracts.workspace.listAll")
    assert await listed() == [acme.workspace_id]
    await hold(keyrack, acme.id, "tenants", "tenant-admin", "contracts.workspace.listAll")
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await UserRows(unit).set_tenant_roles(acme.guest.id, ["tenant-admin"])
    assert await listed() == [acme.workspace_id, other.workspace_id]
    assert foreign.workspace_id not in await listed()


async def test_workspace_starts_with_the_tenants_default_type(keyrack: World) -> None:
    attributes = {"name": "New", **HOSTS, "default_workspace_type": "limited"}
    tenant = await keyrack.support.post("/v2/tenants", {"data": {"type": "tenant", "attributes": attributes}})
    admin = await keyrack.add_user(tenant.json()["data"]["id"], "a@new.example", tenant_roles=["tenant-admin"])
    contract = await admin.post("/v2/contracts", {"data": {"type": "contract", "attributes": {"name": "New"}}})
    path = contract.json()["data"]["links"]["self"]
    body = {"type": "contract-member", "id": admin.id, "attributes": {"roles": ["owner"]}}
    await admin.post(f"{path}/members", {"data": body})
    related = {"contract": relationship("contract", contract.json()["data"]["id"])}
    data = {"type": "workspace", "attributes": {"name": "New"}, "relationships": related}
    made = await admin.post("/v2/workspaces", {"data": data})
    assert made.json()["data"]["attributes"] == {"name": "New", "type": "limited"}


async def test_workspace_members(acme: TenantInTest) -> None:
    path = f"/v2/workspaces/{acme.workspace_id}/members"
    rows = [
        (acme.admin, "admin", "owner"),
        (acme.integrator, "integrator", "integrator"),
        (acme.guest, "guest", "guest"),
    ]
    members = [
        {
            "id": who.id,
            "type": "member",
            "links": {"self": f"/v2/members/{who.id}"},
            "attributes": person(name, role),
        }
        for who, name, role in rows
    ]
    assert (await acme.guest.get(path)).json() == {"data": members, "meta": {}, "links": {"self": path}}
    body = {"type": "member", "id": acme.stranger.id, "attributes": {"roles": ["guest", "integrator"]}}
    outside = await acme.admin.post(path, {"data": body})
    assert error_of(outside) == (404, "related_not_found", "/data/id"), "only members of the contract"
    joined = {"type": "contract-member", "id": acme.stranger.id, "attributes": {"roles": ["member"]}}
    await acme.admin.post(f"/v2/contracts/{acme.contract_id}/members", {"data": joined})
    made = await acme.admin.post(path, {"data": body})
    links = {"self": f"/v2/members/{acme.stranger.id}"}
    attributes = person("stranger", "guest", "integrator")
    assert made.status_code == 200, "not 201"
    assert made.json() == {"data": {**body, "links": links, "attributes": attributes}, "meta": {}}
    assert error_of(await acme.admin.post(path, {"data": body})) == (409, "already_exists", "/data/id")
