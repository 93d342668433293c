"""What belongs to a person cannot be made by a service account, which is no user: 403, never a fault."""

from typing import Any

from support.app import World, error_of, relationship


async def test_a_service_account_owns_no_credential_and_no_flow(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    acme = world.tenants["Acme"]
    plain = {"title": "Plain", "actions": {"run": {"title": "Run"}}}
    component = relationship("component", await world.add_component(acme, "plain", plain))
    workspace = relationship("workspace", acme.workspace_id)
    credential: dict[str, Any] = {"type": "credential", "attributes": {"name": "Mine", "keys": {}}}
    credential["relationships"] = {"component": component, "workspace": workspace}
    node = {"id": "step_1", "command": "acme/plain:run", "name": "", "description": ""}
    attributes = {"name": "Friday", "type": "ordinary", "default_mapper_type": "jsonata"}
    flow: dict[str, Any] = {"type": "flow", "attributes": attributes | {"graph": {"nodes": [node], "edges": []}}}
    flow["relationships"] = {"workspace": workspace}
    for path, data in (("/v2/credentials", credential), ("/v2/flows", flow)):
        assert error_of(await world.support.post(path, {"data": data}))[:2] == (403, "forbidden")
        assert (await acme.integrator.post(path, {"data": data})).status_code == 201
    made = (await acme.integrator.get(f"/v2/flows?workspace_id={acme.workspace_id}")).json()["data"][0]["id"]
    change = {"data": {"type": "flow", "id": made, "attributes": {"name": "Monday"}}}
    assert error_of(await world.support.patch(f"/v2/flows/{made}", change))[:2] == (403, "forbidden")
    assert (await acme.integrator.patch(f"/v2/flows/{made}", change)).status_code == 200
