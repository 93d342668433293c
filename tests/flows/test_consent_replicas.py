"""One callback at several replicas is one exchange (contract 0.17, 20.2)."""

import asyncio

from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.consent import approve, start, stored
from support.grants import component_for, exchanges
from support.running import replica


async def test_a_callback_at_two_replicas_at_once_is_exchanged_once(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    keyrack = keyrack_on_each
    component_id = await component_for(keyrack, simulator, "latency:50")
    globex = keyrack.tenants["Globex"]
    async with replica(keyrack) as other:
        for _ in range(3):
            before = exchanges(simulator)
            known = len(await stored(keyrack, "Globex"))
            started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
            callback = await approve(started["attributes"]["authorization_url"])
            pages = await asyncio.gather(*(http.get(callback) for http in (keyrack.http, other) * 4))
            assert [page.status_code for page in pages] == [200] * 8, "those who came second are told the same (0.21)"
            assert exchanges(simulator) == before + 1
            assert len(await stored(keyrack, "Globex")) == known + 1


async def test_another_replica_finishes_what_one_started(keyrack_on_each: World, simulator: RunningSimulator) -> None:
    keyrack = keyrack_on_each
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    async with replica(keyrack) as other:
        page = await other.get(await approve(started["attributes"]["authorization_url"]))
    assert page.status_code == 200, page.text
    assert len(await stored(keyrack, "Globex")) == 1
