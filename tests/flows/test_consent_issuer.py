"""`iss` in the callback against the descriptor's `issuer` (RFC 9207; extension by contract 0.6)."""

from typing import Any

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import World, error_of, relationship
from support.auth_clients import auth_client, make
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
from support.grants import CLIENT_ID, SECRET, client_credentials, component_for, exchanges


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
    for port, ends in ((simulator.base_url.rpartition(":")[2], "completed"), ("2", "failed")):
        consent = await connect(keyrack, globex.integrator, globex.workspace_id, component_id, fields={"port": port})
        assert consent["attributes"]["status"] == ends
    missing = await start(globex.integrator, globex.workspace_id, component_id)
    assert missing.status_code == 400
    assert "variable port of issuer has no value" in missing.text


def second(simulator: RunningSimulator, **oauth2: Any) -> dict[str, Any]:
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint, **oauth2)
    return {"title": "Second", "authClientTypes": ["oauth2"], "credentials": descriptor["credentials"]}


async def began(keyrack: World, component_id: str, **credentials: Any) -> tuple[str, str]:
    """Start a consent with an auth client; return its id and the provider's callback."""
    acme = keyrack.tenants["Acme"]
    body = auth_client([component_id], ("tenant", acme.id), credentials)
    client_id = await make(acme.admin, body)
    about = {
        "auth_client": relationship("auth-client", client_id),
        "component": relationship("component", component_id),
    }
    body = {"data": {"type": "oauth-consent", "relationships": about}}
    started = await acme.integrator.post(f"/v2/workspaces/{acme.workspace_id}/oauth-consents", body)
    assert started.status_code == 201, started.text
    data = started.json()["data"]
    return data["id"], await approve(data["attributes"]["authorization_url"])


OTHER = "http://127.0.0.1:2"
"""Nobody is there, but it may be called: port 1 is another protocol's."""
# fmt: off
MIX_UPS: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    # what the auth client says, what the component's block says, what the callback has, how the consent ends
    ("own, the same",          {"issuer": "S"},     {},                                         "S",   "completed"),
    ("own, another",           {"issuer": "S"},     {},                                         OTHER, "failed"),
    ("own, almost the same",   {"issuer": "S"},     {},                                         "S/",  "failed"),
    ("own, announced, none",   {"issuer": "S"},     {},                                         "",    "failed"),
    ("own, not so, none",      {"issuer": "S", "I": False}, {},                                 "",    "completed"),
    ("own, unreachable, none", {"issuer": OTHER},   {},                                         "",    "completed"),
    ("own, required, none",    {"issuer": OTHER, "I": True}, {},                                "",    "failed"),
    ("the block's, another",   {},                  {"issuer": "S"},                            OTHER, "failed"),
    ("the block's, none",      {},                  {"issuer": "S"},                            "",    "failed"),
    ("the client's wins",      {"issuer": "S"},     {"issuer": OTHER},                          "S",   "completed"),
    ("another server's block", {},                  {"issuer": OTHER, "auth_uri": f"{OTHER}/a"}, "S",  "completed"),
    ("a template",             {},                  {"issuer": "{{x}}"},                        "S",   "completed"),
    ("not known",              {},                  {},                                         OTHER, "completed"),
]
# fmt: on


async def test_auth_clients_are_kept_from_mix_ups(keyrack: World, simulator: RunningSimulator) -> None:  # RFC 9207 2.4
    long_name = "authorization_response_iss_parameter_supported"
    simulator.state.set_defaults({"approval": "auto", "iss": "send"})
    for name, of_client, of_block, sent, ends in MIX_UPS:
        told, block = (
            {n.replace("I", long_name): simulator.base_url if v == "S" else v for n, v in given.items()}
            for given in (of_client, of_block)
        )
        component_id = await keyrack.add_component(keyrack.tenants["Acme"], name[:40], second(simulator, **block))
        before = exchanges(simulator)
        given = client_credentials(simulator.token_endpoint, **told)
        consent_id, callback = await began(keyrack, component_id, **given)
        bare = callback.partition("&iss=")[0]
        iss = sent.replace("S", simulator.base_url)
        page = await come_back(keyrack, f"{bare}&iss={iss}" if sent else bare)
        ended = await seen(keyrack, "Acme", consent_id)
        assert (ended["status"], page.status_code) == (ends, 200 if ends == "completed" else 400), (name, page.text)
        assert exchanges(simulator) - before == (ends == "completed"), f"{name}: the code is not sent to anybody"


async def test_an_issuer_must_be_one(keyrack: World, simulator: RunningSimulator) -> None:  # RFC 8414 section 2
    globex = keyrack.tenants["Globex"]
    for name, issuer in (("a", "login.example.com"), ("b", "https://login.example.com?x=1")):
        component_id = await component_for(keyrack, simulator, name=name, issuer=issuer)
        assert error_of(await start(globex.integrator, globex.workspace_id, component_id))[:2] == (
            400,
            "validation_error",
        )
