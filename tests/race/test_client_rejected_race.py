"""Many secrets of one rejected client fail at the same moment: nobody waits for anybody in a circle (contract 0.13)."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from keyrack.errors import ProviderError
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from support.app import World
from support.grants import add_auth_client, add_secret, is_renewed, mint, stored

MANY = 20


async def test_secrets_of_a_rejected_client_fail_together_and_come_back_together(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    simulator.state.set_defaults({"rotation": "strict", "latency": 100})
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint, client_secret="wrong")
    secrets = [await add_secret(world.store, acme, client, mint(simulator), age=4000) for _ in range(MANY)]
    refresher = world.services.refreshing.refresher
    failed = await asyncio.gather(*(refresher.refresh(secret) for secret in secrets), return_exceptions=True)
    assert [type(error) for error in failed] == [ProviderError] * MANY, failed
    async with world.store.unit(acme.id, writes=True) as unit:
        right = client.credentials | {"client_secret": "simulator-secret"}
        await AuthClientRows(unit).replace(replace(client, credentials=right), None, forgive=True)
        await AuthClientHealth(unit).revive(client.id, timedelta(seconds=30))
    revived = [await stored(world.store, secret) for secret in secrets]
    assert all(secret.due_at is not None for secret in revived)
    fresh = await asyncio.gather(*(refresher.refresh(secret) for secret in revived))
    assert [is_renewed(simulator, *pair) for pair in zip(revived, fresh, strict=True)] == [True] * MANY


async def test_a_refresh_whose_keys_were_changed_meanwhile_goes_on_with_those_of_now(
    keyrack: World, simulator: RunningSimulator
) -> None:
    acme = keyrack.tenants["Acme"]
    simulator.state.set_defaults({"rotation": "strict", "latency": 300})
    client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint, client_secret="wrong")
    secret = await add_secret(keyrack.store, acme, client, mint(simulator), age=4000)
    refresher = keyrack.services.refreshing.refresher
    running = asyncio.create_task(refresher.refresh(secret))
    await asyncio.sleep(0.15)
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        right = client.credentials | {"client_secret": "simulator-secret"}
        await AuthClientRows(unit).replace(replace(client, credentials=right), None, forgive=True)
        await AuthClientHealth(unit).revive(client.id, timedelta(seconds=30))
    assert is_renewed(simulator, secret, await running)
    async with keyrack.store.unit(acme.id) as unit:
        now = await AuthClientRows(unit).find(client.id)
    assert now is not None
    assert now.rejected_at is None, "what was rejected is gone"
    assert (await stored(keyrack.store, secret)).due_at is not None
