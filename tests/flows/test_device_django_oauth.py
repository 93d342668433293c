"""The device grant (RFC 8628) and introspection (RFC 7662) at Django OAuth Toolkit."""

from collections.abc import Callable
from typing import Any

import httpx2

from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.secrets.connection_check import CheckResult
from support.authorization_servers import DjangoOAuth, DjangoOAuthOptions, RegisteredClient, fetch
from support.device_desk import DeviceDesk

Start = Callable[[DjangoOAuthOptions], DjangoOAuth]
DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def decide(started: dict[str, Any], action: str) -> httpx2.Response:
    """Be the person who enters a code and decides; everybody is signed in at this server."""
    async with httpx2.AsyncClient(follow_redirects=True) as person:
        confirm = await person.post(started["verification_uri"], data={"user_code": started["user_code"]})
        assert "device-confirm" in str(confirm.url), confirm.text
        return await person.post(str(confirm.url), data={"action": action})


async def test_a_device_at_django_oauth_and_its_token_is_introspected(
    device_desk: DeviceDesk, start_django_oauth: Start
) -> None:
    registered = RegisteredClient(redirect_uris=(), more={"authorization_grant_type": DEVICE})
    server = start_django_oauth(DjangoOAuthOptions(clients=(registered,)))
    endpoints = {
        "device_authorization": f"{server.address}/o/device-authorization/",
        "token": server.token_endpoint,
        "introspection": f"{server.address}/o/introspect/",
    }
    profile = {"name": "tv", "grant": "device_code", "endpoints": endpoints, "scopes": {"default": ["read"]}}
    secret = {"client_id": registered.client_id, "client_secret": registered.client_secret}
    made = await device_desk.make_client(profile, **secret)
    assert made.status_code == 201, made.text
    agreed, denied = [await device_desk.started() for _ in range(2)]
    assert await device_desk.after(5) == 2, "nobody has decided"
    assert (await decide(agreed, "accept")).status_code == 200
    assert (await decide(denied, "deny")).status_code == 200
    assert await device_desk.after(10) == 2
    first, second = [await device_desk.seen(each["id"]) for each in (agreed, denied)]
    assert first["status"] == "completed", first
    assert second["status"] == "failed"

    acme = device_desk.world.tenants["Acme"]
    listed = await acme.integrator.get(f"/v2/workspaces/{acme.workspace_id}/secrets")
    (found,) = listed.json()["data"]
    token = found["attributes"]["credentials"]["access_token"]
    assert (await fetch(server.resource, token)).json() == {"sub": "person"}
    who = Principal(PrincipalKind.user, acme.admin.id, acme.admin.name, acme.id)
    check = await device_desk.world.services.connection_checks.test(who, acme.workspace_id, found["id"])
    assert check.result is CheckResult.works, check
