"""Changing a workspace (contract section 10): name, type, and what keeps it from becoming `full` (section 5)."""

from typing import Any

import pytest

from support.app import TenantInTest, World, error_of
from support.flows import add_workspace, flow_body, graph_of, node, turn_whitelist_on
from support.secrets import resource

TIMER = {"title": "Timer", "triggers": {"tick": {"title": "Tick"}}}


def path_of(acme: TenantInTest) -> str:
    return f"/v2/workspaces/{acme.workspace_id}"


def body(**attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "workspace", "attributes": attributes}}


async def test_what_is_named_changes_and_the_rest_stays(acme: TenantInTest) -> None:
    before = resource(await acme.admin.get(path_of(acme)))
    for change in ({"name": "Another name"}, {"type": "limited"}, {"type": "full", "name": "Third"}, {}):
        before["attributes"] |= change
        changed = await acme.admin.patch(f"{path_of(acme)}/", body(**change, colour="blue"))
        assert changed.json() == {"data": before, "meta": {}}
        assert resource(await acme.admin.get(path_of(acme))) == before
    events = (await acme.admin.get(f"/v2/tenants/{acme.id}/audit-events?action=workspace.edit")).json()["data"]
    assert {event["attributes"]["target"]["id"] for event in events} == {acme.workspace_id}


# fmt: off
WHO = [
    # attribute, tenant admin, workspace owner, integrator, guest, contract owner, other's admin, service
    ("name",     (403,         200,             403,        403,   403,            403,           200)),
    ("type",     (200,         403,             403,        403,   403,            403,           200)),
]
# fmt: on
COLUMNS = ("tenant admin", "workspace owner", "integrator", "guest", "contract owner", "elsewhere", "service")
PERMISSIONS = {"name": "workspaces.workspace.edit", "type": "workspaces.workspace.edit_type"}


@pytest.mark.parametrize(("attribute", "statuses"), WHO)
@pytest.mark.parametrize("column", range(len(COLUMNS)), ids=COLUMNS)
async def test_each_attribute_needs_its_own_permission(
    keyrack: World, acme: TenantInTest, attribute: str, statuses: tuple[int, ...], column: int
) -> None:
    people = {
        "tenant admin": await keyrack.add_user(acme.id, "another@acme.example", ["tenant-admin"]),  # in no contract
        "workspace owner": await keyrack.add_user(acme.id, "workspace@acme.example"),
        "contract owner": await keyrack.add_user(acme.id, "contract@acme.example"),
        "integrator": acme.integrator,
        "guest": acme.guest,
        "elsewhere": keyrack.tenants["Globex"].admin,
        "service": await keyrack.add_service_account(PERMISSIONS[attribute]),
    }
    for name, roles in [("workspace owner", ["member"]), ("contract owner", ["owner", "admin"])]:
        data = {"type": "contract-member", "id": people[name].id, "attributes": {"roles": roles}}
        path = f"/v2/contracts/{acme.contract_id}/members"
        assert (await acme.admin.post(path, {"data": data})).status_code == 200
    data = {"type": "member", "id": people["workspace owner"].id, "attributes": {"roles": ["owner"]}}
    assert (await acme.admin.post(f"{path_of(acme)}/members", {"data": data})).status_code == 200
    change = {"name": {"name": "New name"}, "type": {"type": "limited"}}[attribute]
    answer = await people[COLUMNS[column]].patch(path_of(acme), body(**change))
    assert answer.status_code == statuses[column], answer.text
    if answer.status_code == 200:
        refused = await people[COLUMNS[column]].patch(path_of(acme), body(name="x", type="x"))
        assert error_of(refused)[:2] == (403, "forbidden"), "section 3: before the body is judged"


async def workspace_with(world: World, acme: TenantInTest, **owned: str) -> tuple[str, dict[str, str]]:
    """Make a limited workspace in a tenant that whitelists, and components of other contracts; return their ids."""
    await turn_whitelist_on(world, acme)
    workspace = await add_workspace(world, acme, "limited")
    globex = world.tenants["Globex"]
    made = {name: await world.add_component(globex, name, TIMER, access=access) for name, access in owned.items()}
    return workspace, made


async def test_not_full_while_a_flow_names_what_is_not_whitelisted(keyrack: World, acme: TenantInTest) -> None:
    workspace, made = await workspace_with(keyrack, acme, graph="global", draft="global", old="global")
    await keyrack.add_component(acme, "mine", TIMER)
    flows = {}
    for name in made:
        flow = await acme.integrator.post("/v2/flows", flow_body(workspace, f"globex/{name}:tick"))
        flows[name] = resource(flow, 201)["id"]
    mine = {"graph": graph_of(node("acme/mine:tick"))}
    for name in ("draft", "old"):  # now named by a version only
        changed = {"type": "flow", "id": flows[name], "attributes": mine}
        assert (await acme.integrator.patch(f"/v2/flows/{flows[name]}", {"data": changed})).status_code == 200
    draft = {"type": "flow-draft", "attributes": {"graph": graph_of(node("globex/draft:tick"))}}
    assert (await acme.integrator.put(f"/v2/flows/{flows['draft']}/draft", {"data": draft})).status_code == 200

    path = f"/v2/workspaces/{workspace}"
    refused = await acme.admin.patch(path, body(type="full"))
    assert error_of(refused) == (409, "in_use", "/data/attributes/type")
    blocking = sorted([flows["graph"], flows["draft"]])
    components = sorted([made["graph"], made["draft"]])
    meta = {"component_ids": components, "flow_ids": blocking, "flows": 2}
    assert refused.json()["errors"][0]["meta"] == meta
    assert (await acme.admin.patch(path, body(type="limited"))).status_code == 200, "it is that already"

    listing = {"data": {"type": "component", "attributes": {"whitelisted_contract_ids": [acme.contract_id]}}}
    assert (await acme.admin.patch(f"/v2/components/{made['graph']}", listing)).status_code == 200
    assert error_of(await acme.admin.patch(path, body(type="full")))[:2] == (409, "in_use")
    assert (await acme.integrator.delete(f"/v2/flows/{flows['draft']}/draft")).status_code == 204
    changed_to = resource(await acme.admin.patch(path, body(type="full")))
    assert changed_to["attributes"]["type"] == "full"


async def test_full_at_once_where_the_tenant_does_not_whitelist(keyrack: World, acme: TenantInTest) -> None:
    workspace = await add_workspace(keyrack, acme, "limited")
    await keyrack.add_component(keyrack.tenants["Globex"], "any", TIMER, access="global")
    resource(await acme.integrator.post("/v2/flows", flow_body(workspace, "globex/any:tick")), 201)
    changed = resource(await acme.admin.patch(f"/v2/workspaces/{workspace}", body(type="full")))
    assert changed["attributes"]["type"] == "full"


WRONG: list[tuple[dict[str, Any], tuple[int, str, str]]] = [
    (body(name="ab"), (400, "validation_error", "/data/attributes/name")),
    (body(type="huge"), (400, "validation_error", "/data/attributes/type")),
    (body(type=None), (400, "validation_error", "/data/attributes/type")),
    ({"data": {"attributes": {"name": "Name"}}}, (400, "validation_error", "/data/type")),
    ({"data": {"type": "contract", "attributes": {"name": "Name"}}}, (409, "type_conflict", "/data/type")),
    ({"data": {"type": "workspace", "id": "0" * 24}}, (409, "id_conflict", "/data/id")),
]


@pytest.mark.parametrize(("content", "error"), WRONG)
async def test_what_is_wrong_is_told(acme: TenantInTest, content: Any, error: tuple[int, str, str]) -> None:
    before = (await acme.admin.get(path_of(acme))).json()
    assert error_of(await acme.admin.patch(path_of(acme), content)) == error
    assert (await acme.admin.get(path_of(acme))).json() == before


async def test_an_unknown_workspace_is_404(acme: TenantInTest) -> None:
    assert error_of(await acme.admin.patch(f"/v2/workspaces/{'0' * 24}", body(name="Name")))[:2] == (404, "not_found")
