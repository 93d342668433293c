"""Components at work with tokens: the library's REST clients against a third party, and the platform's own runner."""

from typing import Any

import pytest

from keyrack.ids import new_id
from keyrack.simulator.config import DEFAULT_CLIENT
from keyrack.simulator.state import Queued
from keyrack.simulator.testing import RunningSimulator
from support.app import relationship
from support.consent import add_oauth_client, oauth_component
from support.flows import Site, flow_body, graph_of, node, site, step_of, user_team
from support.grants import connect, is_live, mint, stored
from support.node import EMITTER, call, run
from support.running import Running
from support.secrets import resource

COMMONS = "component-commons-library-3"
ME = ["makeRequest", {"method": "GET", "url": "/api/me"}]


@pytest.fixture
async def place(running: Running) -> Site:
    return await site(running.world, running.world.tenants["Acme"], f"place-{new_id()}")


async def at_work(
    running: Running, place: Site, simulator: RunningSimulator, secret_id: str, *calls: list[Any]
) -> list[dict[str, Any]]:
    """Let a component with a secret call the third party."""
    step = await step_of(running.world, place.flow_id)
    configuration = {"secretId": secret_id, "resourceServerUrl": f"{simulator.base_url}/"}
    variables = running.variables(step, place, "step_2")
    printed = await call(COMMONS, "FacelessRestClient", [EMITTER, configuration], variables, *calls)
    outcomes: list[dict[str, Any]] = printed["outcomes"]
    return outcomes


async def test_a_component_whose_token_expired_gets_a_fresh_one(
    running: Running, place: Site, simulator: RunningSimulator
) -> None:
    connected = await connect(running.world, simulator, {"rotation": "strict"})
    simulator.state.book.expire(lambda token: token.value == connected.secret.credentials["access_token"])
    (answer,) = await at_work(running, place, simulator, connected.secret.id, ME)
    assert answer["value"]["status"] == 200
    assert simulator.state.calls(endpoint="me") == 1
    assert is_live(simulator, await stored(running.world.store, connected.secret))


async def test_a_component_reads_the_secret_again_when_the_third_party_says_401(
    running: Running, place: Site, simulator: RunningSimulator
) -> None:
    connected = await connect(running.world, simulator, age=60)
    simulator.state.enqueue(Queued("me", 1, {"status": 401}))
    (answer,) = await at_work(running, place, simulator, connected.secret.id, ME)
    assert answer["value"]["status"] == 200
    assert simulator.state.calls(endpoint="me") == 2
    assert simulator.state.calls(grant_type="refresh_token") == 0


async def test_a_component_has_a_token_that_was_withdrawn_refreshed(
    running: Running, place: Site, simulator: RunningSimulator
) -> None:
    connected = await connect(running.world, simulator, {"rotation": "strict"}, age=60)
    old = connected.secret.credentials["access_token"]
    simulator.state.book.revoke(lambda token: token.value == old)
    refused, refreshed, answer = await at_work(
        running,
        place,
        simulator,
        connected.secret.id,
        ME,
        ["platformClient.refreshTokenBySecretId", {"secretId": connected.secret.id}],
        ME,
    )
    assert refused["error"]["status"] == 401
    assert refreshed["value"]["attributes"]["credentials"]["access_token"] != old
    assert answer["value"]["status"] == 200
    assert simulator.state.calls(grant_type="refresh_token") == 1


async def test_the_runner_runs_a_step_whose_component_refreshes_its_credential_itself(
    running: Running, simulator: RunningSimulator
) -> None:
    """The library emits `updateKeys` with the bare token response; its one-time refresh token must not be lost."""
    simulator.state.set_defaults({"rotation": "strict"})
    world, acme = running.world, running.world.tenants["Acme"]
    name = f"profile-{new_id()}"
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint)
    component = await world.add_component(acme, name, descriptor, access="tenant")
    await add_oauth_client(world, "Acme", component, DEFAULT_CLIENT.client_id, DEFAULT_CLIENT.client_secret.reveal())
    about = {
        "component": relationship("component", component),
        "workspace": relationship("workspace", acme.workspace_id),
    }
    tokens = {**mint(simulator), "expires_in": 3600}
    made = {"type": "credential", "attributes": {"keys": {"oauth": tokens}}, "relationships": about}
    credential = resource(await acme.integrator.post("/v2/credentials", {"data": made}), 201)["id"]
    graph = graph_of(node(f"{user_team(acme)}/{name}:run", credentials_id=credential))
    flow = resource(await acme.integrator.post("/v2/flows", flow_body(acme.workspace_id, graph=graph)), 201)["id"]
    resource(await acme.integrator.post(f"/v2/flows/{flow}/start"), 202)
    environment = f"/v2/workspaces/{acme.workspace_id}/components/{component}/runtime-env"
    step = await step_of(world, flow)
    variables = {
        **resource(await world.support.get(environment))["attributes"]["vars"],
        "ELASTICIO_API_URI": f"{running.base}/",
        "ELASTICIO_API_USERNAME": step.name,
        "ELASTICIO_API_KEY": step.api_key,
        "ELASTICIO_FLOW_ID": flow,
        "ELASTICIO_STEP_ID": "step_1",
        "ELASTICIO_WORKSPACE_ID": acme.workspace_id,
        "ELASTICIO_USER_ID": acme.integrator.id,
        "ELASTICIO_COMP_ID": component,
        "ELASTICIO_EXEC_ID": "execution",
        "ELASTICIO_CONTAINER_ID": "container",
        "ELASTICIO_FUNCTION": "read",
        "ELASTICIO_COMPONENT_PATH": "component",
        "ELASTICIO_HOOK_SHUTDOWN": "true",  # else the library asks for the broker's variables
    }
    message = {"resource": simulator.base_url, "token_endpoint": simulator.token_endpoint}
    path = f"/v2/credentials/{credential}"
    seen = []
    for expires in (None, None, "2020-01-01T00:00:00.000Z"):  # at once without a time, then still valid, then expired
        keys = resource(await acme.integrator.get(path))["attributes"]["keys"]
        if expires is not None:
            keys["oauth"]["tokenExpiryTime"] = expires
            change = {"id": credential, "type": "credential", "attributes": {"keys": keys}}
            resource(await acme.integrator.patch(path, {"data": change}))
        printed = await run("step.cjs", message, variables)
        assert [name for name, _ in printed["published"]] == ["sendData", "ack"], printed["published"]
        assert printed["step"]["config"]["_account"] == credential
        assert printed["step"]["comp_id"] == component
        seen.append(printed["step"]["config"]["oauth"]["refresh_token"])
    keys = resource(await acme.integrator.get(path))["attributes"]["keys"]
    assert set(keys) == {"oauth"}
    first, second, third = seen
    assert len({first, second, keys["oauth"]["refresh_token"]}) == 3
    assert second == third
    assert simulator.state.calls(grant_type="refresh_token", outcome="ok") == 2
    assert simulator.state.calls(endpoint="me", outcome="ok") == 3
