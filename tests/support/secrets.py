"""Auth clients put into the store, and auth secrets made over the API."""

from collections.abc import Mapping
from typing import Any

import httpx2
from sqlalchemy import select

from keyrack.ids import new_id
from keyrack.model.clients import AuthClient
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.schema import auth_secrets
from support.app import Caller, TenantInTest, World, relationship

TOKENS = {"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600}
POINTER = "/data/attributes/credentials"
CLIENT = {
    "client_id": "the-client",
    "client_secret": "client-shh",
    "auth_uri": "https://login.example.com/auth",
    "token_uri": "https://login.example.com/token",
    "refresh_token_uri": "https://login.example.com/token",
}


async def add_client(
    world: World,
    owner: TenantInTest | None,
    kind: str = "oauth2",
    *,
    components: tuple[str, ...] = (),
    scope: str = "workspace",
    **credentials: Any,
) -> str:
    """Store an auth client of a tenant's workspace, contract or tenant, or a global one; return its id."""
    client = AuthClient(
        new_id(),
        INSTALLATION if owner is None else owner.id,
        owner.contract_id if owner and scope == "contract" else None,
        owner.workspace_id if owner and scope == "workspace" else None,
        f"{scope} client",
        kind,
        {**CLIENT, **credentials} if kind.startswith("oauth2") else {},
        components,
    )
    unit = world.store.installation(writes=True) if owner is None else world.store.unit(owner.id, writes=True)
    async with unit as open_unit:
        await AuthClientRows(open_unit).add(client, None)
    return client.id


def body(client_id: str, credentials: Mapping[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
    """Return the body that creates a secret."""
    given = {"name": "Mine", "credentials": dict(TOKENS if credentials is None else credentials), **attributes}
    relationships = {"auth_client": relationship("auth-client", client_id)}
    return {"data": {"type": "auth-secret", "attributes": given, "relationships": relationships}}


def changes(**attributes: Any) -> dict[str, Any]:
    """Return the body that changes a secret."""
    return {"data": {"type": "auth-secret", "attributes": attributes}}


async def make(
    who: Caller, workspace_id: str, client_id: str, credentials: Mapping[str, Any] | None = None, **attributes: Any
) -> dict[str, Any]:
    """Create a secret; return the resource."""
    made = await who.post(f"/v2/workspaces/{workspace_id}/secrets", body(client_id, credentials, **attributes))
    return resource(made, 201)


def resource(response: httpx2.Response, status: int = 200) -> dict[str, Any]:
    """Return the one resource of a good answer."""
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()["data"]
    return found


class Desk:
    """Globex' workspace with an oauth2 client, and the integrator working there."""

    def __init__(self, world: World, client: str) -> None:
        self.world = world
        self.tenant = world.tenants["Globex"]
        self.who = self.tenant.integrator
        self.client = client
        self.path = f"/v2/workspaces/{self.tenant.workspace_id}/secrets"

    async def make(self, credentials: dict[str, Any] | None = None, **attributes: Any) -> dict[str, Any]:
        return await make(self.who, self.tenant.workspace_id, self.client, credentials, **attributes)

    async def patch(self, secret: dict[str, Any], **attributes: Any) -> dict[str, Any]:
        answer = await self.who.patch(f"{self.path}/{secret['id']}", changes(**attributes))
        found: dict[str, Any] = resource(answer)["attributes"]
        return found

    async def row(self, secret: dict[str, Any]) -> Any:
        async with self.world.store.unit(self.tenant.id) as unit:
            return (await unit.connection.execute(select(auth_secrets).where(auth_secrets.c.id == secret["id"]))).one()
