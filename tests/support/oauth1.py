"""Components of OAuth 1.0a connected to the bundled simulator, whose signatures are judged by oauthlib."""

from typing import Any
from urllib.parse import urljoin

import httpx2
from oauthlib.oauth1 import Client

from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World
from support.consent import add_oauth_client
from support.simulated import CLIENT_ID, SECRET

CALLBACK = f"{BASE}/callback/oauth1"


def oauth1_component(base: str, request_sim: str = "", token_sim: str = "", **oauth1: Any) -> dict[str, Any]:
    """Return a descriptor of a component with `useOAuthClient` for a provider at `base`, which may be told to misbehave
    while temporary or token credentials are asked for."""
    return {
        "title": "Birdsong",
        "useOAuthClient": True,
        "credentials": {
            "fields": {"nest": {"label": "Nest", "viewClass": "OAuthFieldView"}},
            "oauth1": {
                "consumer_key": "{{BIRD_KEY}}",
                "consumer_secret": "{{BIRD_SECRET}}",
                "request_token_uri": f"{base}/oauth1/request_token?sim={request_sim}",
                "auth_uri": f"{base}/oauth1/authorize",
                "access_token_uri": f"{base}/oauth1/access_token?sim={token_sim}",
                **oauth1,
            },
        },
        "actions": {"run": {"title": "Run", "main": "./run.js"}},
    }


async def oauth1_component_for(
    keyrack: World, simulator: RunningSimulator, name: str = "birdsong", *, secret: str = SECRET, **descriptor: Any
) -> str:
    """Make a global component of Acme, with Globex's own client."""
    made = oauth1_component(simulator.base_url, **descriptor)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, made, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, secret)
    return component_id


async def approve_oauth1(authorization_url: str) -> str:
    """Be the browser at the provider until it sends us back; return the callback's address."""
    async with httpx2.AsyncClient() as browser:
        response = await browser.get(authorization_url)
        assert "location" in response.headers, response.text
        location = urljoin(str(response.url), response.headers["location"])
        assert location.startswith(CALLBACK), location
        return location


async def works(simulator: RunningSimulator, keys: dict[str, Any], secret: str = SECRET) -> bool:
    """Tell whether the provider takes a request that a component signs with what was stored."""
    signer = Client(CLIENT_ID, secret, keys["oauth_token"], keys["oauth_token_secret"])
    uri, headers, _ = signer.sign(f"{simulator.base_url}/oauth1/me")
    async with httpx2.AsyncClient() as component:
        return (await component.get(uri, headers=headers)).status_code == 200
