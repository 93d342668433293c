"""What must be the same on SQLite and PostgreSQL: the schema after its migrations, and who wins a race."""

import asyncio
from pathlib import Path
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from keyrack.store import migrations, schema_revision
from keyrack.store.core import engine
from keyrack.store.schema import metadata
from support.app import World, relationship, settings_for


def differences(connection: Connection) -> list[Any]:
    return list(compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata))


async def test_replayed_migrations_equal_the_schema(tmp_path: Path, database_url: str | None) -> None:
    database = engine.create_engine(settings_for(tmp_path, database_url))
    try:
        before, after = await migrations.upgrade(database)
        assert before is None
        assert await migrations.upgrade(database) == (after, after), "a second upgrade changes nothing"
        await schema_revision.check(database)
        async with database.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await database.dispose()


def test_a_migration_is_named_for_its_revision_and_the_last_name_is_the_newest() -> None:
    script = ScriptDirectory.from_config(migrations._config())
    assert list(schema_revision.known()) == sorted(each.revision for each in script.walk_revisions())
    assert schema_revision.known()[-1] == script.get_current_head()


async def test_fifty_parallel_creates_make_one_client(keyrack_on_each: World) -> None:  # contract 24.1
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    component_id = await keyrack_on_each.add_component(acme, "shared", {"useOAuthClient": True}, access="global")
    body = {
        "type": "oauth-client",
        "attributes": {"client_id": "id", "client_secret": "secret"},
        "relationships": {"component": relationship("component", component_id)},
    }
    path = f"/v2/tenants/{globex.id}/oauth-clients"
    answers = await asyncio.gather(*(globex.admin.post(path, {"data": body}) for _ in range(50)))
    statuses = [answer.status_code for answer in answers]
    assert (statuses.count(201), statuses.count(409)) == (1, 49), statuses
