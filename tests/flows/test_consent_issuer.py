"""`iss` in the callback against the descriptor's `issuer` (RFC 9207; extension by contract 0.6)."""

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.consent import (
    add_oauth_client,
    approve,
    come_back,
    connect,
    oauth_component,
    query_of,
    seen,
    start,
    stored,
)
from support.simulated import CLIENT_ID, SECRET, component_for, exchanges


@pytest.mark.parametrize(("sent", "ends"), [("send", "completed"), ("omit", "completed"), ("wrong", "failed")])
async def test_a_known_issuer_is_compared_where_it_is_sent(
    keyrack: World, simulator: RunningSimulator, sent: str, ends: str
) -> None:
    simulator.state.set_defaults({"approval": "auto", "iss": sent})
    component_id = await component_for(keyrack, simulator, issuer=simulator.base_url)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    asked = query_of(started["attributes"]["authorization_url"])
    assert "issuer" not in asked, "it is compared, not sent"
    callback = await approve(started["attributes"]["authorization_url"])
    assert ("iss" in query_of(callback)) == (sent != "omit")
    await come_back(keyrack, callback)
    ended = await seen(keyrack, "Globex", started["id"])
    assert ended["status"] == ends
    if ends == "failed":
        assert "another authorization server" in ended["error"]
        assert exchanges(simulator) == 0, "the code is not sent to anybody"
        assert await stored(keyrack, "Globex") == []


async def test_an_unknown_issuer_is_accepted(keyrack: World, simulator: RunningSimulator) -> None:
    simulator.state.set_defaults({"approval": "auto", "iss": "wrong"})
    globex = keyrack.tenants["Globex"]
    component_id = await component_for(keyrack, simulator)
    consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id)
    assert consent["attributes"]["status"] == "completed", "without `issuer` there is nothing to compare with"


async def test_an_issuer_may_be_a_template(keyrack: World, simulator: RunningSimulator) -> None:  # 19.4
    descriptor = oauth_component(
        simulator.authorization_endpoint, simulator.token_endpoint, issuer="http://127.0.0.1:{{port}}"
    )
    descriptor["credentials"]["fields"]["port"] = {"viewClass": "TextFieldView"}
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "connected", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, SECRET)
    globex = keyrack.tenants["Globex"]
    for port, ends in ((simulator.base_url.rpartition(":")[2], "completed"), ("1", "failed")):
        consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id, fields={"port": port})
        assert consent["attributes"]["status"] == ends
    missing = await start(globex.integrator, globex.workspace_id, component_id)
    assert missing.status_code == 400
    assert "variable port of issuer has no value" in missing.text
