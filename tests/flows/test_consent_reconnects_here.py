"""Only what is in the consent's own workspace and of its own client can be connected again (contract 20.2, 15, 16)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from keyrack.ids import new_id
from keyrack.model.tenancy import WorkspaceType
from keyrack.store import schema as t
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.workspaces import WorkspaceMembers, WorkspaceRows
from support.app import Caller, World, relationship
from support.consent import add_oauth_client, oauth_component
from support.grants import add_auth_client
from support.raw_provider import RawProvider

Named = Mapping[str, Any]


@dataclass
class Places:
    """Two workspaces of Acme in which its integrator may do everything, and Globex, with what can be connected again.

    Attributes:
        world: where.
        here: the workspace in which consents are started.
        again: relationships of a consent, by what would be connected again: in this workspace, another, another tenant.
    """

    world: World
    here: str
    again: Mapping[str, Named]

    async def start(self, what: str) -> httpx2.Response:
        data = {"type": "oauth-consent", "relationships": self.again[what]}
        who = self.world.tenants["Acme"].integrator
        return await who.post(f"/v2/workspaces/{self.here}/oauth-consents", {"data": data})

    async def begun(self) -> int:
        async with self.world.store.installation() as unit:
            return len((await unit.connection.execute(t.consents.select())).all())


async def made(who: Caller, path: str, kind: str, attributes: Any, **related: Any) -> str:
    answer = await who.post(path, {"data": {"type": kind, "attributes": attributes, "relationships": related}})
    assert answer.status_code == 201, answer.text
    identifier: str = answer.json()["data"]["id"]
    return identifier


@pytest.fixture
async def places(keyrack_on_each: World, raw_provider: RawProvider) -> Places:
    world, acme, globex = keyrack_on_each, keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    async with world.store.unit(acme.id, writes=True) as unit:
        second = await WorkspaceRows(unit).add(acme.contract_id, "Second", WorkspaceType.full, {})
        await WorkspaceMembers(unit).add(second.id, acme.integrator.id, ["integrator"])
    here, there, abroad = acme.workspace_id, second.id, globex.workspace_id
    descriptor = oauth_component(f"{raw_provider.url}/authorize", raw_provider.token_endpoint)
    components = [await world.add_component(acme, name, descriptor, access="global") for name in ("one", "other")]
    for component in components:
        for tenant in ("Acme", "Globex"):
            await add_oauth_client(world, tenant, component, "client", "secret-of-the-client")
    clients = [await add_auth_client(world.store, INSTALLATION, raw_provider.token_endpoint) for _ in range(2)]

    async def secret(who: Caller, workspace_id: str, client: int = 0) -> Named:
        related = {"auth_client": relationship("auth-client", clients[client].id)}
        attributes = {"name": "S", "credentials": {"access_token": "at", "refresh_token": "rt"}}
        return named(
            "auth", await made(who, f"/v2/workspaces/{workspace_id}/secrets", "auth-secret", attributes, **related)
        )

    async def credential(who: Caller, workspace_id: str, component: int = 0) -> Named:
        related = {
            "component": relationship("component", components[component]),
            "workspace": relationship("workspace", workspace_id),
        }
        attributes = {"name": "C", "keys": {"oauth": {"access_token": "at", "refresh_token": "rt"}}}
        return named("key", await made(who, "/v2/credentials", "credential", attributes, **related))

    def named(kind: str, identifier: str) -> Named:
        if kind == "auth":
            return {
                "auth_client": relationship("auth-client", clients[0].id),
                "auth_secret": relationship("auth-secret", identifier),
            }
        return {
            "component": relationship("component", components[0]),
            "credential": relationship("credential", identifier),
        }

    mine, theirs = acme.integrator, globex.integrator
    again = {
        "secret here": await secret(mine, here),
        "secret in another workspace": await secret(mine, there),
        "secret of another tenant": await secret(theirs, abroad),
        "secret of another client": await secret(mine, here, client=1),
        "secret that is not there": named("auth", new_id()),
        "credential here": await credential(mine, here),
        "credential in another workspace": await credential(mine, there),
        "credential of another tenant": await credential(theirs, abroad),
        "credential of another component": await credential(mine, here, component=1),
        "credential that is not there": named("key", new_id()),
    }
    return Places(world, here, again)


async def test_another_workspaces_or_tenants_is_as_if_it_were_not_there(places: Places) -> None:
    for kind, pointer in (("secret", "auth_secret"), ("credential", "credential")):
        missing = await places.start(f"{kind} that is not there")
        (error,) = missing.json()["errors"]
        assert (missing.status_code, error["code"]) == (404, "related_not_found")
        assert error["source"] == {"pointer": f"/data/relationships/{pointer}/data/id"}
        of = {"secret": "of another client", "credential": "of another component"}[kind]
        for where in ("in another workspace", "of another tenant", of):
            refused = await places.start(f"{kind} {where}")
            assert (refused.status_code, refused.content) == (404, missing.content), where
    assert await places.begun() == 0


async def test_what_is_in_the_workspace_is_connected_again(places: Places) -> None:
    for what in ("secret here", "credential here"):
        started = await places.start(what)
        assert started.status_code == 201, started.text
    assert await places.begun() == 2
