"""An administrator mends a client that its provider rejects: over the API, and its secrets live again (0.13)."""

from collections.abc import AsyncIterator

import pytest

from keyrack.errors import ProviderError
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.auth_clients import AuthClients
from keyrack.store.vault import INSTALLATION
from support.app import World
from support.auth_clients import PATH, change
from support.grants import add_auth_client, add_secret, is_live, mint, stored


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    async with running_simulator() as running:
        yield running


@pytest.mark.parametrize("scope", ["tenant", "global"])
async def test_a_new_client_secret_revives_paused_secrets_and_a_new_name_does_not(
    keyrack_on_each: World, simulator: RunningSimulator, scope: str
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    owner, admin = (INSTALLATION, world.support) if scope == "global" else (acme.id, acme.admin)
    client = await add_auth_client(world.store, owner, simulator.token_endpoint, client_secret="wrong")
    secret = await add_secret(world.store, acme, client, mint(simulator), age=4000)
    refresher = world.services.refresh_room.refresher
    with pytest.raises(ProviderError):
        await refresher.refresh(secret)

    async def state() -> tuple[bool, bool]:
        async with world.store.unit(owner) as unit:
            found = await AuthClients(unit).find(client.id)
        assert found is not None
        return found.rejected_at is not None, (await stored(world.store, secret)).due_at is None

    assert await state() == (True, True), "the client is rejected and its secret waits"
    renamed = await admin.patch(f"{PATH}/{client.id}", change({"name": "New name"}))
    assert renamed.status_code == 200, renamed.text
    assert await state() == (True, True)
    mended = await admin.patch(f"{PATH}/{client.id}", change({"credentials": {"client_secret": "simulator-secret"}}))
    assert mended.status_code == 200, mended.text
    assert await state() == (False, False)
    assert is_live(simulator, await refresher.refresh(await stored(world.store, secret)))
