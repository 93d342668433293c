"""`keyrack grants idle` and `keyrack grants ending`: of all tenants or one, for people and for programs."""

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import update

from keyrack.store.schema import auth_secrets
from support import forked_commands
from support.app import World
from support.grants import add_auth_client, add_secret, change
from support.keyrack_processes import command, environment

DAY = timedelta(days=1)
TOKENS = {"access_token": "at-secret", "refresh_token": "rt-secret"}


async def test_both_reports_of_all_tenants_and_of_one(keyrack_on_each: World) -> None:
    world, now = keyrack_on_each, datetime.now(UTC)
    ids = {}
    for name in ("Acme", "Globex"):
        tenant = world.tenants[name]
        client = await add_auth_client(world.store, tenant.id, "https://id.example/token")
        made = await add_secret(world.store, tenant, client, dict(TOKENS), age=0)
        await change(world.store, made, grant_expires_at=now + (5 if name == "Acme" else 3) * DAY)
        ids[name] = made.id
        async with world.store.unit(tenant.id, writes=True) as unit:
            await unit.connection.execute(update(auth_secrets).values(created_at=now - 300 * DAY))
    env = environment(world.settings)
    idle = await asyncio.to_thread(command, env, "grants", "idle")
    assert {(row["tenant_id"], row["id"]) for row in idle} == {(world.tenants[name].id, ids[name]) for name in ids}
    ending = await asyncio.to_thread(command, env, "grants", "ending")
    assert [row["id"] for row in ending] == [ids["Globex"], ids["Acme"]], "the earliest first"
    assert {(row["reason"], row["basis"]) for row in ending} == {("grant_lifetime", "known")}
    words = ("grants", "ending", "--days", "4", "--tenant", world.tenants["Globex"].id)
    table = await asyncio.to_thread(forked_commands.run, words, env, 60)
    assert ids["Globex"] in table.stdout
    assert ids["Acme"] not in table.stdout
    assert "at-secret" not in table.stdout
    unknown = ("grants", "idle", "--tenant", "0" * 24)
    refused = await asyncio.to_thread(forked_commands.run, unknown, env, 60)
    assert (refused.returncode, refused.stderr) == (1, "keyrack: there is no such tenant\n")
