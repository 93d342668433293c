"""What a consent stores (contract 0.17, 20.3, 20.4; rules 24.11 and 24.12)."""

from typing import Any

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.components import load_descriptor
from support.consent import add_oauth_client, connect, keys_of, stored
from support.grants import CLIENT_ID, SECRET, component_for

STANDARD = {"access_token", "refresh_token", "expires_in", "scope", "token_type", "undefined_params"}


async def connected(keyrack: World, component_id: str, **more: Any) -> dict[str, Any]:
    globex = keyrack.tenants["Globex"]
    return await connect(keyrack, globex.integrator, globex.workspace_id, component_id, **more)


async def test_tokens_are_stored_flat_with_a_copy_of_the_extras(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(
        keyrack, simulator, "extra_members:instance_url=https://eu7.example;id=7", scopes=["a"]
    )
    consent = await connected(keyrack, component_id, name="Mine")
    assert consent["attributes"]["status"] == "completed", consent
    assert "authorization_url" not in consent["attributes"]
    oauth = (await keys_of(keyrack, "Globex", consent))["oauth"]
    assert set(oauth) == STANDARD | {"instance_url", "id"}
    assert oauth["access_token"]
    assert oauth["refresh_token"]
    assert oauth["instance_url"] == "https://eu7.example"
    assert oauth["undefined_params"] == {"instance_url": "https://eu7.example", "id": oauth["id"]}
    (credential,) = await stored(keyrack, "Globex")
    assert credential["attributes"]["name"] == "Mine"


async def test_undefined_params_is_there_even_when_empty(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator, scopes=["a"])
    oauth = (await keys_of(keyrack, "Globex", await connected(keyrack, component_id)))["oauth"]
    assert set(oauth) == STANDARD
    assert oauth["undefined_params"] == {}


@pytest.mark.parametrize("sim", ["reply_format:form", "expires_in:string", "expires_in:omit"])
async def test_answers_in_other_forms_are_understood(keyrack: World, simulator: RunningSimulator, sim: str) -> None:
    consent = await connected(keyrack, await component_for(keyrack, simulator, sim))
    assert consent["attributes"]["status"] == "completed", consent
    oauth = (await keys_of(keyrack, "Globex", consent))["oauth"]
    assert oauth["access_token"]
    assert oauth["refresh_token"]


async def test_no_refresh_token_fails_and_names_the_parameter(keyrack: World, simulator: RunningSimulator) -> None:
    consent = await connected(keyrack, await component_for(keyrack, simulator, "no_refresh_token"))
    assert consent["attributes"]["status"] == "failed"
    assert '"access_type": "offline"' in consent["attributes"]["error"]
    assert "offline_access" in consent["attributes"]["error"]
    assert await stored(keyrack, "Globex") == []


async def test_the_named_parameter_helps(keyrack: World, simulator: RunningSimulator) -> None:  # 19.2
    simulator.state.set_defaults({"approval": "auto", "refresh_only_with": "access_type=offline"})
    without = await connected(keyrack, await component_for(keyrack, simulator))
    assert without["attributes"]["status"] == "failed"
    descriptor_extras = {"access_type": "offline", "prompt": "consent"}
    acme = keyrack.tenants["Acme"]
    descriptor = load_descriptor("pizza-van")
    descriptor["credentials"]["oauth2"] |= descriptor_extras | {
        "auth_uri": simulator.authorization_endpoint,
        "token_uri": simulator.token_endpoint,
    }
    helped = await keyrack.add_component(acme, "helped", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", helped, CLIENT_ID, SECRET)
    consent = await connected(keyrack, helped)
    assert consent["attributes"]["status"] == "completed", consent


async def test_connecting_again_keeps_a_refresh_token_that_is_not_sent_again(
    keyrack: World, simulator: RunningSimulator
) -> None:
    component_id = await component_for(keyrack, simulator, "extra_members:instance_url=eu7")
    first = await connected(keyrack, component_id)
    before = (await keys_of(keyrack, "Globex", first))["oauth"]
    simulator.state.set_defaults({"approval": "auto", "no_refresh_token": True})
    credential_id = first["relationships"]["credential"]["data"]["id"]
    again = await connected(keyrack, component_id, credential_id=credential_id)
    assert again["attributes"]["status"] == "completed", again
    assert again["relationships"] == first["relationships"], "the same credential"
    after = (await keys_of(keyrack, "Globex", again))["oauth"]
    assert after["access_token"] != before["access_token"]
    assert after["refresh_token"] == before["refresh_token"]
    assert after["undefined_params"] == {"instance_url": "eu7"}
    assert len(await stored(keyrack, "Globex")) == 1


async def test_connecting_again_takes_a_new_refresh_token(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    first = await connected(keyrack, component_id)
    before = (await keys_of(keyrack, "Globex", first))["oauth"]
    credential_id = first["relationships"]["credential"]["data"]["id"]
    again = await connected(keyrack, component_id, credential_id=credential_id)
    after = (await keys_of(keyrack, "Globex", again))["oauth"]
    assert after["refresh_token"] != before["refresh_token"]


def http_auth(simulator: RunningSimulator) -> dict[str, Any]:
    own = {"clientId": CLIENT_ID, "clientSecret": SECRET, "scopes": "read, write", "additionalProperties": {"ui": 1}}
    uris = {"authUri": simulator.authorization_endpoint, "tokenUri": simulator.token_endpoint}
    return {"auth": {"type": "OAuth2", "oauth2": own | uris}}


async def test_an_http_auth_field_gets_its_tokens_inside(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await keyrack.add_component(
        keyrack.tenants["Acme"], "rest", load_descriptor("rest-caller"), access="global"
    )
    fields = http_auth(simulator)
    consent = await connected(keyrack, component_id, fields=fields)
    assert consent["attributes"]["status"] == "completed", consent
    auth = (await keys_of(keyrack, "Globex", consent))["auth"]
    tokens = auth["oauth2"].pop("keys")
    assert auth == fields["auth"], "the rest is as it was entered"
    assert tokens["access_token"]
    assert tokens["refresh_token"]
    assert tokens["scope"] == "read write"
    assert tokens["undefined_params"] == {}

    simulator.state.set_defaults({"approval": "auto", "no_refresh_token": True})
    credential_id = consent["relationships"]["credential"]["data"]["id"]
    again = await connected(keyrack, component_id, credential_id=credential_id)
    assert again["attributes"]["status"] == "completed", again
    after = (await keys_of(keyrack, "Globex", again))["auth"]["oauth2"]["keys"]
    assert after["access_token"] != tokens["access_token"]
    assert after["refresh_token"] == tokens["refresh_token"], "kept here too"


async def test_an_http_auth_field_without_refresh_token_fails(keyrack: World, simulator: RunningSimulator) -> None:
    simulator.state.set_defaults({"approval": "auto", "no_refresh_token": True})
    component_id = await keyrack.add_component(
        keyrack.tenants["Acme"], "rest", load_descriptor("rest-caller"), access="global"
    )
    consent = await connected(keyrack, component_id, fields=http_auth(simulator))
    assert consent["attributes"]["status"] == "failed"
    assert await stored(keyrack, "Globex") == []
