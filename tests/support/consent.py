"""A consent as integrator and browser go through it, against any authorization server that asks nothing."""

import ssl
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

from support.app import BASE, Caller, World, relationship

CALLBACK = f"{BASE}/callback/oauth2"


def oauth_component(authorization_endpoint: str, token_endpoint: str, **oauth2: Any) -> dict[str, Any]:
    """Return a descriptor of a component with `useOAuthClient` for an authorization server."""
    return {
        "title": "Connected",
        "useOAuthClient": True,
        "credentials": {
            "fields": {"oauth": {"label": "Authentication", "viewClass": "OAuthFieldView"}},
            "oauth2": {
                "client_id": "{{APP_KEY}}",
                "client_secret": "{{APP_SECRET}}",
                "auth_uri": authorization_endpoint,
                "token_uri": token_endpoint,
                **oauth2,
            },
        },
        "actions": {"run": {"title": "Run", "main": "./run.js"}},
    }


async def add_oauth_client(world: World, tenant: str, component_id: str, client_id: str, secret: str) -> str:
    """Let a tenant's admin create its OAuth client for a component; return the client's id."""
    found = world.tenants[tenant]
    attributes = {"client_id": client_id, "client_secret": secret}
    body = {"type": "oauth-client", "attributes": attributes}
    body["relationships"] = {"component": relationship("component", component_id)}
    made = await found.admin.post(f"/v2/tenants/{found.id}/oauth-clients", {"data": body})
    assert made.status_code == 201, made.text
    identifier: str = made.json()["data"]["id"]
    return identifier


async def start(
    who: Caller, workspace_id: str, component_id: str, credential_id: str | None = None, **attributes: Any
) -> httpx2.Response:
    """Start a consent."""
    relationships = {"component": relationship("component", component_id)}
    if credential_id is not None:
        relationships["credential"] = relationship("credential", credential_id)
    data = {"type": "oauth-consent", "attributes": attributes, "relationships": relationships}
    return await who.post(f"/v2/workspaces/{workspace_id}/oauth-consents", {"data": data})


async def approve(authorization_url: str, callback: str = CALLBACK, trusted: ssl.SSLContext | None = None) -> str:
    """Be the browser at the authorization server until it sends us back; return the callback's address.

    Args:
        authorization_url: where it begins.
        callback: how the address begins where it ends.
        trusted: whose certificates it trusts; None: the usual.
    """
    async with httpx2.AsyncClient(verify=trusted or True) as browser:
        response = await browser.get(authorization_url)
        for _ in range(10):
            assert "location" in response.headers, response.text
            location = urljoin(str(response.url), response.headers["location"])
            if location.startswith(callback):
                return location
            response = await browser.get(location)
    raise AssertionError("the authorization never came back")


async def come_back(world: World, callback: str) -> httpx2.Response:
    """Be the browser at Keyrack's callback."""
    return await world.http.get(callback)


def query_of(address: str) -> dict[str, str]:
    """Return the query parameters of an address."""
    return dict(parse_qsl(urlsplit(address).query))


async def connect(world: World, who: Caller, workspace_id: str, component_id: str, **attributes: Any) -> dict[str, Any]:
    """Go through a whole consent; return the consent resource as its starter then sees it."""
    started = await start(who, workspace_id, component_id, **attributes)
    assert started.status_code == 201, started.text
    data = started.json()["data"]
    await come_back(world, await approve(data["attributes"]["authorization_url"]))
    ended = await who.get(f"/v2/workspaces/{workspace_id}/oauth-consents/{data['id']}")
    found: dict[str, Any] = ended.json()["data"]
    return found


async def seen(world: World, tenant: str, consent_id: str) -> dict[str, Any]:
    """Return the attributes of a consent as the tenant's integrator, who started it, sees them."""
    found = world.tenants[tenant]
    answer = await found.integrator.get(f"/v2/workspaces/{found.workspace_id}/oauth-consents/{consent_id}")
    attributes: dict[str, Any] = answer.json()["data"]["attributes"]
    return attributes


async def keys_of(world: World, tenant: str, consent: dict[str, Any]) -> dict[str, Any]:
    """Return the values of the credential that a completed consent made."""
    credential_id = consent["relationships"]["credential"]["data"]["id"]
    answer = await world.tenants[tenant].integrator.get(f"/v2/credentials/{credential_id}")
    keys: dict[str, Any] = answer.json()["data"]["attributes"]["keys"]
    return keys


async def stored(world: World, tenant: str) -> list[dict[str, Any]]:
    """Return all credentials of the tenant's workspace."""
    found = world.tenants[tenant]
    listed = await found.integrator.get(f"/v2/credentials?workspace_id={found.workspace_id}")
    if listed.status_code == 403:  # the integrator has left
        listed = await found.admin.get(f"/v2/credentials?workspace_id={found.workspace_id}")
    credentials: list[dict[str, Any]] = listed.json()["data"]
    return credentials
