"""Auth clients with grants that need no browser, at the simulator, and the secrets made with them over the API."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
from joserfc import jwk

from keyrack.ids import new_id
from keyrack.model.secrets import AuthSecret
from keyrack.simulator.config import Client
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_secrets import AuthSecrets
from support.app import Caller, World, relationship
from support.grants import CLIENT_ID, SECRET, change
from support.secrets import body, resource

KEY = jwk.generate_key("EC", "P-256", {"kid": "the-key"})
"""Of the simulator's client `robot`, which signs assertions."""
KEY_TEXT: str = KEY.as_pem(private=True).decode()
USER: Mapping[str, Any] = {"username": {"title": "User name"}, "password": {"title": "Password", "secret": True}}
SUBJECT: Mapping[str, Any] = {"subject_token": {"title": "Subject token", "secret": True}}
EXCHANGE = {"subject_token": "{subject_token}", "resource": ["https://api.example/", "https://other.example/"]}


def add_robot(simulator: RunningSimulator) -> None:
    """Register a client at the simulator that has a key and no secret."""
    keys = (KEY.as_dict(private=False),)
    simulator.state.add_client(Client(client_id="robot", token_endpoint_auth_method="none", jwks=keys))


async def make_client(keyrack: World, token_endpoint: str, grant: str, **more: Any) -> httpx2.Response:
    """Create an auth client of Acme with a profile that has nothing but grant and token endpoint; return the answer.

    Args:
        keyrack: where.
        token_endpoint: of the provider.
        grant: of the profile.
        more: `profile`: further members of it; others: of the credentials.
    """
    acme = keyrack.tenants["Acme"]
    component = await keyrack.add_component(acme, new_id(), {"title": "C", "authClientTypes": ["oauth2"]})
    profile = {"name": "direct", "grant": grant, "endpoints": {"token": token_endpoint}, **more.pop("profile", {})}
    credentials = {"client_id": CLIENT_ID, "client_secret": SECRET, "provider_profile": profile, **more}
    given = {name: value for name, value in credentials.items() if value is not None}
    named = {
        "tenant": relationship("tenant", acme.id),
        "components": {"data": [{"type": "component", "id": component}]},
    }
    attributes = {"name": "Direct", "type": "oauth2", "credentials": given}
    data = {"type": "auth-client", "attributes": attributes, "relationships": named}
    return await acme.admin.post("/v2/auth-clients", {"data": data})


async def client_of(keyrack: World, simulator: RunningSimulator, grant: str, **more: Any) -> str:
    """Create one that works at the simulator; return its id."""
    known: dict[str, dict[str, Any]] = {
        "client_credentials": {},
        "password": {"profile": {"inputs": USER}},
        "token_exchange": {"profile": {"inputs": SUBJECT, "token_exchange": EXCHANGE}},
        "jwt_bearer": {
            "client_id": "robot", "client_secret": None, "private_key": KEY_TEXT,
            "profile": {
                "assertion": {"algorithm": "ES256", "subject": "{user}"},
                "client_authentication": {"method": "fields"},
                "inputs": {"user": {"title": "User", "required": False, "default": "robot"}},
            },
        },
    }  # fmt: skip
    usual = known[grant]
    profile = {**usual.get("profile", {}), **more.pop("profile", {})}
    made = await make_client(keyrack, simulator.token_endpoint, grant, **{**usual, **more, "profile": profile})
    found: str = resource(made, 201)["id"]
    return found


async def ask(who: Caller, workspace_id: str, client_id: str, **credentials: Any) -> httpx2.Response:
    """Have a secret created without a token; return the answer."""
    return await who.post(f"/v2/workspaces/{workspace_id}/secrets", body(client_id, credentials))


async def connected(keyrack: World, client_id: str, **credentials: Any) -> str:
    """Have one created in Acme's workspace; return its path."""
    acme = keyrack.tenants["Acme"]
    made = resource(await ask(acme.integrator, acme.workspace_id, client_id, **credentials), 201)
    return f"/v2/workspaces/{acme.workspace_id}/secrets/{made['id']}"


async def secret_at(keyrack: World, path: str) -> AuthSecret:
    """Return the secret of a path as it is stored."""
    async with keyrack.store.unit(keyrack.tenants["Acme"].id) as unit:
        found = await AuthSecrets(unit).find(path.rpartition("/")[2])
    assert found is not None
    return found


async def expire(keyrack: World, path: str, **values: Any) -> AuthSecret:
    """Let the token of a secret have expired ten minutes ago."""
    now = datetime.now(UTC)
    times = {"issued_at": now - timedelta(minutes=70), "expires_at": now - timedelta(minutes=10), "due_at": now}
    return await change(keyrack.store, await secret_at(keyrack, path), **{**times, **values})


async def seen(keyrack: World, path: str) -> dict[str, Any]:
    """Return the attributes of a secret as its owner reads them."""
    found: dict[str, Any] = resource(await keyrack.tenants["Acme"].integrator.get(path))["attributes"]
    return found
