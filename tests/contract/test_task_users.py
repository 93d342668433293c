"""What a running step sees: contract section 2, with 0.3, 10, 13 to 18.2. The routes are in `tests/tenancy`."""

import pytest

from support.app import Caller, World, error_of
from support.flows import Site, graph_of, node, site, step_of


@pytest.fixture(scope="module")
async def sites(keyrack_to_read: World) -> tuple[Site, Site, Site]:
    """Where the step is, elsewhere in its tenant, and in another tenant."""
    globex, acme = keyrack_to_read.tenants["Globex"], keyrack_to_read.tenants["Acme"]
    own = await site(keyrack_to_read, globex, "own")
    return own, await site(keyrack_to_read, globex, "near", apart=True), await site(keyrack_to_read, acme, "far")


@pytest.fixture(scope="module")
async def step(keyrack_to_read: World, sites: tuple[Site, Site, Site]) -> Caller:
    return await step_of(keyrack_to_read, sites[0].flow_id)


async def test_way_from_the_workspace_to_its_contract(step: Caller, sites: tuple[Site, Site, Site]) -> None:
    """The way that clients go [CLIENT] (section 10)."""
    workspace = (await step.get(f"/v2/workspaces/{sites[0].workspace_id}")).json()["data"]
    contract = await step.get(f"/v2/contracts/{workspace['relationships']['contract']['data']['id']}")
    assert contract.status_code == 200
    assert contract.json()["data"]["id"] == sites[0].contract_id
    assert "custom_data" not in contract.json()["data"]["attributes"]  # section 9


async def test_members_are_not_told(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # section 2
    for path in (f"/v2/workspaces/{sites[0].workspace_id}", f"/v2/contracts/{sites[0].contract_id}"):
        for include in ("members", "invites", "members,invites"):
            assert error_of(await step.get(f"{path}?include={include}"))[:2] == (403, "forbidden")
        assert sites[0].user.name not in (await step.get(path)).text


async def test_only_components_that_flows_of_its_workspace_name(
    step: Caller, sites: tuple[Site, Site, Site], keyrack_to_read: World
) -> None:  # section 2; the near site's components can be used here as well (section 5), but are not
    own, near, _ = sites
    path = f"/v2/workspaces/{own.workspace_id}/components"
    listed = await step.get(path)
    assert {each["id"] for each in listed.json()["data"]} == {own.component_id, own.second_id}
    everything = {each["id"] for each in (await own.user.get(path)).json()["data"]}
    assert near.component_id in everything
    for component in (near.component_id, near.second_id):
        assert (await step.get(f"{path}/{component}")).status_code == 404
        assert (await step.get(f"/v2/components/{component}")).status_code == 404
    drafted = await keyrack_to_read.add_component(keyrack_to_read.tenants["Globex"], "drafted", {"title": "Drafted"})
    draft = {"type": "flow-draft", "attributes": {"graph": graph_of(node("globex/drafted:x"))}}
    stored = await own.user.put(f"/v2/flows/{own.flow_id}/draft", {"data": draft})
    assert stored.status_code == 200, stored.text
    assert (await step.get(f"/v2/components/{drafted}")).status_code == 404  # a draft does not run


async def test_credentials_come_with_keys(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # 16
    listed = (await step.get(f"/v2/credentials?workspace_id={sites[0].workspace_id}")).json()["data"]
    one = (await step.get(f"/v2/credentials/{sites[0].credential_id}")).json()["data"]
    assert listed == [one]
    assert set(one["attributes"]["keys"]) == {"key"}


async def test_secrets_come_with_credentials(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # 15, 24.17
    path = f"/v2/workspaces/{sites[0].workspace_id}/secrets"
    (listed,) = (await step.get(path)).json()["data"]
    one = (await step.get(f"{path}/{sites[0].secret_id}")).json()["data"]
    assert listed["attributes"]["credentials"]["access_token"] == "at-1"
    assert one["attributes"]["credentials"]["access_token"] == "at-1"


async def test_configuration_of_steps_of_its_workspace(step: Caller, sites: tuple[Site, Site, Site]) -> None:  # 18.2
    first = (await step.get(f"/v1/tasks/{sites[0].flow_id}/steps/step_1")).json()
    assert set(first["config"]) == {"key", "_account"}
    second = (await step.get(f"/v1/tasks/{sites[0].flow_id}/steps/step_2")).json()
    assert second["config"]["credentials"]["access_token"] == "at-1"
    assert (await step.get(f"/v1/tasks/{sites[0].flow_id}/steps/step_3")).status_code == 404
