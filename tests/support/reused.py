"""A PostgreSQL database with two tenants that each test finds as if it were new: emptied and filled, not created.

Creating a database costs the server some three hundred files, and migrations a quarter of a second; emptying its few
rows costs milliseconds. For tests that go through Keyrack's own tables. A test that changes the schema, fills the
database with a crowd, or needs it empty has one of its own (`postgres_url`).
"""

import io
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from keyrack.settings import Settings

DATABASE = "reused"
"""Its name on the server of a test process."""


@dataclass(frozen=True)
class Content:
    """What a database holds: the rows of each table that has any, and where its sequences are."""

    rows: dict[str, bytes] = field(repr=False)
    sequences: dict[str, Any]


def is_reused(settings: Settings) -> bool:
    """Tell whether settings name the database of this module."""
    return settings.database_url is not None and settings.database_url.reveal().endswith(f"/{DATABASE}")


async def saved(url: str) -> Content:
    """Return what a database holds now."""
    connection = await asyncpg.connect(url)
    try:
        rows = dict[str, bytes]()
        for table in await _tables(connection):
            if await connection.fetchval(f'SELECT EXISTS (SELECT FROM "{table}")'):
                text = io.BytesIO()
                await connection.copy_from_table(table, output=text, format="binary")
                rows[table] = text.getvalue()
        sequences = await connection.fetch(
            "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public'"
        )
        return Content(rows, {row["sequencename"]: row["last_value"] for row in sequences})
    finally:
        await connection.close()


async def restore(url: str, content: Content) -> None:
    """Let a database hold what it held when its content was saved; whoever is still connected to it is cut off."""
    connection = await asyncpg.connect(url)
    try:
        await _cut_off_others(connection)
        async with connection.transaction():
            await connection.execute("SET LOCAL session_replication_role = replica")  # no foreign keys meanwhile
            await connection.execute(";".join(f'DELETE FROM "{table}"' for table in await _tables(connection)))
            for table, rows in content.rows.items():
                await connection.copy_to_table(table, source=io.BytesIO(rows), format="binary")
            for sequence, last in content.sequences.items():
                await connection.execute(
                    f"SELECT setval('\"{sequence}\"', {last or 1}, {'false' if last is None else 'true'})"
                )
    finally:
        await connection.close()


async def _tables(connection: "asyncpg.Connection[Any]") -> list[str]:
    found = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")
    return [row["tablename"] for row in found]


async def _cut_off_others(connection: "asyncpg.Connection[Any]") -> None:
    """End other sessions: of a killed process the server may be about to commit what its last statement said."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
    )
