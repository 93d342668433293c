"""`@elastic.io/component-commons-library`: the client of the platform API that components carry, both its majors."""

from collections.abc import Mapping
from typing import Any

import pytest

from keyrack.ids import new_id
from support.app import Caller, relationship
from support.flows import Site, flow_body, site, step_of
from support.node import EMITTER, call, statuses, values
from support.running import Running
from support.secrets import body as secret_body
from support.secrets import resource

MAJORS = {"3": "component-commons-library-3", "4": "@elastic.io/component-commons-library"}


@pytest.fixture(params=MAJORS)
def library(request: pytest.FixtureRequest) -> str:
    return MAJORS[request.param]


@pytest.fixture
async def place(running: Running) -> Site:
    """A contract and a workspace of its own, with a flow of two steps; its user sees nothing else."""
    return await site(running.world, running.world.tenants["Acme"], f"place-{new_id()}", apart=True)


async def called(
    library: str, configuration: Mapping[str, str], variables: Mapping[str, str], *calls: list[Any]
) -> dict[str, Any]:
    return await call(library, "PlatformApiLogicClient", [EMITTER, configuration, "Compat", "m-1"], variables, *calls)


def as_user(running: Running, who: Caller) -> dict[str, str]:
    return {"url": running.base, "email": who.name, "apiKey": who.api_key}


async def more_flows(place: Site, count: int) -> list[str]:
    bodies = [flow_body(place.workspace_id, f"acme/{place.name}-ledger:due", name=f"more {n}") for n in range(count)]
    return [resource(await place.user.post("/v2/flows", body), 201)["id"] for body in bodies]


async def test_a_user_reads_workspaces_flows_credentials_secrets_and_components(
    running: Running, place: Site, library: str
) -> None:
    acme = running.world.tenants["Acme"]
    other = await site(running.world, acme, f"other-{new_id()}", apart=True)
    flows = [place.flow_id, *await more_flows(place, 4)]
    printed = await called(
        library,
        as_user(running, place.user),
        {},
        ["fetchWorkspaceList"],
        ["fetchAllFlowsForWorkspace", {"workspaceId": place.workspace_id, "objectsPerPage": 2}],
        ["fetchFlowList", {}],
        ["fetchFlowList", {"workspaceId": place.workspace_id}],
        ["fetchAllCredentialsForWorkspace", {"workspaceId": place.workspace_id}],
        ["fetchAllSecretsForWorkspace", {"workspaceId": place.workspace_id}],
        ["fetchComponentsAccessibleFromContract", {"contractId": place.contract_id}],
        ["fetchWorkspaceId", {"value": {"workspaceName": place.name}}],
        ["fetchFlowId", {"value": {"flowName": "more 3"}}],
        ["fetchFlowById", place.flow_id],
        ["fetchFlowByNameAndWorkspaceId", "more 2", place.workspace_id],
    )
    workspaces, paged, listed, within, credentials, secrets, components, found, named, by_id, by_name = values(printed)
    (workspace,) = workspaces
    assert (workspace["workspaceId"], workspace["contractId"]) == (place.workspace_id, place.contract_id)
    assert (workspace["workspaceName"], workspace["contractName"]) == (place.name, place.name)
    assert sorted(flow["id"] for flow in paged) == sorted(flows)
    assert sorted(flow["flowId"] for flow in listed) == sorted(flows)
    assert sorted(flow["flowId"] for flow in within) == sorted(flows)
    assert [(each["credentialId"], each["componentId"]) for each in credentials] == [
        (place.credential_id, place.component_id)
    ]
    assert secrets == [{"secretId": place.secret_id, "secretName": "Mine", "componentIds": [place.second_id]}]
    # A component that its tenant shares is there as well, whoever made it.
    seen = {component["componentId"]: component for component in components}
    assert {place.component_id, place.second_id, other.component_id} <= set(seen)
    assert seen[place.component_id]["componentDevTeam"] == "acme"
    assert found["workspaceId"] == place.workspace_id
    assert (named["id"], by_name["id"]) == (flows[4], flows[3])
    assert by_id["id"] == place.flow_id
    assert "Can't find" not in "\n".join(printed["logged"])


async def test_a_tenant_admin_reads_contracts_and_workspaces_page_by_page(
    running: Running, place: Site, library: str
) -> None:
    """More contracts than fit a page; the library asks for as many pages as there are contracts."""
    acme = running.world.tenants["Acme"]
    others = [await site(running.world, acme, f"other-{new_id()}", apart=True) for _ in range(2)]
    printed = await called(
        library,
        as_user(running, acme.admin),
        {},
        ["fetchWorkspaceList", {"objectsPerPage": 2}],
        ["fetchFlowList", {"workspaceId": acme.workspace_id}],
    )
    workspaces, flows = values(printed)
    found = [(each["contractId"], each["workspaceId"]) for each in workspaces]
    expected = {(each.contract_id, each.workspace_id) for each in (place, *others)}
    assert {(acme.contract_id, acme.workspace_id), *expected} <= set(found)
    assert len(found) == len(set(found))
    assert flows == []
    # Flows are for members (section 17), so an admin who sees all workspaces cannot ask for the flows of all at once.
    everywhere = await called(library, as_user(running, acme.admin), {}, ["fetchFlowList", {}])
    assert statuses(everywhere) == [403]


async def test_a_flow_is_hydrated_with_the_names_of_what_it_uses(running: Running, place: Site, library: str) -> None:
    flow = resource(await place.user.get(f"/v2/flows/{place.flow_id}"))
    options = {"flow": flow, "includeDataSamples": False, "removeNonWritableProperties": True}
    printed = await called(library, as_user(running, place.user), {}, ["hydrateFlow", options])
    (hydrated,) = values(printed)
    first, second = hydrated["attributes"]["graph"]["nodes"]
    assert first["credentials_id"]["credentialId"] == place.credential_id
    assert second["secret_id"] == {"secretId": place.secret_id, "secretName": "Mine"}
    assert first["component_id"] == {
        "componentId": place.component_id,
        "componentDevTeam": "acme",
        "componentName": f"{place.name}-ledger",
    }
    assert first["command"] == {"actionOrTrigger": "due"}
    assert "status" not in hydrated["attributes"]


async def test_flows_start_and_stop(running: Running, place: Site, library: str) -> None:
    printed = await called(
        library,
        as_user(running, place.user),
        {},
        ["stopFlow", place.flow_id],
        ["fetchFlowById", place.flow_id],
        ["startFlow", place.flow_id],
        ["fetchFlowById", place.flow_id],
        ["startFlow", place.flow_id],
    )
    _, stopped, _, started, _ = values(printed)
    assert (stopped["attributes"]["status"], started["attributes"]["status"]) == ("inactive", "active")


async def test_a_running_step_reads_its_workspace(running: Running, place: Site, library: str) -> None:
    step = await step_of(running.world, place.flow_id)
    variables = {**running.variables(step, place), "ELASTICIO_API_URI": f" {running.base}/ "}
    printed = await called(
        library,
        {},
        variables,
        ["fetchWorkspaceList"],
        ["fetchFlowList", {}],
        ["fetchAllCredentialsForWorkspace", {"workspaceId": place.workspace_id}],
        ["fetchAllSecretsForWorkspace", {"workspaceId": place.workspace_id}],
        ["fetchSecretById", {"secretId": place.secret_id}],
        ["fetchFlowById", place.flow_id],
    )
    workspaces, flows, credentials, secrets, secret, flow = values(printed)
    assert [(each["workspaceId"], each["contractId"]) for each in workspaces] == [
        (place.workspace_id, place.contract_id)
    ]
    assert [each["flowId"] for each in flows] == [place.flow_id]
    assert [each["credentialId"] for each in credentials] == [place.credential_id]
    assert secrets == [{"secretId": place.secret_id, "secretName": "Mine", "componentIds": [place.second_id]}]
    assert secret["attributes"]["credentials"]["access_token"] == "at-1"
    assert secret["attributes"]["credentials"]["undefined_params"] == {}
    assert flow["id"] == place.flow_id


async def test_what_a_running_step_may_not_is_an_error_at_once(running: Running, place: Site, library: str) -> None:
    other = await site(running.world, running.world.tenants["Globex"], f"other-{new_id()}", apart=True)
    step = await step_of(running.world, place.flow_id)
    printed = await called(
        library,
        {},
        running.variables(step, place),
        ["stopFlow", place.flow_id],
        ["fetchSecretById", {"secretId": other.secret_id}],
        ["fetchSecretById", {"secretId": other.secret_id, "workspaceId": other.workspace_id}],
        ["fetchFlowById", other.flow_id],
    )
    assert statuses(printed) == [403, 404, 403, 404]
    assert not [line for line in printed["logged"] if "retrying" in line]


async def test_everything_is_made_changed_and_deleted_with_plain_requests(
    running: Running, place: Site, library: str
) -> None:
    """Paths with and without a slash at the end, as both occur in the references and in components."""
    about = {
        "component": relationship("component", place.component_id),
        "workspace": relationship("workspace", place.workspace_id),
    }

    def request(method: str, url: str, data: Any = None) -> list[Any]:
        return ["makeRequest", {"method": method, "url": url} | ({"body": {"data": data}} if data is not None else {})]

    name = new_id()
    made = await called(
        library,
        as_user(running, place.user),
        {},
        request("POST", "/credentials/", {"type": "credential", "attributes": {"name": name}, "relationships": about}),
        request("POST", "/flows", flow_body(place.workspace_id, f"acme/{place.name}-ledger:due")["data"]),
        request("POST", f"/workspaces/{place.workspace_id}/secrets/", secret_body(place.auth_client_id)["data"]),
        request("GET", "/users/me"),
        request("GET", "workspaces?contract_id=" + place.contract_id),
        request("GET", f"/workspace/{place.workspace_id}/components/"),
    )
    credential, flow, secret, me, workspaces, components = (value["data"] for value in values(made))
    assert me["id"] == place.user.id
    assert [each["id"] for each in workspaces] == [place.workspace_id]
    assert {place.component_id, place.second_id} <= {each["id"] for each in components}
    change = {"id": credential["id"], "type": "credential", "attributes": {"name": "Renamed"}}
    secret_path = f"/workspaces/{place.workspace_id}/secrets/{secret['id']}"
    done = await called(
        library,
        as_user(running, place.user),
        {},
        request("PATCH", f"/credentials/{credential['id']}/", change),
        request("PATCH", f"/flows/{flow['id']}", {"id": flow["id"], "type": "flow", "attributes": {"name": "New"}}),
        request("POST", f"/flows/{flow['id']}/start/"),
        request("POST", f"/flows/{flow['id']}/stop"),
        request("DELETE", f"/flows/{flow['id']}/"),
        request("DELETE", f"/credentials/{credential['id']}"),
        request("DELETE", f"{secret_path}/"),
    )
    renamed, changed, started, stopped, *_ = values(done)
    assert renamed["data"]["attributes"]["name"] == "Renamed"
    assert changed["data"]["attributes"]["name"] == "New"
    assert (started["data"]["id"], stopped["data"]) == (flow["id"], {})
    gone = await called(
        library, as_user(running, place.user), {}, request("GET", f"/flows/{flow['id']}"), request("GET", secret_path)
    )
    assert statuses(gone) == [404, 404]
