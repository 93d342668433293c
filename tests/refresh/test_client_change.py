"""An administrator mends a client that its provider rejects: over the API, and its secrets live again (0.13)."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from keyrack.errors import ProviderError
from keyrack.model.clients import AuthClient
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.simulator.testing import RunningSimulator, running_simulator
from keyrack.store.auth_client_health import AuthClientHealth
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.schema import events
from support.app import BASE, World, settings_for, world
from support.auth_clients import PATH, change
from support.grants import add_auth_client, add_secret, is_renewed, mint, stored
from support.grants import change as change_secret


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
    refresher = world.services.refreshing.refresher
    with pytest.raises(ProviderError):
        await refresher.refresh(secret)

    async def state() -> tuple[bool, bool]:
        async with world.store.unit(owner) as unit:
            found = await AuthClientRows(unit).find(client.id)
        assert found is not None
        return found.rejected_at is not None, (await stored(world.store, secret)).due_at is None

    assert await state() == (True, True), "the client is rejected and its secret waits"
    renamed = await admin.patch(f"{PATH}/{client.id}", change({"name": "New name"}))
    assert renamed.status_code == 200, renamed.text
    assert await state() == (True, True)
    mended = await admin.patch(f"{PATH}/{client.id}", change({"credentials": {"client_secret": "simulator-secret"}}))
    assert mended.status_code == 200, mended.text
    assert await state() == (False, False)
    assert is_renewed(simulator, secret, await refresher.refresh(await stored(world.store, secret)))


@pytest.mark.parametrize("lead", [0, 45, 7200])
async def test_a_revived_secret_is_due_by_the_lead_that_is_set(
    tmp_path: Path, url_with_tenants: str | None, simulator: RunningSimulator, lead: int
) -> None:  # contract 0.12; KEYRACK_REFRESH_LEAD
    settings = settings_for(
        tmp_path, url_with_tenants, allow_insecure_providers="true", public_url=BASE, refresh_lead=str(lead)
    )
    async with world(settings) as made:
        acme = made.tenants["Acme"]
        client = await add_auth_client(made.store, acme.id, simulator.token_endpoint)
        kinds = [(3600, 60), (300, 60), (90_000, 60), (3600, 4000)]  # seconds: how long they live, how old they are
        secrets = [
            await add_secret(made.store, acme, client, mint(simulator), lifetime=lifetime, age=age)
            for lifetime, age in kinds
        ]
        for secret in secrets:
            await change_secret(made.store, secret, due_at=None)
        began = datetime.now(UTC)
        again = {"credentials": {"client_secret": "simulator-secret"}}
        mended = await acme.admin.patch(f"{PATH}/{client.id}", change(again))
        assert mended.status_code == 200, mended.text
        *good, expired = [await stored(made.store, secret) for secret in secrets]
        schedule = Schedule(lead=timedelta(seconds=lead))
        for secret in good:
            assert secret.due_at is not None
            assert secret.issued_at is not None
            assert secret.expires_at is not None
            due_at = schedule.due(secret.issued_at, secret.expires_at)
            assert abs(secret.due_at - due_at) <= timedelta(milliseconds=1)
        assert expired.due_at is not None
        a_moment = timedelta(milliseconds=1)
        assert began - a_moment <= expired.due_at <= datetime.now(UTC), "what has expired is due at once"


async def told(world: World, owner: str, client: AuthClient) -> list[str]:
    """Return the types of the events about a client, oldest first."""
    async with world.store.unit(owner) as unit:
        query = select(events.c.type, events.c.data).where(events.c.tenant_id == owner).order_by(events.c.id)
        rows = (await unit.connection.execute(query)).all()
    return [row.type for row in rows if row.data.get("auth_client_id") == client.id and row.type.startswith("client.")]


async def test_a_mended_client_has_recovered_once_its_first_refresh_succeeds(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint, client_secret="wrong")
    secrets = [await add_secret(world.store, acme, client, mint(simulator), age=4000) for _ in range(3)]
    refresher = world.services.refreshing.refresher

    async def mend(client_secret: str) -> None:
        credentials = {"credentials": {"client_secret": client_secret}}
        assert (await acme.admin.patch(f"{PATH}/{client.id}", change(credentials))).status_code == 200

    with pytest.raises(ProviderError):
        await refresher.refresh(secrets[0])
    await mend("wrong as well")
    assert await told(world, acme.id, client) == ["client.failing"], "a change proves nothing"
    with pytest.raises(ProviderError):
        await refresher.refresh(await stored(world.store, secrets[0]))
    assert await told(world, acme.id, client) == ["client.failing"] * 2
    await mend("simulator-secret")
    await mend("simulator-secret")
    assert await told(world, acme.id, client) == ["client.failing"] * 2
    await asyncio.gather(*[refresher.refresh(await stored(world.store, secret)) for secret in secrets])
    assert await told(world, acme.id, client) == ["client.failing", "client.failing", "client.recovered"]
    await refresher.refresh(await stored(world.store, secrets[0]))
    await mend("simulator-secret")
    await refresher.refresh(await stored(world.store, secrets[0]))
    assert (await told(world, acme.id, client)).count("client.recovered") == 1


async def test_a_refresh_that_the_client_of_before_has_won_does_not_prove_the_changed_one(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, simulator.token_endpoint)
    async with world.store.unit(acme.id, writes=True) as unit:
        assert await AuthClientHealth(unit).reject(client, {}, datetime.now(UTC))
        before = await AuthClientRows(unit).find(client.id)
    assert before is not None
    changed = await acme.admin.patch(f"{PATH}/{client.id}", change({"credentials": {"client_secret": "other"}}))
    assert changed.status_code == 200
    async with world.store.unit(acme.id, writes=True) as unit:
        assert not await AuthClientHealth(unit).recovered(before)
        now = await AuthClientRows(unit).find(client.id)
        assert now is not None
        assert await AuthClientHealth(unit).recovered(now)


async def test_the_fate_of_a_global_client_is_told_to_every_tenant_with_secrets_of_it(
    keyrack_on_each: World, simulator: RunningSimulator
) -> None:
    world = keyrack_on_each
    acme, globex = world.tenants["Acme"], world.tenants["Globex"]
    client = await add_auth_client(world.store, INSTALLATION, simulator.token_endpoint, client_secret="wrong")
    other = await add_auth_client(world.store, INSTALLATION, simulator.token_endpoint)
    secret = await add_secret(world.store, acme, client, mint(simulator), age=4000)
    refresher = world.services.refreshing.refresher
    with pytest.raises(ProviderError):
        await refresher.refresh(secret)
    assert await told(world, acme.id, client) == ["client.failing"]
    assert await told(world, globex.id, client) == [], "it has no secret of this client"

    for owner in (acme, globex):
        await add_secret(world.store, owner, client, mint(simulator), age=4000)
        await add_secret(world.store, owner, other, mint(simulator), age=4000)
    right = {"credentials": {"client_secret": "simulator-secret"}}
    assert (await world.support.patch(f"{PATH}/{client.id}", change(right))).status_code == 200
    await refresher.refresh(await stored(world.store, secret))
    assert await told(world, acme.id, client) == ["client.failing", "client.recovered"]
    assert await told(world, globex.id, client) == ["client.recovered"]
    assert await told(world, globex.id, other) == []
