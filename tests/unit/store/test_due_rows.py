"""Whether anything is due is told of all tenants, at the moment it becomes due; what is not due is not."""

from datetime import timedelta

from keyrack import clock
from keyrack.store.core.claims import any_due, unlocked_due
from keyrack.store.core.unit import Unit
from keyrack.store.schema import auth_secrets
from support.app import World
from support.grants import add_auth_client, add_secret, change


async def test_a_row_is_due_from_its_moment_on(keyrack_on_each: World) -> None:
    world = keyrack_on_each
    acme = world.tenants["Acme"]
    client = await add_auth_client(world.store, acme.id, "http://127.0.0.1:8/token")
    tokens = {"access_token": "at", "refresh_token": "rt"}
    async with world.store.installation() as unit:
        assert await any_due(unit, auth_secrets) is False
    first = await add_secret(world.store, acme, client, tokens)
    moment = clock.now().replace(microsecond=0) + timedelta(hours=1)
    await change(world.store, first, due_at=moment)
    second = await add_secret(world.store, acme, client, tokens)
    await change(world.store, second, due_at=moment - timedelta(seconds=1))
    await change(world.store, await add_secret(world.store, acme, client, tokens), due_at=None)
    for after, found in ((-2, []), (-1, [second.id]), (0, [second.id, first.id]), (1, [second.id, first.id])):
        now = moment + timedelta(seconds=after)
        async with world.store.installation(writes=True) as opened:
            unit = Unit(opened.connection, opened.tenant_id, opened.keyring, lambda now=now: now)  # type: ignore[misc]
            assert await any_due(unit, auth_secrets) is bool(found)
            query = unlocked_due(auth_secrets.select(), auth_secrets, now, 10)
            assert [row.id for row in await unit.connection.execute(query)] == found
            assert len(
                (await unit.connection.execute(unlocked_due(auth_secrets.select(), auth_secrets, now, 1))).all()
            ) == (min(len(found), 1))
