"""Tells which revision of the schema a database has, and whether it is this program's. Loads no Alembic to do so."""

from functools import cache
from pathlib import Path

from sqlalchemy import inspect, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from keyrack.errors import ConfigurationError
from keyrack.store.core.database_errors import outages_named

_MIGRATIONS = Path(__file__).parent / "migrations" / "versions"


async def check(engine: AsyncEngine) -> None:
    """Make sure the schema is the one this program was written for.

    Raises:
        ConfigurationError: the database is empty, older, or newer than this program.
        DatabaseUnavailable: it cannot be reached.
    """
    with outages_named():
        async with engine.connect() as connection:
            found = await connection.run_sync(current)
    if found is None:
        raise ConfigurationError("the database is empty; run: keyrack bootstrap")
    if found not in known():
        raise ConfigurationError("the database was migrated by a newer Keyrack; run that one")
    if found != known()[-1]:
        raise ConfigurationError("the database schema is out of date; run: keyrack db upgrade")


def current(connection: Connection) -> str | None:
    """Return the revision a database is at, as Alembic has noted it; None if it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


@cache
def known() -> tuple[str, ...]:
    """Return the revisions that this program knows, the newest last: each migration's file is named for its own."""
    return tuple(sorted(path.name[1:5] for path in _MIGRATIONS.glob("m[0-9][0-9][0-9][0-9]_*.py")))
