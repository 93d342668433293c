"""Auth clients of every scope for tests: bodies of requests, and a world that has components for them."""

from collections.abc import Sequence
from typing import Any

from support.app import Caller, World, relationship

PATH = "/v2/auth-clients"
SECOND_GENERATION = {"title": "Ledger", "authClientTypes": ["oauth2"], "credentials": {"oauth2": {"scopes": ["a"]}}}

OAUTH2 = {
    "client_id": "id",
    "client_secret": "shh",
    "auth_uri": "https://login.example.com/authorize?resource=a%20b",
    "token_uri": "https://login.example.com/token?x=1&y=2",
}

MCP_SERVER = "https://mcp.example.com/mcp"
"""A server that nobody is asked for: there is an auth client for it."""

Scope = tuple[str, str] | None
"""Kind and id; None is the global scope."""


def auth_client(
    components: Sequence[str],
    scope: Scope = None,
    credentials: Any = None,
    *,
    kind: str = "oauth2",
    name: str = "Ledger app",
) -> dict[str, Any]:
    """Return the body of a create request."""
    relationships: dict[str, Any] = {"components": {"data": [{"id": each, "type": "component"} for each in components]}}
    if scope is not None:
        relationships[scope[0]] = relationship(*scope)
    attributes = {"name": name, "type": kind, "credentials": OAUTH2 if credentials is None else credentials}
    return {"data": {"type": "auth-client", "attributes": attributes, "relationships": relationships}}


def change(attributes: dict[str, Any] | None = None, /, **relationships: Any) -> dict[str, Any]:
    """Return the body of an update request."""
    data: dict[str, Any] = {"type": "auth-client"}
    if attributes is not None:
        data["attributes"] = attributes
    if relationships:
        data["relationships"] = relationships
    return {"data": data}


def scopes_of(world: World, tenant: str = "Globex") -> dict[str, Scope]:
    """Return the four scopes around a tenant's workspace."""
    where = world.tenants[tenant]
    return {
        "global": None,
        "tenant": ("tenant", where.id),
        "contract": ("contract", where.contract_id),
        "workspace": ("workspace", where.workspace_id),
    }


async def make(who: Caller, body: dict[str, Any]) -> str:
    """Create a client and return its id."""
    made = await who.post(PATH, body)
    assert made.status_code == 201, made.text
    auth_client_id: str = made.json()["data"]["id"]
    return auth_client_id


async def one_of_each(world: World, component: str, tenant: str = "Globex") -> dict[str, str]:
    """Create a client in each of the four scopes, by the service account; return their ids by scope."""
    return {
        name: await make(world.support, auth_client([component], scope, name=name))
        for name, scope in scopes_of(world, tenant).items()
    }
