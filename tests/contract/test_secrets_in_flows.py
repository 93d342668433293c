"""Auth secrets in flows: what a node may name, what blocks a deletion, what a step gets (contract 15.2, 17, 18.2)."""

from typing import Any

import pytest

from support.app import World, error_of, relationship
from support.secrets import TOKENS, add_client, make, resource

CALENDAR = {"title": "Calendar", "authClientTypes": ["oauth2"], "triggers": {"due": {"title": "Due"}}}
NODE = "/data/attributes/graph/nodes/0"


class Stage:
    """Globex with a second-generation component, an auth client linked to it, and a secret."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tenant = world.tenants["Globex"]
        self.who = self.tenant.integrator

    async def set_up(self) -> "Stage":
        self.component = await self.world.add_component(self.tenant, "calendar", CALENDAR)
        self.client = await add_client(self.world, self.tenant, components=(self.component,))
        credentials = {**TOKENS, "fields": {"region": "eu", "depth": "from the secret"}}
        self.secret = (await make(self.who, self.tenant.workspace_id, self.client, credentials))["id"]
        self.path = f"/v2/workspaces/{self.tenant.workspace_id}/secrets/{self.secret}"
        return self

    def node(self, secret_id: str, **more: Any) -> dict[str, Any]:
        command = "globex/calendar:due"
        return {"id": "step_1", "command": command, "name": "", "description": "", "secret_id": secret_id, **more}

    async def create(self, *nodes: dict[str, Any]) -> Any:
        graph = {"nodes": list(nodes) or [self.node(self.secret, fields={"depth": "of the node", "limit": 3})]}
        attributes = {"name": "Friday", "type": "ordinary", "default_mapper_type": "jsonata"}
        workspace = {"workspace": relationship("workspace", self.tenant.workspace_id)}
        data = {"type": "flow", "attributes": {**attributes, "graph": graph}, "relationships": workspace}
        return await self.who.post("/v2/flows", {"data": data})

    async def flow(self) -> str:
        found: str = resource(await self.create(), 201)["id"]
        return found


@pytest.fixture
async def stage(keyrack: World) -> Stage:
    return await Stage(keyrack).set_up()


async def test_a_node_names_a_secret_of_its_workspace_and_component(stage: Stage) -> None:  # 17
    flow = resource(await stage.create(), 201)
    assert flow["attributes"]["graph"]["nodes"][0]["secret_id"] == stage.secret
    workspace = stage.tenant.workspace_id
    unlinked = (await make(stage.who, workspace, await add_client(stage.world, stage.tenant)))["id"]
    acme = stage.world.tenants["Acme"]
    everyones = await add_client(stage.world, None, components=(stage.component,), scope="global")
    foreign = (await make(acme.integrator, acme.workspace_id, everyones))["id"]
    for wrong in (unlinked, foreign, "0" * 24, "nonsense"):
        answer = await stage.create(stage.node(wrong))
        assert error_of(answer) == (400, "validation_error", f"{NODE}/secret_id")
    own = (await make(stage.who, workspace, everyones))["id"]
    assert (await stage.create(stage.node(own))).status_code == 201
    both = await stage.create(stage.node(stage.secret, credentials_id="0" * 24))
    assert error_of(both) == (400, "validation_error", f"{NODE}/secret_id")


async def test_only_an_active_flow_blocks_and_is_named(stage: Stage) -> None:  # 15.2, 22
    flow = await stage.flow()
    assert (await stage.who.post(f"/v2/flows/{flow}/start")).status_code == 202
    blocked = await stage.who.delete(stage.path)
    assert error_of(blocked)[:2] == (409, "in_use")
    assert blocked.json()["errors"][0]["meta"] == {"flow_ids": [flow], "flows": 1}
    assert "Friday" in blocked.json()["errors"][0]["detail"]
    assert (await stage.who.post(f"/v2/flows/{flow}/stop")).status_code == 202
    assert (await stage.who.delete(stage.path)).status_code == 204
    left = resource(await stage.who.get(f"/v2/flows/{flow}"))["attributes"]["graph"]["nodes"][0]
    assert left["secret_id"] == stage.secret, "it keeps naming what is gone"
    config = (await stage.who.get(f"/v1/tasks/{flow}/steps/step_1")).json()["config"]
    assert config == {"depth": "of the node", "limit": 3, "secretId": stage.secret}
    again = await stage.who.post(f"/v2/flows/{flow}/start")
    assert error_of(again)[:2] == (409, "state_conflict")
    assert "step_1" in again.json()["errors"][0]["detail"]


async def test_a_flow_that_names_it_no_more_does_not_block(stage: Stage) -> None:  # 15.2
    flow = await stage.flow()
    assert (await stage.who.post(f"/v2/flows/{flow}/start")).status_code == 202
    other = (await make(stage.who, stage.tenant.workspace_id, stage.client))["id"]
    graph = {"nodes": [stage.node(other)]}
    body = {"data": {"type": "flow", "id": flow, "attributes": {"graph": graph}}}
    assert (await stage.who.patch(f"/v2/flows/{flow}", body)).status_code == 200
    assert (await stage.who.delete(stage.path)).status_code == 204


async def test_a_step_gets_fields_credentials_and_the_secrets_id(stage: Stage) -> None:  # 18.2
    flow = await stage.flow()
    step = (await stage.who.get(f"/v1/tasks/{flow}/steps/step_1")).json()
    emitted = resource(await stage.who.get(stage.path))["attributes"]["credentials"]
    assert step == {
        "id": "step_1",
        "comp_id": stage.component,
        "config": {
            "depth": "from the secret",
            "limit": 3,
            "region": "eu",
            "secretId": stage.secret,
            "credentials": emitted,
        },
        "snapshot": {},
    }
    assert emitted["access_token"] == TOKENS["access_token"]


async def test_a_step_with_a_secret_needs_the_right_to_its_tokens(stage: Stage) -> None:  # 6.1, 24.17
    path = f"/v1/tasks/{await stage.flow()}/steps/step_1"
    assert error_of(await stage.tenant.guest.get(path))[:2] == (403, "forbidden")
    keys_only = await stage.world.add_service_account("workspaces.credential.edit")
    assert error_of(await keys_only.get(path))[:2] == (403, "forbidden")
    runner = await stage.world.add_service_account("workspaces.auth_secret.get_credentials")
    assert (await runner.get(path)).json()["config"]["secretId"] == stage.secret
