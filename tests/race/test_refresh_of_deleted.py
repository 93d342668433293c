"""A refresh under way while its secret's workspace, contract or tenant is deleted brings nothing back (section 22).

On both databases; the provider answers once the deletion is done, or rejects the client that went with the workspace.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select, update

from keyrack.store.attempts import open_attempts
from keyrack.store.schema import auth_clients, auth_secrets
from support.app import TenantInTest, World, error_of
from support.raw_provider import LoopbackServers, http_answer
from support.secrets import add_client, make

PAST = datetime(2026, 1, 1, tzinfo=UTC)
ANSWERS = {
    "tokens": http_answer(b'{"access_token": "at-2", "refresh_token": "rt-2", "expires_in": 3600}'),
    "client rejected": http_answer(b'{"error": "invalid_client"}', status="401 Unauthorized"),
    "grant refused": http_answer(b'{"error": "invalid_grant"}', status="400 Bad Request"),
}


class SlowProvider:
    """A token endpoint that answers when it is told to."""

    def __init__(self) -> None:
        self.servers = LoopbackServers()
        self.asked, self.may_answer = asyncio.Event(), asyncio.Event()
        self.answer = b""

    async def start(self) -> str:
        return f"http://127.0.0.1:{await self.servers.start(self._serve)}/token"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self.servers.read(reader)
        self.asked.set()
        await self.may_answer.wait()
        writer.write(self.answer)
        await writer.drain()


@pytest.fixture
async def provider() -> AsyncIterator[SlowProvider]:
    slow = SlowProvider()
    yield slow
    await slow.servers.stop()


async def counted(world: World, acme: TenantInTest) -> list[int]:
    """Return how many secrets, auth clients and unsettled token requests the tenant has."""
    async with world.store.unit(acme.id) as unit:
        rows = [
            (await unit.connection.execute(select(func.count()).where(table.c.tenant_id == acme.id))).scalar_one()
            for table in (auth_secrets, auth_clients)
        ]
    async with world.store.installation() as unit:
        return [*rows, len(await open_attempts(unit))]


@pytest.mark.parametrize("what", ["workspace", "contract", "tenant"])
@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("asker", ["reader", "refresh"])
async def test_nothing_comes_back(
    keyrack_on_each: World, provider: SlowProvider, what: str, answer: str, asker: str
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    uri = await provider.start()
    client = await add_client(world, acme, token_uri=uri, refresh_token_uri=uri)
    secret = (await make(acme.integrator, acme.workspace_id, client))["id"]
    async with world.store.unit(acme.id, writes=True) as unit:
        expired = {"issued_at": PAST, "expires_at": PAST, "due_at": PAST}
        await unit.connection.execute(update(auth_secrets).where(auth_secrets.c.id == secret).values(expired))
    provider.answer = ANSWERS[answer]
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret}"
    who = acme.integrator
    asking = asyncio.create_task(who.get(path) if asker == "reader" else who.post(f"{path}/refresh"))
    async with asyncio.timeout(30):
        await provider.asked.wait()
    identifier = acme.workspace_id if what == "workspace" else acme.contract_id
    of_place = "contract" if what == "tenant" else what
    assert (await acme.admin.delete(f"/v2/{of_place}s/{identifier}")).status_code == 204
    if what == "tenant":
        support = await world.add_service_account("tenants.tenant.delete")
        assert (await support.delete(f"/v2/tenants/{acme.id}")).status_code == 204
    provider.may_answer.set()
    told = await asking
    assert error_of(told) == (404, "not_found", None)
    await world.services.refreshing.recovery.tick()
    assert await counted(world, acme) == [0, 0, 0]
    assert (await who.get(path)).status_code == (401 if what == "tenant" else 404)
