"""The schema's history, replayed by Alembic. `upgrade` brings a database up to date, `check` only looks."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from keyrack.errors import ConfigurationError
from keyrack.store.core.database_errors import outages_named

_LOCK = 0x6B657972  # "keyr": the advisory lock number of migrations on PostgreSQL


async def upgrade(engine: AsyncEngine) -> tuple[str | None, str]:
    """Replay missing migrations, in one transaction; other processes that try at the same time wait.

    Returns:
        The revision before (None for an empty database) and after.

    Raises:
        DatabaseUnavailable: it cannot be reached or cannot write; nothing was changed.
    """
    with outages_named():
        async with engine.begin() as connection:
            return await connection.run_sync(_upgrade)


async def current(engine: AsyncEngine) -> str | None:
    """Return the revision a database is at; None if it is empty.

    Raises:
        DatabaseUnavailable: it cannot be reached.
    """
    with outages_named():
        async with engine.connect() as connection:
            return await connection.run_sync(_current)


async def check(engine: AsyncEngine) -> None:
    """Make sure the schema is the one this program was written for.

    Raises:
        ConfigurationError: the database is empty, older, or newer than this program.
    """
    found = await current(engine)
    script = ScriptDirectory.from_config(_config())
    if found == script.get_current_head():
        return
    if found is None:
        raise ConfigurationError("the database is empty; run: keyrack bootstrap")
    if found not in {revision.revision for revision in script.walk_revisions()}:
        raise ConfigurationError("the database was migrated by a newer Keyrack; run that one")
    raise ConfigurationError("the database schema is out of date; run: keyrack db upgrade")


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    before = _current(connection)
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    after = _current(connection)
    if after is None:
        raise ConfigurationError("no migration was found")
    return before, after


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
