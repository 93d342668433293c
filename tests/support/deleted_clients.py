"""An installation with a clock to move, and clients of both kinds to delete and restore."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx2

from keyrack.ids import new_id
from keyrack.store.core.unit import Unit
from keyrack.store.schema import auth_client_components, auth_clients, oauth_clients
from keyrack.store.sealed_columns import PREFIX
from support.app import Caller, TenantInTest, World
from support.auth_clients import SECOND_GENERATION, Scope, auth_client, make
from support.consent import add_oauth_client, oauth_component
from support.registration_desk import Time

AUTH, OAUTH = "auth-client", "oauth-client"
KINDS = (AUTH, OAUTH)
SECRET = "kept while it can be restored"


@dataclass
class Deleting:
    """Acme, some of whose clients are deleted."""

    world: World
    time: Time

    @property
    def acme(self) -> TenantInTest:
        return self.world.tenants["Acme"]

    @property
    def admin(self) -> Caller:
        return self.acme.admin

    @property
    def path(self) -> str:
        return f"/v2/tenants/{self.acme.id}/deleted-clients"

    async def client(self, kind: str = AUTH, scope: Scope = None) -> str:
        """Make a client, an auth client of the tenant unless there is another scope; return its id."""
        if kind == OAUTH:
            component = await self.world.add_component(
                self.acme, new_id(), oauth_component("https://idp.example/a", "https://idp.example/t")
            )
            return await add_oauth_client(self.world, "Acme", component, "the id", SECRET)
        linked = await self.world.add_component(self.acme, new_id(), SECOND_GENERATION)
        credentials = {"client_id": "the id", "client_secret": SECRET, "auth_uri": "https://idp.example/a"}
        credentials["token_uri"] = "https://idp.example/t"
        return await make(self.admin, auth_client([linked], scope or ("tenant", self.acme.id), credentials))

    def own_path(self, kind: str, client_id: str) -> str:
        """Return the contract's path of a client."""
        return f"/v2/auth-clients/{client_id}" if kind == AUTH else f"{self.listed(kind)}/{client_id}"

    def listed(self, kind: str) -> str:
        """Return the contract's path of the list that a client of the tenant is in."""
        return f"/v2/tenants/{self.acme.id}/{kind}s"

    async def deleted(self, kind: str = AUTH, scope: Scope = None) -> str:
        """Make a client and delete it; return its id."""
        client_id = await self.client(kind, scope)
        gone = await self.admin.delete(self.own_path(kind, client_id))
        assert (gone.status_code, gone.content) == (204, b"")
        return client_id

    async def restore(self, client_id: str, who: Caller | None = None) -> httpx2.Response:
        return await (who or self.admin).post(f"{self.path}/{client_id}/restore")

    async def restorable(self, who: Caller | None = None) -> Sequence[dict[str, Any]]:
        """Return what the list of deleted clients says, which must tell no secret."""
        answer = await (who or self.admin).get(self.path)
        assert answer.status_code == 200, answer.text
        assert SECRET not in answer.text
        found: Sequence[dict[str, Any]] = answer.json()["data"]
        return found

    async def audited(self, action: str) -> list[tuple[str, str]]:
        """Return the target and outcome of the entries of an action in Acme's log."""
        answer = await self.admin.get(f"/v2/tenants/{self.acme.id}/audit-events?filter[action]={action}")
        found = [entry["attributes"] for entry in answer.json()["data"]]
        return [(entry["target"]["id"], entry["outcome"]) for entry in found]

    async def rows(self, client_id: str) -> list[dict[str, Any]]:
        """Return all that is stored of a client, in clear."""
        found = []
        async with self.world.store.unit(self.acme.id) as unit:
            for table in (auth_clients, oauth_clients):
                rows = (await unit.connection.execute(table.select().where(table.c.id == client_id))).all()
                found += [{name: await _clear(unit, table, row, name) for name in row._asdict()} for row in rows]
            links = auth_client_components.select().where(auth_client_components.c.auth_client_id == client_id)
            found += [row._asdict() for row in (await unit.connection.execute(links)).all()]
        return found


async def _clear(unit: Unit, table: Any, row: Any, name: str) -> Any:
    value = getattr(row, name)
    if not name.startswith(PREFIX) or value is None:
        return value
    return await unit.open(table, row.id, name, value)
