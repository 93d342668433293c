"""What blocks a deletion (contract 0.1, 0.15, section 22), and what a component finds at run time (0.8, 18.1)."""

from typing import Any

import pytest

from support.app import World, error_of, relationship
from support.consent import add_oauth_client, oauth_component
from support.flows import add_contract

DELETE = "tenants.oauth_clients.delete"
DESCRIPTOR = oauth_component("https://login.example.com/auth", "https://login.example.com/token")


@pytest.fixture
async def component(keyrack: World) -> str:
    return await keyrack.add_component(keyrack.tenants["Acme"], "pizza-van", DESCRIPTOR, access="global")


def flow_body(workspace_id: str, name: str = "Friday") -> dict[str, Any]:
    node = {"id": "step_1", "command": "acme/pizza-van:run", "name": "", "description": ""}
    attributes = {"name": name, "type": "ordinary", "default_mapper_type": "jsonata"}
    attributes["graph"] = {"nodes": [node], "edges": []}  # type: ignore[assignment]
    workspace = {"workspace": relationship("workspace", workspace_id)}
    return {"data": {"type": "flow", "attributes": attributes, "relationships": workspace}}


async def test_a_flow_blocks_the_client_whatever_its_status(keyrack: World, component: str) -> None:  # 0.1
    globex = keyrack.tenants["Globex"]
    gated = await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id))
    assert error_of(gated)[:2] == (409, "oauth_client_missing")
    client = await add_oauth_client(keyrack, "Globex", component, "id", "secret")
    made = await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id))
    assert made.status_code == 201, made.text
    flow = made.json()["data"]
    assert flow["attributes"]["status"] == "inactive"
    path = f"/v2/tenants/{globex.id}/oauth-clients/{client}"
    refused = await globex.admin.delete(path)
    assert error_of(refused)[:2] == (409, "in_use")
    assert refused.json()["errors"][0]["meta"]["flow_ids"] == [flow["id"]]
    usage = (await globex.admin.get(f"{path}/usage")).json()["data"]
    assert usage["type"] == "oauth-client-usage"
    assert usage["attributes"]["flows"] == [
        {"id": flow["id"], "name": "Friday", "status": "inactive", "in": ["graph", "versions"]}
    ]
    assert (await globex.integrator.delete(f"/v2/flows/{flow['id']}")).status_code == 204
    assert (await globex.admin.delete(path)).status_code == 204


async def test_a_draft_blocks_but_an_old_version_does_not(keyrack: World, component: str) -> None:  # 0.1
    globex = keyrack.tenants["Globex"]
    client = await add_oauth_client(keyrack, "Globex", component, "id", "secret")
    await keyrack.add_component(globex, "timer", {"title": "Timer", "triggers": {"tick": {"title": "Tick"}}})
    flow = (await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id))).json()["data"]["id"]
    timer = {"nodes": [{"id": "a", "command": "globex/timer:tick", "name": "", "description": ""}], "edges": []}
    body = {"data": {"type": "flow", "id": flow, "attributes": {"graph": timer}}}
    changed = await globex.integrator.patch(f"/v2/flows/{flow}", body)
    assert changed.status_code == 200, changed.text
    draft = flow_body(globex.workspace_id)["data"]["attributes"]["graph"]
    put = await globex.integrator.put(
        f"/v2/flows/{flow}/draft", {"data": {"type": "flow-draft", "attributes": {"graph": draft}}}
    )
    assert put.status_code == 200, put.text
    path = f"/v2/tenants/{globex.id}/oauth-clients/{client}"
    assert error_of(await globex.admin.delete(path))[:2] == (409, "in_use")
    assert (await globex.integrator.delete(f"/v2/flows/{flow}/draft")).status_code == 204
    assert (await globex.admin.delete(path)).status_code == 204, "the old version is a warning, not a block"


async def test_only_flows_of_the_own_tenant_block_and_are_named(keyrack: World, component: str) -> None:  # 0.15, 24.5
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    mine = await add_oauth_client(keyrack, "Acme", component, "id", "secret")
    theirs = await add_oauth_client(keyrack, "Globex", component, "id", "secret")
    flow = (await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id))).json()["data"]["id"]
    assert (await acme.admin.delete(f"/v2/tenants/{acme.id}/oauth-clients/{mine}")).status_code == 204
    path = f"/v2/tenants/{globex.id}/oauth-clients/{theirs}"
    elsewhere = await add_contract(keyrack, globex, "elsewhere")
    for who, named in ((globex.admin, [flow]), (await keyrack.add_service_account(DELETE), [flow])):
        (entry,) = (await who.delete(path)).json()["errors"]
        assert entry["meta"] == {"flow_ids": named, "flows": 1}
    blocked = await acme.admin.delete(f"/v2/components/{component}")
    assert blocked.json()["errors"][0]["meta"] == {"flow_ids": [], "flows": 1}, "another tenant's flow is a number"
    other = await elsewhere.member.post("/v2/flows", flow_body(elsewhere.workspace_id, "Elsewhere"))
    assert other.status_code == 201, "in any workspace or contract of the tenant"
    await globex.integrator.delete(f"/v2/flows/{flow}")
    assert error_of(await globex.admin.delete(path))[:2] == (409, "in_use")
    assert (await elsewhere.member.delete(f"/v2/flows/{other.json()['data']['id']}")).status_code == 204
    assert (await globex.admin.delete(path)).status_code == 204


async def test_moving_a_client_away_is_like_deleting_it(keyrack: World, component: str) -> None:  # 8.4
    globex = keyrack.tenants["Globex"]
    other = await keyrack.add_component(keyrack.tenants["Acme"], "other", DESCRIPTOR, access="global")
    client = await add_oauth_client(keyrack, "Globex", component, "id", "secret")
    await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id))
    path = f"/v2/tenants/{globex.id}/oauth-clients/{client}"
    for component_id, status in ((other, 409), (component, 200)):
        attributes = {"client_id": "new", "client_secret": "new"}
        about = {"component": relationship("component", component_id)}
        body = {"type": "oauth-client", "attributes": attributes, "relationships": about}
        answer = await globex.admin.patch(path, {"data": body})
        assert answer.status_code == status, answer.text
        assert answer.is_success or error_of(answer)[1] == "in_use"


async def test_each_tenant_runs_with_its_own_values(keyrack: World, component: str) -> None:  # 0.8, 18.1, 24.2
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    variables = {"APP_KEY": "acme-key", "APP_SECRET": "acme-secret", "REGION": "eu"}
    env = {"data": {"type": "component-env", "attributes": {"vars": variables}}}
    assert (await acme.admin.put(f"/v2/components/{component}/env", env)).status_code == 200
    path = f"/v2/workspaces/{globex.workspace_id}/components/{component}/runtime-env"
    assert error_of(await keyrack.support.get(path))[:2] == (409, "oauth_client_missing")
    await add_oauth_client(keyrack, "Globex", component, "globex-key", "globex-secret")
    found = (await keyrack.support.get(path)).json()["data"]["attributes"]["vars"]
    assert found == {
        "APP_KEY": "globex-key",
        "APP_SECRET": "globex-secret",
        "OAUTH_CLIENT_ID": "globex-key",
        "OAUTH_CLIENT_SECRET": "globex-secret",
        "REGION": "eu",
    }
    own = f"/v2/workspaces/{acme.workspace_id}/components/{component}/runtime-env"
    assert (await keyrack.support.get(own)).json()["data"]["attributes"]["vars"] == variables
    for who in (globex.admin, globex.integrator, acme.admin):
        assert (await who.get(path)).status_code == 403
    assert (await globex.admin.get(f"/v2/components/{component}/env")).status_code == 403


async def test_the_gate_opens_and_closes(keyrack: World, component: str) -> None:  # section 5, 24.4
    globex = keyrack.tenants["Globex"]

    async def seen() -> tuple[bool, int]:
        listed = (await globex.integrator.get(f"/v2/workspace/{globex.workspace_id}/components")).json()
        one = await globex.integrator.get(f"/v2/components/{component}")
        return component in {entry["id"] for entry in listed["data"]}, one.status_code

    assert await seen() == (False, 404)
    assert (await globex.admin.get(f"/v2/components/{component}")).status_code == 200, "to create the first client"
    everything = (await globex.admin.get("/v2/components/all")).json()["data"]
    assert component in {entry["id"] for entry in everything}
    client = await add_oauth_client(keyrack, "Globex", component, "id", "secret")
    assert await seen() == (True, 200)
    assert (await globex.admin.delete(f"/v2/tenants/{globex.id}/oauth-clients/{client}")).status_code == 204
    assert await seen() == (False, 404)


async def test_deleting_a_component_leaves_its_client(keyrack: World, component: str) -> None:  # 24.6
    acme, globex = keyrack.tenants["Acme"], keyrack.tenants["Globex"]
    client = await add_oauth_client(keyrack, "Globex", component, "id", "secret")
    flow = (await globex.integrator.post("/v2/flows", flow_body(globex.workspace_id))).json()["data"]["id"]
    blocked = await acme.admin.delete(f"/v2/components/{component}")
    assert error_of(blocked)[:2] == (409, "in_use")
    assert "Friday" not in blocked.text, "another tenant's flow is a number"
    await globex.integrator.delete(f"/v2/flows/{flow}")
    assert (await acme.admin.delete(f"/v2/components/{component}")).status_code == 204
    left = (await globex.admin.get(f"/v2/tenants/{globex.id}/oauth-clients/{client}")).json()["data"]
    assert "relationships" not in left
    assert (await globex.admin.delete(f"/v2/tenants/{globex.id}/oauth-clients/{client}")).status_code == 204


async def test_credentials_hide_their_keys_from_guests(keyrack: World) -> None:  # 0.4, section 16
    globex = keyrack.tenants["Globex"]
    component = await keyrack.add_component(globex, "own", DESCRIPTOR)
    body = {
        "type": "credential",
        "attributes": {"name": "Mine", "keys": {"oauth": {"access_token": "a"}}},
        "relationships": {
            "component": relationship("component", component),
            "workspace": relationship("workspace", globex.workspace_id),
        },
    }
    without = await globex.integrator.post("/v2/credentials", {"data": body})
    assert error_of(without) == (400, "validation_error", "/data/attributes/keys/oauth/refresh_token")
    body["attributes"]["keys"]["oauth"]["refresh_token"] = "r"  # type: ignore[index]
    made = await globex.integrator.post("/v2/credentials", {"data": body})
    assert made.status_code == 201, made.text
    path = f"/v2/credentials/{made.json()['data']['id']}"
    assert "keys" not in (await globex.guest.get(path)).json()["data"]["attributes"]
    for stranger in (globex.stranger, keyrack.tenants["Acme"].admin):
        assert (await stranger.get(path)).status_code == 404
    handed_back = await globex.integrator.put(
        f"/v1/accounts/{made.json()['data']['id']}", {"keys": {"oauth": {"access_token": "new"}}}
    )
    assert handed_back.status_code == 200  # 18.3: the refresh token is kept
    keys = (await globex.integrator.get(path)).json()["data"]["attributes"]["keys"]
    assert keys == {"oauth": {"access_token": "new", "refresh_token": "r"}}
