"""`elasticio-rest-node`, which the runner carries: those of its routes that are in the contract, and the others."""

import pytest

from keyrack.ids import new_id
from support.app import Caller
from support.flows import Site, site, step_of
from support.node import call, statuses, values
from support.running import Running
from support.secrets import resource

PACKAGE = "elasticio-rest-node"


@pytest.fixture
async def place(running: Running) -> Site:
    return await site(running.world, running.world.tenants["Acme"], f"place-{new_id()}")


@pytest.fixture
async def step(running: Running, place: Site) -> Caller:
    return await step_of(running.world, place.flow_id)


@pytest.mark.parametrize("slashes", ["", "/", "//"])
async def test_a_step_reads_its_configuration_and_its_secret_with_the_names_of_its_environment(
    running: Running, place: Site, step: Caller, slashes: str
) -> None:
    variables = {**running.variables(step, place), "ELASTICIO_API_URI": running.base + slashes}
    printed = await call(
        PACKAGE,
        None,
        [],
        variables,
        ["tasks.retrieveStep", place.flow_id, "step_1"],
        ["tasks.retrieveStep", place.flow_id, "step_2"],
        ["secrets.retrieve", place.workspace_id, place.secret_id],
    )
    first, second, secret = values(printed)
    assert (first["id"], first["comp_id"]) == ("step_1", place.component_id)
    assert first["config"] == {"_account": place.credential_id, "key": f"{place.name}-key"}
    assert first["snapshot"] == {}
    assert second["config"]["secretId"] == place.secret_id
    assert second["config"]["credentials"]["access_token"] == "at-1"
    assert secret["data"]["attributes"]["credentials"]["access_token"] == "at-1"


async def test_a_step_hands_back_keys(running: Running, place: Site, step: Caller) -> None:
    printed = await call(
        PACKAGE,
        None,
        [step.name, step.api_key, {"retryCount": 3, "retryDelay": 100}],  # as the runner makes it
        {"ELASTICIO_API_URI": running.base},
        ["accounts.update", place.credential_id, {"keys": {"more": {"a": 1}}}],
        ["tasks.retrieveStep", place.flow_id, "step_1"],
    )
    _, read = values(printed)
    assert read["config"] == {"_account": place.credential_id, "key": f"{place.name}-key", "more": {"a": 1}}
    stored = resource(await place.user.get(f"/v2/credentials/{place.credential_id}"))["attributes"]["keys"]
    assert stored == {"key": f"{place.name}-key", "more": {"a": 1}}


async def test_what_is_refused_carries_the_status_and_the_whole_error_document(
    running: Running, place: Site, step: Caller
) -> None:
    other = await site(running.world, running.world.tenants["Globex"], f"other-{new_id()}")
    variables = running.variables(step, place)
    printed = await call(
        PACKAGE,
        None,
        [],
        variables,
        ["tasks.retrieveStep", other.flow_id, "step_1"],
        ["tasks.retrieveStep", place.flow_id, "step_9"],
        ["accounts.update", other.credential_id, {"keys": {}}],
        ["secrets.retrieve", other.workspace_id, other.secret_id],
        ["accounts.update", place.credential_id, {"keys": []}],
    )
    assert statuses(printed) == [404, 404, 404, 403, 400]
    assert '"code":"validation_error"' in printed["outcomes"][-1]["error"]["message"]
    wrong = await call(PACKAGE, None, [step.name, "wrong"], variables, ["tasks.retrieveStep", place.flow_id, "step_1"])
    assert statuses(wrong) == [401]


async def test_routes_of_the_first_api_that_are_not_kept_are_unknown(running: Running, place: Site) -> None:
    """The library's other methods call routes that the contract does not have: 404 or 405, never tried again."""
    printed = await call(
        PACKAGE,
        None,
        [place.user.name, place.user.api_key],
        {"ELASTICIO_API_URI": running.base},
        ["users.me"],
        ["accounts.list"],
        ["accounts.retrieve", place.credential_id],
        ["components.mine"],
        ["components.retrieve", place.component_id],
        ["teams.list"],
        ["repos.retrieveEnvVars", place.component_id],
        ["tasks.start", place.flow_id],
        ["tasks.delete", place.flow_id],
        ["recipes.list"],
        ["sshkeys.list"],
    )
    assert statuses(printed) == [404, 404, 405, 404, 404, 404, 404, 404, 404, 404, 404]
    assert resource(await place.user.get(f"/v2/flows/{place.flow_id}"))["attributes"]["status"] == "active"
