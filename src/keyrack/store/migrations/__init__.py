"""The schema's history, replayed by Alembic: `upgrade` brings a database up to date while programs use it."""

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from keyrack.errors import ConfigurationError, StateConflict
from keyrack.store.core.database_errors import outages_named
from keyrack.store.migrations import key_guards
from keyrack.store.schema_revision import current

_LOCK = 0x6B657972  # "keyr": the advisory lock number of migrations on PostgreSQL


_LOCK_TIMEOUT = "3s"
"""For how long a statement waits for a table that others use: whoever comes meanwhile waits behind it."""
_TRIES = 40
_PAUSE_SECONDS = 2.0
_IN_USE = ("55P03", "40P01")
"""A lock that could not be had in time; a deadlock: others hold what we wait for, and wait for what we hold."""


async def upgrade(engine: AsyncEngine) -> tuple[str | None, str]:
    """Replay missing migrations, in one transaction; other processes that try at the same time wait.

    On PostgreSQL, where a table cannot be had within three seconds, all is given up, so that those who use it go on,
    and tried again, for some minutes.

    Returns:
        The revision before (None for an empty database) and after.

    Raises:
        DatabaseUnavailable: it cannot be reached or cannot write; nothing was changed.
        StateConflict: tables were in use for minutes; nothing was changed.
    """
    for _ in range(_TRIES):
        with outages_named():
            try:
                async with engine.begin() as connection:
                    return await connection.run_sync(_upgrade)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in _IN_USE:
                    raise
        await asyncio.sleep(_PAUSE_SECONDS)
    raise StateConflict("tables were in use all the time; end what holds them for long and try again")


def _upgrade(connection: Connection) -> tuple[str | None, str]:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:n)"), {"n": _LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
    before = current(connection)
    config = _config()
    config.attributes["connection"] = connection
    if before is not None and connection.dialect.name != "postgresql":  # there they hinder no change of a table
        key_guards.remove(connection)
    command.upgrade(config, "head")
    key_guards.install(connection)
    after = current(connection)
    if after is None:
        raise ConfigurationError("no migration was found")
    if after != before:
        connection.execute(text("DELETE FROM schema_compatibility"))
        connection.execute(
            text("INSERT INTO schema_compatibility (oldest_program) VALUES (:oldest)"), {"oldest": _oldest(config)}
        )
    return before, after


def _oldest(config: Config) -> str:
    """Return the revision of the oldest program that works on the newest schema: the last that a migration names."""
    scripts = ScriptDirectory.from_config(config).walk_revisions()  # the newest first
    named: str = next(s.module.oldest_program for s in scripts if hasattr(s.module, "oldest_program"))
    return named


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
