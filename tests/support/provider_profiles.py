"""Auth clients with a provider profile at a raw provider, and what their consents send."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from keyrack.ids import new_id
from support.app import relationship
from support.raw_provider import RawConsents


async def make(desk: RawConsents, profile: Any, **credentials: Any) -> Any:
    """Create an auth client over the API with nothing but id, secret and profile; return the answer."""
    component = await desk.world.add_component(desk.tenant, new_id(), {"title": "C", "authClientTypes": ["oauth2"]})
    named = {
        "tenant": relationship("tenant", desk.tenant.id),
        "components": {"data": [{"type": "component", "id": component}]},
    }
    given = {"client_id": "the-client", "client_secret": "the-secret", "provider_profile": profile, **credentials}
    attributes = {"name": "P", "type": "oauth2", "credentials": given}
    data = {"type": "auth-client", "attributes": attributes, "relationships": named}
    answer = await desk.tenant.admin.post("/v2/auth-clients", {"data": data})
    if answer.status_code == 201:
        desk.client_id = answer.json()["data"]["id"]
    return answer


def profile_at(desk: RawConsents, **members: Any) -> dict[str, Any]:
    endpoints = {"authorization": f"{desk.provider.url}/authorize", "token": desk.provider.token_endpoint}
    return {"name": "odd", "endpoints": endpoints, **members}


async def started(desk: RawConsents, **attributes: Any) -> dict[str, str]:
    """Begin a consent; return the parameters of the address that the browser is sent to."""
    path = f"/v2/workspaces/{desk.tenant.workspace_id}/oauth-consents"
    named = {"auth_client": relationship("auth-client", desk.client_id)}
    answer = await desk.who.post(
        path, {"data": {"type": "oauth-consent", "attributes": attributes, "relationships": named}}
    )
    assert answer.status_code == 201, answer.text
    url = urlsplit(answer.json()["data"]["attributes"]["authorization_url"])
    return {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
