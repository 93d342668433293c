"""Hands out units of work, and hides which database is behind them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from keyrack.clock import Clock
from keyrack.fair_share import FairSlots, asking_for
from keyrack.store.core.database_errors import outages_named
from keyrack.store.core.engine import UNIT_MODE, UnitMode
from keyrack.store.core.keyring import INSTALLATION, Keyring
from keyrack.store.core.references import deleted_parent_refused
from keyrack.store.core.unit import Unit

_inside: ContextVar["asyncio.Task[Any] | None"] = ContextVar("inside", default=None)
"""The task that is in a unit: one that begins another inside of it waits for no place, as it could wait for itself."""


class Store:
    """All data of an installation.

    Its connections, and the turns of writers where only one can write, are divided among those whose requests or work
    need them (`keyrack.fair_share`): `asking_for`, or else the tenant of the unit.
    """

    def __init__(self, engine: AsyncEngine, keyring: Keyring, clock: Clock) -> None:
        self._engine = engine
        self._keyring = keyring
        self._clock = clock
        pool = engine.pool
        self._places = FairSlots(pool.size()) if isinstance(pool, QueuePool) else None
        self._patience = pool.timeout() if isinstance(pool, QueuePool) else None
        # On SQLite writers queue up for one lock, by polling and in no order: here they do so before they take a place.
        self._writer = FairSlots(1) if engine.dialect.name == "sqlite" else None

    @property
    def keyring(self) -> Keyring:
        """What seals and opens values."""
        return self._keyring

    @property
    def clock(self) -> Clock:
        """The time, as units of work see it."""
        return self._clock

    @asynccontextmanager
    async def unit(self, tenant_id: str, *, writes: bool = False) -> AsyncIterator[Unit]:
        """Begin a unit of work bound to a tenant.

        Args:
            tenant_id: the tenant all statements are limited to.
            writes: whether the block may change data. Then it is one transaction: committed when the block ends, rolled
                back when it raises. Else each statement sees what is committed when it begins (decision 17).

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
            RelatedNotFound: something that a new row belongs to was deleted at this moment.
        """
        async with self._connection(tenant_id, UnitMode.write if writes else UnitMode.read) as connection:
            yield Unit(connection, tenant_id, self._keyring, self._clock)

    @asynccontextmanager
    async def installation(self, *, writes: bool = False) -> AsyncIterator[Unit]:
        """Begin a unit of work that belongs to no tenant: for `keyrack.store.directory` and the installation's rows.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
        """
        async with self._connection(INSTALLATION, UnitMode.write if writes else UnitMode.read) as connection:
            yield Unit(connection, INSTALLATION, self._keyring, self._clock)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Unit]:
        """Begin a transaction of the installation that sees all data as it is now, for an export.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
        """
        async with self._connection(INSTALLATION, UnitMode.snapshot) as connection:
            yield Unit(connection, INSTALLATION, self._keyring, self._clock)

    def connections(self) -> tuple[int, int]:
        """Return how many connections of the pool are in use, and how many there may be."""
        pool = self._engine.pool
        if not isinstance(pool, QueuePool):  # what is tuned otherwise has no numbers to tell
            return 0, 0
        return pool.checkedout(), pool.size()

    async def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            DatabaseUnavailable: it gave none.
        """
        async with self._connection(INSTALLATION, UnitMode.read) as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self, tenant_id: str, mode: UnitMode) -> AsyncIterator[AsyncConnection]:
        with outages_named(), deleted_parent_refused():
            place = self._place(asking_for.get() or tenant_id, writes=mode is UnitMode.write)
            async with place, self._engine.connect() as connection:
                await connection.execution_options(**{UNIT_MODE: mode})
                async with connection.begin():
                    yield connection

    @asynccontextmanager
    async def _place(self, holder: str, *, writes: bool) -> AsyncIterator[None]:
        """Hold a connection's place, and on SQLite the writer's; wait no longer than for a connection of the pool."""
        task = asyncio.current_task()
        if _inside.get() is task:
            yield
            return
        async with AsyncExitStack() as held:
            async with asyncio.timeout(self._patience):
                if writes and self._writer is not None:
                    await held.enter_async_context(self._writer.place(holder))
                if self._places is not None:
                    await held.enter_async_context(self._places.place(holder))
            _inside.set(task)
            try:
                yield
            finally:
                _inside.set(None)
