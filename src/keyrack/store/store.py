"""The store: hands out units of work and hides which database is behind them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import QueuePool

from keyrack.clock import Clock
from keyrack.store.engine import WRITES
from keyrack.store.outage import outages_named
from keyrack.store.unit import Unit
from keyrack.store.vanished import vanished_named
from keyrack.store.vault import INSTALLATION, Vault


class Store:
    """All data of an installation."""

    def __init__(self, engine: AsyncEngine, vault: Vault, clock: Clock) -> None:
        self._engine = engine
        self._vault = vault
        self._clock = clock

    @property
    def vault(self) -> Vault:
        """What seals and opens values."""
        return self._vault

    @property
    def clock(self) -> Clock:
        """The time, as units of work see it."""
        return self._clock

    @asynccontextmanager
    async def unit(self, tenant_id: str, *, writes: bool = False) -> AsyncIterator[Unit]:
        """Begin a transaction bound to a tenant; commit it when the block ends, roll back when it raises.

        Args:
            tenant_id: the tenant all statements are limited to.
            writes: whether the block may change data.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
            RelatedNotFound: something that a new row belongs to was deleted at this moment.
        """
        async with self._connection(writes=writes) as connection:
            yield Unit(connection, tenant_id, self._vault, self._clock)

    @asynccontextmanager
    async def installation(self, *, writes: bool = False) -> AsyncIterator[Unit]:
        """Begin a transaction that belongs to no tenant: for `keyrack.store.directory` and the installation's rows.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
        """
        async with self._connection(writes=writes) as connection:
            yield Unit(connection, INSTALLATION, self._vault, self._clock)

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
        async with self._connection(writes=False) as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self, *, writes: bool) -> AsyncIterator[AsyncConnection]:
        with outages_named(), vanished_named():
            async with self._engine.connect() as connection:
                await connection.execution_options(**{WRITES: writes})
                async with connection.begin():
                    yield connection
