"""Auth clients with a provider profile, and consents with them at real authorization servers."""

import ssl
from typing import Any
from urllib.parse import urlsplit

import httpx2

from keyrack.ids import new_id
from support.app import World, relationship
from support.consent import CALLBACK, approve, query_of


async def add_profiled_client(world: World, profile: Any, **credentials: Any) -> httpx2.Response:
    """Let Acme's admin create an auth client with a profile, for a component of its own."""
    acme = world.tenants["Acme"]
    component = await world.add_component(acme, new_id(), {"title": "C", "authClientTypes": ["oauth2"]})
    named = {
        "tenant": relationship("tenant", acme.id),
        "components": {"data": [{"type": "component", "id": component}]},
    }
    attributes = {"name": "P", "type": "oauth2", "credentials": {"provider_profile": profile, **credentials}}
    data = {"type": "auth-client", "attributes": attributes, "relationships": named}
    return await acme.admin.post("/v2/auth-clients", {"data": data})


async def profiled_client(world: World, profile: Any, **credentials: Any) -> str:
    """Create one that is right; return its id."""
    made = await add_profiled_client(world, profile, **credentials)
    assert made.status_code == 201, made.text
    identifier: str = made.json()["data"]["id"]
    return identifier


async def consent_of(
    world: World, client_id: str, secret_id: str | None = None, trusted: ssl.SSLContext | None = None
) -> dict[str, Any]:
    """Let Acme's integrator go through a consent; return the consent resource when it is over."""
    acme = world.tenants["Acme"]
    named = {"auth_client": relationship("auth-client", client_id)}
    if secret_id is not None:
        named["auth_secret"] = relationship("auth-secret", secret_id)
    path = f"/v2/workspaces/{acme.workspace_id}/oauth-consents"
    begun = await acme.integrator.post(path, {"data": {"type": "oauth-consent", "relationships": named}})
    assert begun.status_code == 201, begun.text
    consent = begun.json()["data"]
    url = consent["attributes"]["authorization_url"]
    callback = urlsplit(await approve(url, query_of(url).get("redirect_uri", CALLBACK), trusted))
    await world.http.get(f"{callback.path}?{callback.query}")
    done: dict[str, Any] = (await acme.integrator.get(f"{path}/{consent['id']}")).json()["data"]
    return done


async def connected(
    world: World, client_id: str, secret_id: str | None = None, trusted: ssl.SSLContext | None = None
) -> str:
    """Go through a consent that works; return the path of the secret."""
    done = await consent_of(world, client_id, secret_id, trusted)
    assert done["attributes"]["status"] == "completed", done
    made = done["relationships"]["auth_secret"]["data"]["id"]
    return f"/v2/workspaces/{world.tenants['Acme'].workspace_id}/secrets/{made}"
