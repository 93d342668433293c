"""A first token is exchanged for one that lives longer as the provider's profile says, and renewed so (decision 38)."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from keyrack.simulator.instagram import LIFETIME
from keyrack.simulator.testing import RunningSimulator
from support.app import World, relationship
from support.consent import approve
from support.grants import client_credentials
from support.provider_profiles import make, profile_at
from support.raw_provider import RawConsents, RawProvider, json_answer


@pytest.fixture
async def desk(keyrack: World, raw_provider: RawProvider) -> RawConsents:
    return RawConsents(keyrack, raw_provider)


def query_sent(request: bytes) -> tuple[str, dict[str, list[str]]]:
    """Return path and query of a GET request."""
    method, target, _ = request.split(b"\r\n")[0].decode().split(" ")
    assert method == "GET"
    url = urlsplit(target)
    return url.path, parse_qs(url.query)


async def test_a_token_is_exchanged_at_the_token_endpoint_by_id_and_secret(desk: RawConsents) -> None:
    exchange = {
        "method": "GET",
        "parameters": {"grant_type": "fb_exchange_token", "fb_exchange_token": "{access_token}"},
    }
    assert (await make(desk, profile_at(desk, exchange=exchange))).status_code == 201
    short = json_answer('{"access_token": "short", "expires_in": 5000, "user": "7", "scope": "a"}')
    done = await desk.consent(short, json_answer('{"access_token": "long", "expires_in": 5184000}'))
    assert query_sent(desk.provider.requests[-1]) == (
        "/token",
        {
            "grant_type": ["fb_exchange_token"],
            "client_id": ["the-client"],
            "client_secret": ["the-secret"],
            "fb_exchange_token": ["short"],
        },
    )
    found = (await desk.seen(done["relationships"]["auth_secret"]["data"]["id"]))["credentials"]
    assert (found["access_token"], found["expires_in"], found["scope"]) == ("long", 5184000, "a")
    assert found["undefined_params"] == {"user": "7"}
    assert "refresh_token" not in found


async def test_an_exchange_that_is_refused_is_told_without_secrets(desk: RawConsents) -> None:
    exchange = {"parameters": {"token": "{access_token}"}}
    answer = {"fails_where": {"ok": False}, "error": ["code"]}
    assert (await make(desk, profile_at(desk, exchange=exchange, answer=answer))).status_code == 201
    refused = json_answer('{"ok": false, "code": "too_young", "error_description": "short-token-1 the-secret"}')
    done = await desk.consent(json_answer('{"access_token": "short-token-1"}'), refused)
    error = done["attributes"]["error"]
    assert done["attributes"]["status"] == "failed"
    assert "there is no long-lived token" in error
    assert "too_young" in error
    assert "short-token-1" not in error
    assert "the-secret" not in error
    assert desk.provider.forms[-1] == {
        "token": "short-token-1",
        "client_id": "the-client",
        "client_secret": "the-secret",
    }


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"exchange": {"parameters": {"grant_type": "x"}}}, "/exchange"),
        ({"exchange": {"parameters": {"t": "{nowhere}{access_token}"}}}, "/exchange/parameters/t"),
        ({"token": {"parameters": {"t": "{access_token}"}}}, "/token/parameters/t"),
        ({"exchange": {"parameters": {"t": "{access_token}", "state": "x"}}}, "/exchange/parameters/state"),
        ({"exchange": {"parameters": {"t": "{access_token}", "s": "{client_secret}"}}}, "/exchange"),
    ],
)
async def test_an_exchange_that_cannot_work_is_refused(desk: RawConsents, members: Any, pointer: str) -> None:
    refused = await make(desk, profile_at(desk, **members))
    assert refused.status_code == 400
    (error,) = refused.json()["errors"]
    assert error["source"] == {"pointer": f"/data/attributes/credentials/provider_profile{pointer}"}


async def test_a_long_lived_token_is_renewed_with_itself(keyrack: World, simulator: RunningSimulator) -> None:
    """As Instagram and Threads have it."""
    acme = keyrack.tenants["Acme"]
    fields, sim = {"method": "fields"}, "no_refresh_token,access_token_lifetime:3600,extra_members:user_id=7"
    profile = {
        "name": "feed",
        "pkce": "off",
        "endpoints": {
            "authorization": simulator.authorization_endpoint,
            "token": f"{simulator.token_endpoint}?sim={sim}",
            "exchange": f"{simulator.base_url}/instagram/access_token",
            "refresh": f"{simulator.base_url}/instagram/refresh_access_token",
        },
        "exchange": {
            "method": "GET",
            "client_authentication": fields,
            "parameters": {
                "grant_type": "ig_exchange_token",
                "client_secret": "{client_secret}",
                "access_token": "{access_token}",
            },
        },
        "refresh": {
            "method": "GET",
            "client_authentication": fields,
            "parameters": {"grant_type": "ig_refresh_token"},
            "rename": {"refresh_token": "access_token"},
        },
        "answer": {"refresh_token": ["access_token"]},
    }
    component = await keyrack.add_component(acme, "feed", {"title": "Feed", "authClientTypes": ["oauth2"]})
    own = {name: value for name, value in client_credentials("").items() if name in ("client_id", "client_secret")}
    data = {
        "type": "auth-client",
        "attributes": {"name": "F", "type": "oauth2", "credentials": {**own, "provider_profile": profile}},
        "relationships": {
            "components": {"data": [{"id": component, "type": "component"}]},
            "tenant": relationship("tenant", acme.id),
        },
    }
    made = await acme.admin.post("/v2/auth-clients", {"data": data})
    assert made.status_code == 201, made.text
    named = {"auth_client": relationship("auth-client", made.json()["data"]["id"])}
    path = f"/v2/workspaces/{acme.workspace_id}/oauth-consents"
    begun = (await acme.integrator.post(path, {"data": {"type": "oauth-consent", "relationships": named}})).json()
    page = await keyrack.http.get(await approve(begun["data"]["attributes"]["authorization_url"]))
    assert page.status_code == 200, page.text
    done = (await acme.integrator.get(f"{path}/{begun['data']['id']}")).json()["data"]
    secret = f"/v2/workspaces/{acme.workspace_id}/secrets/{done['relationships']['auth_secret']['data']['id']}"
    first = (await acme.integrator.get(secret)).json()["data"]["attributes"]["credentials"]
    assert first["expires_in"] == LIFETIME
    assert first["refresh_token"] == first["access_token"]
    renewed = await acme.integrator.post(f"{secret}/refresh")
    assert renewed.status_code == 200, renewed.text
    second = renewed.json()["data"]["attributes"]["credentials"]
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] == second["access_token"]
    assert second["undefined_params"] == {"user_id": "7"}
    assert simulator.state.calls(endpoint="ig_refresh") == 1
