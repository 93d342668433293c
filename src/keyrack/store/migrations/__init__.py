"""The schema's history, replayed by Alembic: `upgrade` brings a database up to date."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from keyrack.errors import ConfigurationError
from keyrack.store.core.database_errors import outages_named
from keyrack.store.migrations import key_guards
from keyrack.store.schema_revision import current

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


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
    before = current(connection)
    config = _config()
    config.attributes["connection"] = connection
    if before is not None:
        key_guards.remove(connection)
    command.upgrade(config, "head")
    key_guards.install(connection)
    after = current(connection)
    if after is None:
        raise ConfigurationError("no migration was found")
    return before, after


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
