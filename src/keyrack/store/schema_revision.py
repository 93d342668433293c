"""Tells which revision of the schema a database has, and whether this program works on it. Loads no Alembic."""

from functools import cache
from pathlib import Path

import structlog
from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from keyrack.errors import ConfigurationError
from keyrack.store.core.database_errors import outages_named

log = structlog.get_logger()

_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def check(engine: AsyncEngine) -> None:
    """Make sure this program works on the schema: its own, or a newer one that has only added to it (decision 50).

    Raises:
        ConfigurationError: the database is empty, older than this program, or too new for it.
        DatabaseUnavailable: it cannot be reached.
    """
    with outages_named():
        async with engine.connect() as connection:
            found = await connection.run_sync(current)
            oldest = None if found is None or found in known() else await connection.run_sync(_oldest_program)
    if found is None:
        raise ConfigurationError("the database is empty; run: keyrack bootstrap")
    if found not in known():
        if oldest is None or oldest > known()[-1]:
            raise ConfigurationError("the database was migrated by a newer Keyrack; run that one")
        log.warning("schema newer than this program", schema=found, program=known()[-1])
        return
    if found != known()[-1]:
        raise ConfigurationError("the database schema is out of date; run: keyrack db upgrade")


def current(connection: Connection) -> str | None:
    """Return the revision a database is at, as Alembic has noted it; None if it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _oldest_program(connection: Connection) -> str | None:
    """Return which program is the oldest that works on the schema, by its newest revision; None: it is not said."""
    if not inspect(connection).has_table("schema_compatibility"):
        return None
    found: str | None = connection.scalar(text("SELECT max(oldest_program) FROM schema_compatibility"))
    return found


@cache
def known() -> tuple[str, ...]:
    """Return the revisions that this program knows, the newest last: each migration's file is named for its own."""
    return tuple(sorted(path.name[1:5] for path in _MIGRATIONS.glob("m[0-9][0-9][0-9][0-9]_*.py")))
