"""What waits to be revoked does so after migration 0011 as before; what has no tenant any more goes with its return."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from alembic import command
from sqlalchemy import inspect, select
from sqlalchemy.engine import Connection

from keyrack.fair_share import Places
from keyrack.store import migrations
from keyrack.store.core import engine
from keyrack.store.revocations import DueRevocations, Revocations, Subject
from keyrack.store.schema import revocations
from keyrack.store.tenants import TenantRows
from support.app import BASE, World, settings_for, world

ORDER = {"endpoint": "https://provider.example/revoke", "token": "rt"}


def downgrade(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0010")


def foreign_keys(connection: Connection) -> list[str]:
    return [key["referred_table"] for key in inspect(connection).get_foreign_keys("revocations")]


async def order(keyrack: World, tenant_id: str, letter: str) -> None:
    async with keyrack.store.unit(tenant_id, writes=True) as unit:
        await Revocations(unit).add(Subject(letter * 24, "b" * 24, "c" * 24), ORDER)


async def test_pending_revocations_outlive_the_migration_and_its_return(
    tmp_path: Path, database_url: str | None
) -> None:
    settings = settings_for(tmp_path, database_url, public_url=BASE)
    async with world(settings) as keyrack:
        acme, globex = keyrack.tenants["Acme"].id, keyrack.tenants["Globex"].id
        await order(keyrack, acme, "a")
        await order(keyrack, globex, "e")
        async with keyrack.store.unit(globex, writes=True) as unit:
            await TenantRows(unit).remove(globex)
        database = engine.create_engine(settings)

        async def did(step: Callable[[Connection], object]) -> list[str]:
            async with database.begin() as connection:
                await connection.run_sync(step)
                return await connection.run_sync(foreign_keys)

        try:
            assert await did(foreign_keys) == []
            assert await did(downgrade) == ["tenants"]
            await migrations.upgrade(database)
            assert await did(foreign_keys) == []
        finally:
            await database.dispose()
        async with keyrack.store.installation(writes=True) as unit:
            left = (await unit.connection.execute(select(revocations.c.tenant_id))).column()
            (job,) = await DueRevocations(unit).claim(Places(10), timedelta(seconds=60))
    assert left == [acme]
    assert (job.tenant_id, job.subject.secret_id, job.order) == (acme, "a" * 24, ORDER)
