"""How components take faults: three tries on 5xx and on cut connections, one on 4xx (contract section 3)."""

from collections.abc import AsyncIterator

import pytest

from keyrack.ids import new_id
from keyrack.simulator.testing import RunningSimulator
from support.flows import Site, site, step_of
from support.grants import connect
from support.loopback_peers import Proxy, proxying
from support.node import EMITTER, call, statuses, values
from support.running import Running

COMMONS = "@elastic.io/component-commons-library"


@pytest.fixture(scope="module")
async def proxy(running: Running) -> AsyncIterator[Proxy]:
    async with proxying(running.base) as started:
        yield started


@pytest.fixture
async def place(running: Running) -> Site:
    return await site(running.world, running.world.tenants["Acme"], f"place-{new_id()}")


async def test_a_request_is_tried_again_on_server_faults_until_keyrack_answers(
    running: Running, proxy: Proxy, place: Site
) -> None:
    step = await step_of(running.world, place.flow_id)
    variables = {**running.variables(step, place), "ELASTICIO_API_URI": proxy.base + "/"}
    proxy.forget()
    proxy.faults.extend([503, 0])
    printed = await call(COMMONS, "PlatformApiLogicClient", [EMITTER, {}], variables, ["fetchFlowById", place.flow_id])
    (flow,) = values(printed)
    assert flow["id"] == place.flow_id
    assert proxy.requests == [f"GET /v2/flows/{place.flow_id}"] * 3


async def test_what_keyrack_refuses_is_asked_once(running: Running, proxy: Proxy, place: Site) -> None:
    step = await step_of(running.world, place.flow_id)
    variables = {**running.variables(step, place), "ELASTICIO_API_URI": proxy.base}
    proxy.forget()
    unknown = f"/workspaces/{place.workspace_id}/secrets/{'0' * 24}"
    printed = await call(
        COMMONS,
        "PlatformApiRestClient",
        [EMITTER, {}],
        variables,
        ["makeRequest", {"method": "GET", "url": unknown}],
        ["makeRequest", {"method": "DELETE", "url": f"/flows/{place.flow_id}"}],
        ["makeRequest", {"method": "POST", "url": "/flows/", "body": {"data": {}}}],
    )
    assert statuses(printed) == [404, 403, 400]
    assert len(proxy.requests) == 3
    # The client puts the whole answer into its log: the code must be readable there.
    assert [line for line in printed["logged"] if '"code":"not_found"' in line]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [({"fail": "invalid_grant"}, "provider_error"), ({"status": 503}, "provider_unavailable")],
)
async def test_a_provider_at_fault_is_no_reason_to_try_again(
    running: Running, proxy: Proxy, place: Site, simulator: RunningSimulator, behaviour: dict[str, object], code: str
) -> None:
    connected = await connect(running.world, simulator, age=60)
    simulator.state.set_defaults(behaviour)
    step = await step_of(running.world, place.flow_id)
    variables = {**running.variables(step, place), "ELASTICIO_API_URI": proxy.base}
    proxy.forget()
    printed = await call(
        COMMONS,
        "PlatformApiLogicClient",
        [EMITTER, {}],
        variables,
        ["refreshTokenBySecretId", {"secretId": connected.secret.id}],
        ["fetchSecretById", {"secretId": connected.secret.id}],
    )
    refused, read = printed["outcomes"]
    assert refused["error"]["status"] == 400
    assert [line for line in printed["logged"] if f'"code":"{code}"' in line]
    assert read["value"]["attributes"]["credentials"]["access_token"] == connected.secret.credentials["access_token"]
    assert len(proxy.requests) == 2
