"""The device grant and pushed requests at oidc-provider (RFC 8628, RFC 9126)."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

from support.app import World, relationship
from support.authorization_servers import OidcOptions, OidcProvider, RegisteredClient
from support.consent import CALLBACK, approve, come_back
from support.device_desk import DeviceDesk
from support.profiled_clients import add_profiled_client

Start = Callable[[OidcOptions], OidcProvider]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def begun(keyrack: World, client_id: str) -> Any:
    """Start a consent; return the answer."""
    acme = keyrack.tenants["Acme"]
    named = {"auth_client": relationship("auth-client", client_id)}
    path = f"/v2/workspaces/{acme.workspace_id}/oauth-consents"
    return await acme.integrator.post(path, {"data": {"type": "oauth-consent", "relationships": named}})


async def ended(keyrack: World, consent_id: str) -> dict[str, Any]:
    acme = keyrack.tenants["Acme"]
    answer = await acme.integrator.get(f"/v2/workspaces/{acme.workspace_id}/oauth-consents/{consent_id}")
    data = answer.json()["data"]
    return {**data["attributes"], **data.get("relationships", {})}


async def enter(address: str, **decision: str) -> httpx2.Response:
    """Enter a code as a person does whose browser has the address with the code in it, and decide."""
    async with httpx2.AsyncClient(follow_redirects=True) as person:
        page = await person.get(address)
        for _ in range(2):  # the code, then whether it is the right device
            fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
            said = decision if "confirm" in page.text else {}
            page = await person.post(address.partition("?")[0], data={**fields, **said})
        return page


async def test_a_device_at_a_real_server(device_desk: DeviceDesk, start_oidc_provider: Start) -> None:
    keyrack = device_desk.world
    more = {"grant_types": [DEVICE, "refresh_token"], "response_types": []}
    registered = RegisteredClient(redirect_uris=(), token_endpoint_auth_method="client_secret_basic", more=more)
    provider = start_oidc_provider(OidcOptions(clients=(registered,)))
    profile = {
        "name": "tv",
        "grant": "device_code",
        "endpoints": {"device_authorization": f"{provider.issuer}/device/auth", "token": provider.token_endpoint},
        "client_authentication": {"method": "client_secret_basic"},
        "scopes": {"default": ["openid", "offline_access"]},
        "authorization": {"parameters": {"prompt": "consent"}},
    }
    secret = registered.client_secret
    made = await add_profiled_client(keyrack, profile, client_id=registered.client_id, client_secret=secret)
    client_id = made.json()["data"]["id"]
    agreed, denied = [(await begun(keyrack, client_id)).json()["data"] for _ in range(2)]
    done = await enter(agreed["attributes"]["verification_uri_complete"], confirm="yes")
    assert "Sign-in Success" in done.text, done.text
    await enter(denied["attributes"]["verification_uri_complete"], abort="yes")
    assert await device_desk.after(5) == 2
    first, second = await ended(keyrack, agreed["id"]), await ended(keyrack, denied["id"])
    assert first["status"] == "completed", first
    assert second["status"] == "failed"
    assert "access_denied" in second["error"]
    acme = keyrack.tenants["Acme"]
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{first['auth_secret']['data']['id']}"
    refreshed = await acme.integrator.post(f"{path}/refresh")
    assert refreshed.json()["data"]["attributes"]["state"] == "ready"


@pytest.mark.parametrize("by_profile", [True, False], ids=["by profile", "by metadata"])
async def test_requests_are_pushed_where_a_real_server_takes_no_others(
    keyrack: World, start_oidc_provider: Start, *, by_profile: bool
) -> None:
    registered = RegisteredClient(redirect_uris=(CALLBACK,), token_endpoint_auth_method="client_secret_post")
    provider = start_oidc_provider(OidcOptions(clients=(registered,), require_pushed=True))
    profile: dict[str, Any] = {
        "name": "par",
        "endpoints": {
            "authorization": provider.authorization_endpoint,
            "token": provider.token_endpoint,
            "issuer": provider.issuer,
        },
        "scopes": {"default": ["openid", "offline_access"]},
        "authorization": {"parameters": {"prompt": "consent"}, "pushed": by_profile},
    }
    if by_profile:
        profile["endpoints"]["pushed_authorization"] = f"{provider.issuer}/request"
    secret = registered.client_secret
    made = await add_profiled_client(keyrack, profile, client_id=registered.client_id, client_secret=secret)
    started = (await begun(keyrack, made.json()["data"]["id"])).json()["data"]
    address = started["attributes"]["authorization_url"]
    assert dict(parse_qsl(urlsplit(address).query)).keys() == {"client_id", "request_uri"}
    callback = await approve(address)
    assert dict(parse_qsl(urlsplit(callback).query))["iss"] == provider.issuer
    await come_back(keyrack, callback)
    assert (await ended(keyrack, started["id"]))["status"] == "completed"
