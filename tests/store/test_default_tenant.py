"""One default tenant at most: also where two became it before the database saw to it."""

from pathlib import Path

from alembic import command
from sqlalchemy import select, update
from sqlalchemy.engine import Connection

from keyrack.store import migrations
from keyrack.store.core import engine
from keyrack.store.schema import tenants
from support.app import BASE, settings_for, world


def _downgrade(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0007")
    for name in ("Acme", "Globex"):
        given = {"is_default": True, "code": name}
        connection.execute(update(tenants).where(tenants.c.name == name).values(attributes=given))


async def test_the_older_of_two_default_tenants_stays_it(tmp_path: Path, database_url: str | None) -> None:
    settings = settings_for(tmp_path, database_url, public_url=BASE)
    async with world(settings) as keyrack:
        database = engine.create_engine(settings)
        try:
            async with database.begin() as connection:
                await connection.run_sync(_downgrade)
            await migrations.upgrade(database)
        finally:
            await database.dispose()
        async with keyrack.store.installation() as unit:
            query = select(tenants.c.name, tenants.c.is_default, tenants.c.attributes).order_by(tenants.c.id)
            root, acme, globex = (await unit.connection.execute(query)).all()
    assert (root.is_default, acme.is_default, globex.is_default) == (None, True, None)
    assert acme.attributes == {"is_default": True, "code": "Acme"}
    assert globex.attributes == {"is_default": False, "code": "Globex"}
