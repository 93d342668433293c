"""What a person's browser and an OAuth client do, in plain HTTP: to check the test servers without Keyrack."""

import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2

from support.clients import RegisteredClient


async def consent(authorization_endpoint: str, client: RegisteredClient, **extra: str) -> tuple[dict[str, str], str]:
    """Follow an authorization that asks nothing; return the callback's parameters and the PKCE code verifier."""
    verifier = secrets.token_urlsafe(32)
    callback = client.redirect_uris[0]
    request = {
        "client_id": client.client_id,
        "response_type": "code",
        "redirect_uri": callback,
        "state": "some-state",
        "code_challenge": urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
        **extra,
    }
    async with httpx2.AsyncClient() as browser:
        response = await browser.get(authorization_endpoint, params=request)
        for _ in range(10):
            location = urljoin(str(response.url), response.headers["location"])
            if location.startswith(callback):
                return dict(parse_qsl(urlsplit(location).query)), verifier
            response = await browser.get(location)
    raise AssertionError("the authorization never came back")


async def token_request(token_endpoint: str, client: RegisteredClient, **form: str) -> tuple[int, dict[str, Any]]:
    """Send a token request with HTTP Basic client authentication; return the status and the decoded body."""
    async with httpx2.AsyncClient(auth=(client.client_id, client.client_secret)) as sender:
        response = await sender.post(token_endpoint, data=form)
    return response.status_code, response.json()


async def exchange(token_endpoint: str, client: RegisteredClient, code: str, verifier: str) -> dict[str, Any]:
    """Exchange an authorization code; return the token response."""
    form = {"code": code, "redirect_uri": client.redirect_uris[0], "code_verifier": verifier}
    status, tokens = await token_request(token_endpoint, client, grant_type="authorization_code", **form)
    assert status == 200, tokens
    return tokens


async def fetch(address: str, access_token: str) -> httpx2.Response:
    """Get a protected resource with a bearer token."""
    async with httpx2.AsyncClient() as sender:
        return await sender.get(address, headers={"authorization": f"Bearer {access_token}"})
