"""`last_used_at` tells when the credentials of a secret were last given out, though reading writes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.errors import DatabaseUnavailable
from keyrack.ids import new_id
from keyrack.service.identity.last_use import LastUse
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.last_use import Owned
from support.app import World
from support.grants import add_auth_client, add_secret, stored
from support.secrets import resource

ENDPOINT = "http://127.0.0.1:2/token"


async def secrets_of_acme(world: World, count: int = 1) -> list[Any]:
    acme = world.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, ENDPOINT)
    return [await add_secret(world.store, acme, client, {"access_token": f"at-{n}"}) for n in range(count)]


async def test_a_reading_is_told_once_it_is_written_down(keyrack_on_each: World) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    (secret,) = await secrets_of_acme(world)
    path = f"/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    for _ in range(3):
        assert "last_used_at" not in resource(await acme.integrator.get(path))["attributes"]
    assert await world.services.last_use.flush() == 1
    told = resource(await acme.integrator.get(path))["attributes"]["last_used_at"]
    assert before <= datetime.fromisoformat(told) <= datetime.now(UTC)


async def test_who_is_not_given_the_credentials_does_not_use_them(keyrack: World) -> None:
    acme = keyrack.tenants["Acme"]
    (secret,) = await secrets_of_acme(keyrack)
    path = f"/v2/workspaces/{acme.workspace_id}/secrets"
    assert "credentials" not in resource(await acme.guest.get(f"{path}/{secret.id}"))["attributes"]
    assert (await acme.integrator.get(path)).status_code == 200
    assert (await keyrack.tenants["Globex"].integrator.get(f"{path}/{secret.id}")).status_code == 403
    assert await keyrack.services.last_use.flush() == 0
    assert (await stored(keyrack.store, secret)).last_used_at is None


async def test_it_only_moves_forward(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    (secret,) = await secrets_of_acme(world)
    now = datetime.now(UTC).replace(microsecond=0)
    for age, expected in ((60, 60), (120, 60), (30, 30)):
        last_use = LastUse(world.store, lambda age=age: now - timedelta(seconds=age))  # type: ignore[misc]
        last_use.note(secret.tenant_id, secret.id)
        await last_use.flush()
        assert (await stored(world.store, secret)).last_used_at == now - timedelta(seconds=expected)


async def test_many_secrets_are_written_and_those_that_are_gone_forgotten(keyrack_on_each: World) -> None:
    world, last_use = keyrack_on_each, keyrack_on_each.services.last_use
    secrets = await secrets_of_acme(world, 5)
    for secret in secrets:
        last_use.note(secret.tenant_id, secret.id)
    for _ in range(1200):
        last_use.note(world.tenants["Acme"].id, new_id())
    last_use.note(world.tenants["Globex"].id, secrets[0].id)
    await last_use.flush()
    assert all([(await stored(world.store, secret)).last_used_at for secret in secrets])
    assert await last_use.flush() == 0, "nothing is tried for ever"


async def test_a_secret_that_is_being_changed_keeps_nobody_waiting(keyrack_on_each: World) -> None:
    world, last_use = keyrack_on_each, keyrack_on_each.services.last_use
    busy, free = await secrets_of_acme(world, 2)
    if world.settings.database_url is None:
        return  # SQLite has one writer at a time: nobody else is changing anything
    for secret in (busy, free):
        last_use.note(secret.tenant_id, secret.id)
    async with world.store.unit(busy.tenant_id, writes=True) as unit:
        await AuthSecrets(unit).find(busy.id, locked=True)
        async with asyncio.timeout(30):
            assert await last_use.flush() == 1
    assert (await stored(world.store, free)).last_used_at is not None
    assert (await stored(world.store, busy)).last_used_at is None
    assert await last_use.flush() == 1
    assert (await stored(world.store, busy)).last_used_at is not None


async def test_an_outage_of_the_database_loses_nothing(keyrack: World, monkeypatch: pytest.MonkeyPatch) -> None:
    (secret,) = await secrets_of_acme(keyrack)
    last_use = keyrack.services.last_use
    last_use.note(secret.tenant_id, secret.id)

    async def gone(*_: object) -> frozenset[Owned]:
        raise DatabaseUnavailable

    with monkeypatch.context() as outage:
        outage.setattr(last_use, "_move", gone)
        with pytest.raises(DatabaseUnavailable):
            await last_use.flush()
    assert await last_use.flush() == 1
    assert (await stored(keyrack.store, secret)).last_used_at is not None


async def test_it_is_written_every_few_seconds_and_when_the_process_stops(keyrack: World) -> None:
    during, after = await secrets_of_acme(keyrack, 2)
    last_use = LastUse(keyrack.store, keyrack.store.clock, interval=0.05)
    last_use.note(during.tenant_id, during.id)
    await last_use.start()
    for _ in range(1000):
        await asyncio.sleep(0.05)
        if (await stored(keyrack.store, during)).last_used_at is not None:
            break
    else:
        pytest.fail("nothing was written in five seconds")
    last_use.note(after.tenant_id, after.id)
    await last_use.close()
    assert (await stored(keyrack.store, after)).last_used_at is not None
