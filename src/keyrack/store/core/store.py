"""Hands out units of work, and hides which database is behind them."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from sqlalchemy import String, bindparam, delete, func, insert, select, text

from keyrack.clock import Clock
from keyrack.errors import DiskFull, KeyServiceUnavailable, WrongKey
from keyrack.fair_share import asking_for
from keyrack.ids import new_id
from keyrack.store.core.connection import Database, UnitMode
from keyrack.store.core.database_errors import outages_named
from keyrack.store.core.disk_watch import DiskWatch
from keyrack.store.core.keyring import INSTALLATION, Keyring
from keyrack.store.core.references import deleted_parent_refused
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import data_keys

_PROBE_BYTES = 64 * 1024
_FILLING = Change(
    insert(data_keys).values(
        id=bindparam("id"), tenant_id="probe", kek_id="", wrapped=bindparam("wrapped"), created_at=bindparam("at")
    )
)
_SAYING = Query(select(func.pg_notify(bindparam("channel", type_=String), bindparam("word", type_=String))))
_EMPTYING = Change(delete(data_keys).where(data_keys.c.id == bindparam("id")))


class Store:
    """All data of an installation.

    Its connections, and the turns of writers where only one can write, are divided among those whose requests or work
    need them (`keyrack.fair_share`): `asking_for`, or else the tenant of the unit.
    """

    def __init__(self, database: Database, keyring: Keyring, clock: Clock) -> None:
        self._database = database
        self._keyring = keyring
        self._clock = clock
        self._disk = DiskWatch(self._write_something)

    @property
    def keyring(self) -> Keyring:
        """What seals and opens values."""
        return self._keyring

    @property
    def clock(self) -> Clock:
        """The time, as units of work see it."""
        return self._clock

    def unit(self, tenant_id: str, *, writes: bool = False) -> AbstractAsyncContextManager[Unit]:
        """Begin a unit of work bound to a tenant.

        Args:
            tenant_id: the tenant all statements are limited to.
            writes: whether the block may change data. Then it is one transaction: committed when the block ends, rolled
                back when it raises. Else each statement sees what is committed when it begins (decision 17).

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
            RelatedNotFound: something that a new row belongs to was deleted at this moment.
        """
        return self._begun(tenant_id, UnitMode.write if writes else UnitMode.read)

    def single(self, tenant_id: str) -> AbstractAsyncContextManager[Unit]:
        """Begin a unit bound to a tenant that makes one change, with one statement, which is a transaction by itself.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
        """
        return self._begun(tenant_id, UnitMode.each)

    def installation(self, *, writes: bool = False) -> AbstractAsyncContextManager[Unit]:
        """Begin a unit of work that belongs to no tenant: for `keyrack.store.directory` and the installation's rows.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
        """
        return self._begun(INSTALLATION, UnitMode.write if writes else UnitMode.read)

    def snapshot(self) -> AbstractAsyncContextManager[Unit]:
        """Begin a transaction of the installation that sees all data as it is now, for an export.

        Raises:
            DatabaseUnavailable: the database cannot be reached, or was lost on the way.
        """
        return self._begun(INSTALLATION, UnitMode.snapshot)

    def connections(self) -> tuple[int, int]:
        """Return how many connections are in use, and how many there may be."""
        return self._database.connections()

    async def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            DatabaseUnavailable: it gave none.
        """
        async with self._begun(INSTALLATION, UnitMode.read) as unit:
            await unit.connection.execute(text("SELECT 1"))

    async def say(self, channel: str, word: str) -> None:
        """Notify whoever listens on a channel, in whichever process; PostgreSQL only.

        Args:
            channel: its name.
            word: what is said.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        async with self._begun(INSTALLATION, UnitMode.each) as unit:
            await _SAYING.rows(unit.connection, channel=channel, word=word)

    def require_writable(self) -> None:
        """Insist that the database's disk was not full when somebody wrote last; it is looked after every second.

        Raises:
            DiskFull: it was.
        """
        if self._disk.is_full:
            raise DiskFull

    async def close(self) -> None:
        """Close all connections, and let go of the key sources."""
        await self._disk.close()
        await self._database.close()
        await self._keyring.close()

    @asynccontextmanager
    async def _begun(self, tenant_id: str, mode: UnitMode) -> AsyncIterator[Unit]:
        try:
            with outages_named(), deleted_parent_refused():
                await self._get_keys(tenant_id)
                async with self._database.unit(mode, asking_for.get() or tenant_id) as connection:
                    yield Unit(connection, tenant_id, self._keyring, self._clock)
        except DiskFull:
            self._disk.refused()
            raise

    async def _get_keys(self, tenant_id: str) -> None:
        """Have a tenant's data keys at hand before its unit takes a connection, if a key service may have to be called.

        So a service that is slow or gone keeps no connection from those whose keys are there. Where it fails, whoever
        needs the keys is told in the unit.
        """
        if self._keyring.is_at_hand(tenant_id):
            return
        async with self._database.unit(UnitMode.read, asking_for.get() or tenant_id) as connection:
            rows = await self._keyring.look(connection, tenant_id)
        with suppress(KeyServiceUnavailable, WrongKey):
            await self._keyring.take(tenant_id, rows)

    async def _write_something(self) -> None:
        """Write what needs room on the disk, and leave nothing of it behind.

        PostgreSQL makes room when a row is inserted, whatever becomes of the row; SQLite when it commits.

        Raises:
            DiskFull: there is none.
            DatabaseUnavailable: the database cannot be reached.
        """
        self._database.require_room()
        filling = {"id": new_id(), "wrapped": os.urandom(_PROBE_BYTES), "at": self._clock()}
        with suppress(_TakenBack):
            async with self._begun(INSTALLATION, UnitMode.write) as unit:
                await _FILLING.run(unit.connection, **filling)
                if self._database.dialect.name == "postgresql":
                    raise _TakenBack
                await _EMPTYING.run(unit.connection, id=filling["id"])


class _TakenBack(Exception):
    """Ends a transaction that is not to be kept."""
