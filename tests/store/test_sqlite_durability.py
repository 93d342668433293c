"""Every connection that may write to an embedded database forces its commits to disk (decision 5)."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from keyrack.store import migrations
from keyrack.store.core import engine
from keyrack.store.core.connection import Connection
from keyrack.store.core.store import Store
from support.app import World, settings_for

FULL = 2
"""What `PRAGMA synchronous` answers for FULL (https://sqlite.org/pragma.html#pragma_synchronous)."""
WANTED = {"synchronous": FULL, "journal_mode": "wal", "foreign_keys": 1, "busy_timeout": 30_000}


async def pragmas(connection: Connection | AsyncConnection) -> dict[str, object]:
    return {name: (await connection.execute(text(f"PRAGMA {name}"))).scalar_one() for name in WANTED}


async def at_once(store: Store, tenant_id: str, many: int) -> Sequence[dict[str, object]]:
    """Return what so many connections say that are open at the same time."""
    together = asyncio.Barrier(many)

    async def one() -> dict[str, object]:
        async with store.unit(tenant_id) as unit:
            await together.wait()
            return await pragmas(unit.connection)

    return await asyncio.gather(*(one() for _ in range(many)))


@pytest.mark.parametrize("writes", [False, True])
async def test_units_of_all_kinds_are_durable(keyrack: World, writes: bool) -> None:
    wanted = {**WANTED, "busy_timeout": 0} if writes else WANTED  # who writes waits without holding up the event loop
    async with keyrack.store.installation(writes=writes) as unit:
        assert await pragmas(unit.connection) == wanted
    async with keyrack.store.unit(keyrack.tenants["Acme"].id, writes=writes) as unit:
        assert await pragmas(unit.connection) == wanted


async def test_each_connection_of_the_pool_is_durable(keyrack: World) -> None:
    # less than all: a tenant gets no more than its share of the places
    for said in await at_once(keyrack.store, keyrack.tenants["Acme"].id, 3):
        assert said == WANTED


async def test_migrations_are_durable(tmp_path: Path) -> None:
    database = engine.create_engine(settings_for(tmp_path))
    try:
        await migrations.upgrade(database)
        async with database.connect() as connection:
            assert await pragmas(connection) == WANTED
        async with database.begin() as connection:
            assert await pragmas(connection) == WANTED
    finally:
        await database.dispose()
