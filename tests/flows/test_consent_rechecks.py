"""What changed between start and callback fails the consent; nothing is stored (contract 0.17)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from keyrack.ids import new_revision
from keyrack.model.components import ComponentAccess
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.components import ComponentRows
from keyrack.store.contracts import ContractMembers
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import World
from support.consent import add_oauth_client, approve, come_back, oauth_component, query_of, seen, start, stored
from support.grants import component_for, exchanges
from support.raw_provider import LoopbackServers, http_answer

Change = Callable[[World, str], Awaitable[None]]


async def leave_the_workspace(keyrack: World, _: str) -> None:
    globex = keyrack.tenants["Globex"]
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        assert await WorkspaceMembers(unit).remove(globex.workspace_id, globex.integrator.id)


async def leave_the_contract(keyrack: World, _: str) -> None:
    globex = keyrack.tenants["Globex"]
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        await WorkspaceMembers(unit).remove(globex.workspace_id, globex.integrator.id)
        assert await ContractMembers(unit).remove(globex.contract_id, globex.integrator.id)


async def become_a_guest(keyrack: World, _: str) -> None:
    globex = keyrack.tenants["Globex"]
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        assert await WorkspaceMembers(unit).change(globex.workspace_id, globex.integrator.id, ["guest"])


async def delete_the_user(keyrack: World, _: str) -> None:
    globex = keyrack.tenants["Globex"]
    async with keyrack.store.unit(globex.id, writes=True) as unit:
        assert await UserRows(unit).remove(globex.integrator.id)


async def hide_the_component(keyrack: World, component_id: str) -> None:
    async with keyrack.store.unit(keyrack.tenants["Acme"].id, writes=True) as unit:
        await ComponentRows(unit).set_access(component_id, ComponentAccess.team)


async def delete_the_component(keyrack: World, component_id: str) -> None:
    async with keyrack.store.unit(keyrack.tenants["Acme"].id, writes=True) as unit:
        assert await ComponentRows(unit).remove(component_id)


async def _client(keyrack: World) -> tuple[str, dict[str, Any]]:
    globex = keyrack.tenants["Globex"]
    (found,) = (await globex.admin.get(f"/v2/tenants/{globex.id}/oauth-clients")).json()["data"]
    return f"/v2/tenants/{globex.id}/oauth-clients/{found['id']}", found


async def change_the_client_id(keyrack: World, _: str) -> None:
    path, found = await _client(keyrack)
    found["attributes"]["client_id"] = "another"
    assert (await keyrack.tenants["Globex"].admin.patch(path, {"data": found})).status_code == 200


async def delete_the_client(keyrack: World, _: str) -> None:
    path, _found = await _client(keyrack)
    assert (await keyrack.tenants["Globex"].admin.delete(path)).status_code == 204


async def move_the_token_endpoint(keyrack: World, component_id: str) -> None:
    descriptor = oauth_component("http://127.0.0.1:8/authorize", "http://127.0.0.1:8/token")
    async with keyrack.store.unit(keyrack.tenants["Acme"].id, writes=True) as unit:
        await ComponentVersions(unit).add(component_id, new_revision(), descriptor)


async def suspend_the_contract(keyrack: World, _: str) -> None:
    globex = keyrack.tenants["Globex"]
    assert (await globex.admin.post(f"/v2/contracts/{globex.contract_id}/suspend")).status_code == 202


CHANGES = {
    "workspace membership removed": (leave_the_workspace, "You may not connect this account"),
    "contract and workspace membership removed": (leave_the_contract, "You may not connect this account"),
    "permission lost": (become_a_guest, "workspaces.credential.edit"),
    "contract suspended": (suspend_the_contract, "The contract is suspended"),
    "component hidden": (hide_the_component, "there is no such component"),
    "component deleted": (delete_the_component, "there is no such component"),
    "client_id changed": (change_the_client_id, "the OAuth client was changed"),
    "client deleted": (delete_the_client, "no OAuth client"),
    "token endpoint moved": (move_the_token_endpoint, "was changed"),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_a_change_before_the_callback_fails_the_consent(
    keyrack: World, simulator: RunningSimulator, what: str
) -> None:
    change, reason = CHANGES[what]
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    callback = await approve(started["attributes"]["authorization_url"])
    await change(keyrack, component_id)
    page = await come_back(keyrack, callback)
    assert page.status_code == 400
    assert reason in page.text
    assert exchanges(simulator) == 0, "the code is not even exchanged"
    assert await stored(keyrack, "Globex") == []
    events = await globex.admin.get(f"/v2/tenants/{globex.id}/audit-events?target={started['id']}")
    assert ("consent.complete", "failed", page.headers["x-request-id"]) in [
        tuple(event["attributes"][name] for name in ("action", "outcome", "request_id"))
        for event in events.json()["data"]
    ]


class SlowProvider:
    """A token endpoint that answers when it is told to."""

    def __init__(self) -> None:
        self.servers = LoopbackServers()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def start(self) -> str:
        return f"http://127.0.0.1:{await self.servers.start(self._serve)}/token"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.servers.read(reader)
        self.asked.set()
        await self.may_answer.wait()
        writer.write(http_answer(b'{"access_token": "at", "refresh_token": "rt"}'))
        await writer.drain()


@pytest.fixture
async def slow() -> AsyncIterator[SlowProvider]:
    provider = SlowProvider()
    yield provider
    await provider.servers.stop()


async def nothing(_: World, __: str) -> None:
    """Change nothing: the control."""


@pytest.mark.parametrize(
    ("change", "status", "credentials", "reason"),
    [(nothing, 200, 1, ""), *((change, 400, 0, reason) for change, reason in CHANGES.values())],
)
async def test_a_change_while_the_code_is_exchanged_stores_nothing(
    keyrack: World, slow: SlowProvider, change: Change, status: int, credentials: int, reason: str
) -> None:
    descriptor = oauth_component("http://127.0.0.1:8/authorize", await slow.start())
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], "slow", descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, "client", "secret-of-the-client")
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    state = query_of(started["attributes"]["authorization_url"])["state"]
    coming = asyncio.create_task(come_back(keyrack, f"/callback/oauth2?code=c&state={state}"))
    async with asyncio.timeout(60):
        await slow.asked.wait()
    await change(keyrack, component_id)
    slow.may_answer.set()
    page = await coming
    assert (page.status_code, reason in page.text) == (status, True), page.text
    assert len(await stored(keyrack, "Globex")) == credentials


async def test_the_user_is_gone(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    started = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    callback = await approve(started["attributes"]["authorization_url"])
    await delete_the_user(keyrack, component_id)
    assert (await come_back(keyrack, callback)).status_code == 400
    assert exchanges(simulator) == 0
    listed = await globex.admin.get(f"/v2/credentials?workspace_id={globex.workspace_id}")
    assert listed.json()["data"] == []


async def test_a_credential_deleted_meanwhile_is_not_made_again(keyrack: World, simulator: RunningSimulator) -> None:
    component_id = await component_for(keyrack, simulator)
    globex = keyrack.tenants["Globex"]
    first = (await start(globex.integrator, globex.workspace_id, component_id)).json()["data"]
    await come_back(keyrack, await approve(first["attributes"]["authorization_url"]))
    (credential,) = await stored(keyrack, "Globex")
    again = await start(globex.integrator, globex.workspace_id, component_id, credential_id=credential["id"])
    data = again.json()["data"]
    callback = await approve(data["attributes"]["authorization_url"])
    assert (await globex.integrator.delete(f"/v2/credentials/{credential['id']}")).status_code == 204
    page = await come_back(keyrack, callback)
    assert page.status_code == 400
    assert "deleted while you were connecting" in page.text
    assert await stored(keyrack, "Globex") == []
    assert (await seen(keyrack, "Globex", data["id"]))["status"] == "failed"
