"""Consents with an auth client are judged anew when the browser is back, and when the answer is (contract 0.17)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import httpx2
import pytest
from sqlalchemy import delete

from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.model.tenancy import Role
from keyrack.service.clients.auth_client_profile import origin_of
from keyrack.store import schema as t
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.contracts import ContractMembers
from keyrack.store.tenants import RolePolicy
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import World
from support.consent import CALLBACK, query_of
from support.grants import add_auth_client, stored
from support.raw_provider import RawProvider, connect_raw, tokens_answer

CREATE, EDIT = "workspaces.auth_secret.create", "workspaces.auth_secret.edit"


class Begun:
    """A consent that Acme's integrator has started with an auth client; the browser is at the provider.

    Attributes:
        world: where.
        client: the auth client.
        secret: what is connected again; None for a first time.
    """

    def __init__(self, world: World, provider: RawProvider) -> None:
        self.world, self.provider, self.acme = world, provider, world.tenants["Acme"]
        self.client: AuthClient
        self.secret: AuthSecret | None = None

    async def start(self, *, again: bool = False) -> None:
        if again:
            made = await connect_raw(self.world, self.provider)
            self.client, self.secret = made.client, await stored(self.world.store, made.secret)
        else:
            self.client = await add_auth_client(self.world.store, self.acme.id, self.provider.token_endpoint)
        named = {"auth_client": {"data": {"type": "auth-client", "id": self.client.id}}}
        if self.secret is not None:
            named["auth_secret"] = {"data": {"type": "auth-secret", "id": self.secret.id}}
        path = f"/v2/workspaces/{self.acme.workspace_id}/oauth-consents"
        started = await self.acme.integrator.post(path, {"data": {"type": "oauth-consent", "relationships": named}})
        assert started.status_code == 201, started.text
        data = started.json()["data"]
        self.id, self.url = data["id"], data["attributes"]["authorization_url"]
        self.provider.answers = [tokens_answer()]

    async def come_back(self) -> httpx2.Response:
        query = urlencode({"code": "the-code", "state": query_of(self.url)["state"]})
        return await self.world.http.get(f"{CALLBACK}?{query}")

    @asynccontextmanager
    async def being_exchanged(self) -> AsyncIterator["asyncio.Task[httpx2.Response]"]:
        """Let the browser come back, and the provider think about the code until the block ends."""
        self.provider.go_on.clear()
        coming = asyncio.create_task(self.come_back())
        await asyncio.wait_for(self.provider.asked.wait(), 60)
        yield coming
        self.provider.go_on.set()

    async def has_stored_nothing(self, change: "Change | None" = None) -> None:
        """Insist that there is no new secret, that an old one is as it was, and that the consent has failed."""
        async with self.world.store.unit(self.acme.id) as unit:
            ids = (await unit.connection.execute(t.auth_secrets.select())).all()
            consents = (await unit.connection.execute(t.consents.select().where(t.consents.c.id == self.id))).all()
        assert [row.status for row in consents] == ([] if change is be_deleted else ["failed"])  # gone with its person
        assert [row.id for row in ids] == ([] if self.secret is None else [self.secret.id])
        if self.secret is not None:
            assert await stored(self.world.store, self.secret) == self.secret


@pytest.fixture
def begun(keyrack: World, raw_provider: RawProvider) -> Begun:
    return Begun(keyrack, raw_provider)


async def leave_the_workspace(begun: Begun) -> None:
    async with begun.world.store.unit(begun.acme.id, writes=True) as unit:
        assert await WorkspaceMembers(unit).remove(begun.acme.workspace_id, begun.acme.integrator.id)


async def leave_the_contract(begun: Begun) -> None:
    await leave_the_workspace(begun)
    async with begun.world.store.unit(begun.acme.id, writes=True) as unit:
        assert await ContractMembers(unit).remove(begun.acme.contract_id, begun.acme.integrator.id)


async def become_a_guest(begun: Begun) -> None:
    async with begun.world.store.unit(begun.acme.id, writes=True) as unit:
        assert await WorkspaceMembers(unit).change(begun.acme.workspace_id, begun.acme.integrator.id, ["guest"])


async def be_deleted(begun: Begun) -> None:
    async with begun.world.store.unit(begun.acme.id, writes=True) as unit:
        assert await UserRows(unit).remove(begun.acme.integrator.id)


async def be_suspended(begun: Begun) -> None:
    path = f"/v2/contracts/{begun.acme.contract_id}/suspend"
    assert (await begun.acme.admin.post(path)).status_code == 202


async def change_the_client_id(begun: Begun) -> None:
    await _change_the_client(begun, client_id="another")


async def move_the_token_endpoint(begun: Begun) -> None:
    await _change_the_client(begun, token_uri=f"{begun.provider.url}/elsewhere")


async def lose_the_client(begun: Begun) -> None:
    async with begun.world.store.installation(writes=True) as unit:  # no rule of ours would let it go with its secret
        await unit.connection.execute(delete(t.auth_clients).where(t.auth_clients.c.id == begun.client.id))


async def _change_the_client(begun: Begun, **credentials: Any) -> None:
    """Change what the API does not let anybody change: an import does."""
    changed = replace(begun.client, credentials={**begun.client.credentials, **credentials})
    async with begun.world.store.unit(begun.acme.id, writes=True) as unit:
        await AuthClientRows(unit).replace(changed, origin_of(changed.credentials["token_uri"]))


Change = Callable[[Begun], Awaitable[None]]
CHANGES: list[tuple[Change, str]] = [
    (leave_the_workspace, "You may not connect this account"),
    (leave_the_contract, "You may not connect this account"),
    (become_a_guest, CREATE),
    (be_suspended, "The contract is suspended"),
    (change_the_client_id, "the auth client was changed"),
    (move_the_token_endpoint, "the auth client was changed"),
    (lose_the_client, "there is no such auth client"),
]


@pytest.mark.parametrize(("change", "reason"), [*CHANGES, (be_deleted, "It was used before, has expired")])
async def test_a_change_before_the_callback_fails_the_consent(begun: Begun, change: Change, reason: str) -> None:
    await begun.start()
    await change(begun)
    page = await begun.come_back()
    assert (page.status_code, reason in page.text) == (400, True), page.text
    assert begun.provider.requests == [], "the code is not even exchanged"
    await begun.has_stored_nothing(change)


@pytest.mark.parametrize(("change", "reason"), [*CHANGES, (be_deleted, "You may not connect this account")])
async def test_a_change_while_the_code_is_exchanged_stores_nothing(begun: Begun, change: Change, reason: str) -> None:
    await begun.start()
    async with begun.being_exchanged() as coming:
        await change(begun)
    page = await coming
    assert (page.status_code, reason in page.text) == (400, True), page.text
    assert len(begun.provider.requests) == 1
    await begun.has_stored_nothing(change)


async def hold_only(begun: Begun, permission: str) -> None:
    """Let the integrator's role be one that has a single permission."""
    async with begun.world.store.unit(begun.acme.id, writes=True) as unit:
        role = Role("workspaces", "single", frozenset({permission}), {"en": "Single"})
        others = [each for each in await RolePolicy(unit).list() if each.role != role.role]
        await RolePolicy(unit).replace([*others, role])
        assert await WorkspaceMembers(unit).change(begun.acme.workspace_id, begun.acme.integrator.id, ["single"])


@pytest.mark.parametrize("when", ["before the callback", "during the exchange"])
@pytest.mark.parametrize(("again", "needed", "other"), [(False, CREATE, EDIT), (True, EDIT, CREATE)])
async def test_the_end_takes_the_permission_that_the_start_took(
    begun: Begun, again: bool, needed: str, other: str, when: str
) -> None:
    await begun.start(again=again)
    if when == "during the exchange":
        async with begun.being_exchanged() as coming:
            await hold_only(begun, other)
        page = await coming
    else:
        await hold_only(begun, other)
        page = await begun.come_back()
    assert page.status_code == 400
    assert needed in page.text
    await begun.has_stored_nothing()


@pytest.mark.parametrize("when", ["before the callback", "during the exchange"])
async def test_a_permission_of_the_tenant_is_not_enough_for_who_has_left_the_workspace(begun: Begun, when: str) -> None:
    async with begun.world.store.unit(begun.acme.id, writes=True) as unit:
        role = Role("tenants", "connector", frozenset({CREATE, EDIT}), {"en": "Connector"})
        await RolePolicy(unit).replace([*await RolePolicy(unit).list(), role])
        await UserRows(unit).set_tenant_roles(begun.acme.integrator.id, [role.role])
    await begun.start()
    if when == "during the exchange":
        async with begun.being_exchanged() as coming:
            await leave_the_workspace(begun)
        page = await coming
    else:
        await leave_the_workspace(begun)
        page = await begun.come_back()
    assert page.status_code == 400
    assert "you are no longer a member of the workspace" in page.text
    await begun.has_stored_nothing()


@pytest.mark.parametrize(("again", "needed"), [(False, CREATE), (True, EDIT)])
async def test_one_permission_is_enough_from_start_to_end(begun: Begun, again: bool, needed: str) -> None:
    await hold_only(begun, needed)
    await begun.start(again=again)
    assert (await begun.come_back()).status_code == 200
    async with begun.world.store.unit(begun.acme.id) as unit:
        (row,) = (await unit.connection.execute(t.auth_secrets.select())).all()
    assert (row.id == begun.secret.id) if begun.secret else row.refreshable


@pytest.mark.parametrize("change", [leave_the_workspace, become_a_guest, be_suspended])
async def test_a_secret_that_is_connected_again_keeps_what_it_has(begun: Begun, change: Change) -> None:
    await begun.start(again=True)
    async with begun.being_exchanged() as coming:
        await change(begun)
    assert (await coming).status_code == 400
    await begun.has_stored_nothing()
