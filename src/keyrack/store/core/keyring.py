"""Data keys: of each tenant (and of the installation), wrapped by a key-encryption key, kept in `data_keys`.

An owner may have several: the newest seals, the older ones open what they sealed, until it is sealed anew and they are
retired. Unwrapped keys stay in memory while the process runs. Whether they still exist is looked up again as soon as
somebody may have changed that, so a key that was destroyed opens nothing any more, in no process.
"""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import bindparam, delete, insert, select

from keyrack.clock import Clock
from keyrack.crypto.envelope import KEY_BYTES, DataKey, EncryptionContext, key_id_of
from keyrack.crypto.kek import KeyEncryptionKey
from keyrack.errors import KeyServiceUnavailable, NotFound, WrongKey
from keyrack.ids import new_id
from keyrack.store.core.connection import Connection
from keyrack.store.core.statements import Change, Query
from keyrack.store.schema import data_keys, tenants

INSTALLATION = ""
"""Owner of what belongs to no tenant."""
_UNTOLD_SECONDS = 0.8
"""For how long what was looked up holds where nobody tells of changes: with the time of a request, a second."""


_k = data_keys.c
_OF_TENANT = _k.tenant_id == bindparam("tenant_id")
_ALL = Query(select(_k.id, _k.kek_id, _k.wrapped).where(_OF_TENANT).order_by(_k.id.desc()))
_TENANT = Query(select(tenants.c.id).where(tenants.c.id == bindparam("tenant_id")))
_ADDITION = Change(insert(data_keys).values(**{column.name: bindparam(column.name) for column in _k}))
_REMOVAL = Change(delete(data_keys).where(_OF_TENANT))


class KeyChanges(Protocol):
    """Tells whether data keys have changed since they were looked up (`keyrack.store.access_changes`)."""

    def mark(self) -> Any:
        """Take the time, before looking something up."""

    def holds(self, mark: Any, *subjects: str) -> bool:
        """Tell whether what was looked up after a mark about these tenants can still be acted on."""


class _Untold:
    """Changes that nobody tells of."""

    def mark(self) -> float:
        return time.monotonic()

    def holds(self, mark: float, *_subjects: str) -> bool:
        return time.monotonic() - mark <= _UNTOLD_SECONDS


@dataclass(frozen=True, slots=True)
class _Look:
    """A look into the database: when, and which data keys there were, the newest first."""

    mark: Any
    ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class NewDataKey:
    """A data key that was made, and is not stored yet."""

    id: str
    tenant: str
    kek_id: str
    wrapped: bytes = field(repr=False)
    created_at: datetime


class Keyring:
    """Seals and opens values with the data keys of their owner."""

    def __init__(self, kek: KeyEncryptionKey, clock: Clock) -> None:
        self._kek = kek
        self._clock = clock
        self._changes: KeyChanges = _Untold()
        self._by_id: dict[str, DataKey] = {}
        self._newest: dict[str, DataKey] = {}
        self._looked: dict[str, _Look] = {}
        self._unwrapping: dict[str, asyncio.Task[DataKey]] = {}

    @property
    def kek(self) -> KeyEncryptionKey:
        """What wraps and unwraps data keys."""
        return self._kek

    @property
    def kek_id(self) -> str:
        """The id of the key-encryption key that new data keys are wrapped with."""
        return self._kek.current

    def follow(self, changes: KeyChanges) -> None:
        """Believe what tells of changes, instead of looking every second."""
        self._changes = changes

    async def make_key(self, tenant: str) -> NewDataKey:
        """Make a data key for an owner; a key service may be called, so no connection should be held meanwhile.

        Raises:
            KeyServiceUnavailable: the service that has the key-encryption key does not answer, or refuses.
        """
        key_id = new_id()
        kek_id, wrapped = await self._kek.wrap(os.urandom(KEY_BYTES), _context(key_id, tenant))
        return NewDataKey(key_id, tenant, kek_id, wrapped, self._clock())

    async def add_key(self, connection: Connection, key: NewDataKey) -> None:
        """Give its owner a data key that was made; it seals from then on."""
        await _ADDITION.run(
            connection,
            id=key.id,
            tenant_id=key.tenant,
            kek_id=key.kek_id,
            wrapped=key.wrapped,
            created_at=key.created_at,
            wrapped_at=key.created_at,
        )
        self._looked.pop(key.tenant, None)

    async def create_key(self, connection: Connection, tenant: str) -> None:
        """Give an owner a data key, in the transaction that creates the owner.

        Raises:
            KeyServiceUnavailable: as `make_key`.
        """
        await self.add_key(connection, await self.make_key(tenant))

    async def destroy_keys(self, connection: Connection, tenant: str) -> int:
        """Delete an owner's data keys: what they sealed, backups included, can no longer be opened without them."""
        destroyed = await _REMOVAL.run(connection, tenant_id=tenant)
        self._newest.pop(tenant, None)
        return destroyed

    def forget(self, tenant: str) -> None:
        """Drop an owner's keys from memory: a transaction that made one was rolled back, or destroyed them."""
        self._newest.pop(tenant, None)
        self._looked.pop(tenant, None)
        self._by_id = {key_id: key for key_id, key in self._by_id.items() if key.tenant != tenant}

    def is_true(self, tenant: str) -> bool:
        """Tell whether what is in memory of an owner's keys is what the database has, as far as anybody has told."""
        looked = self._looked.get(tenant)
        return looked is not None and self._changes.holds(looked.mark, tenant)

    def is_at_hand(self, tenant: str) -> bool:
        """Tell whether an owner's values can be sealed and opened without asking the database or a key service."""
        return not self._kek.is_remote or self._has_newest(tenant)

    async def look(self, connection: Connection, tenant: str) -> Sequence[Any]:
        """Look up which data keys an owner has, and forget those that are gone; return the rows, the newest first."""
        mark = self._changes.mark()
        rows: Sequence[Any] = await _ALL.rows(connection, tenant_id=tenant)
        there = [row.id for row in rows]
        for gone in [key.id for key in self._by_id.values() if key.tenant == tenant and key.id not in there]:
            del self._by_id[gone]
        newest = self._newest.get(tenant)
        if newest is not None and newest.id not in there:
            del self._newest[tenant]
        self._looked[tenant] = _Look(mark, there)
        return rows

    async def take(self, tenant: str, rows: Sequence[Any]) -> None:
        """Unwrap what `look` has found and is not in memory yet; no connection needs to be held meanwhile.

        Raises:
            WrongKey: one cannot be unwrapped.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        for row in reversed(rows):
            self._newest[tenant] = await self._unwrapped(row, tenant)

    async def seal(self, connection: Connection, place: EncryptionContext, clear: bytes) -> bytes:
        """Encrypt a value for its place with its tenant's newest data key.

        Raises:
            WrongKey: the tenant's data key cannot be unwrapped.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        await self.prepare(connection, place.tenant)
        return self.seal_now(place, clear)

    async def prepare(self, connection: Connection, tenant: str) -> None:
        """Make sure that `seal_now` can seal for a tenant, with the newest data key.

        Raises:
            NotFound: the tenant was deleted.
            WrongKey: the tenant was shredded, or its data key cannot be unwrapped.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        if self._has_newest(tenant):
            return
        rows = await self.look(connection, tenant)
        if not rows:
            if tenant != INSTALLATION and not await _TENANT.rows(connection, tenant_id=tenant):
                raise NotFound("there is no such tenant")
            raise WrongKey
        try:
            self._newest[tenant] = await self._unwrapped(rows[0], tenant)
        except KeyServiceUnavailable:
            if tenant not in self._newest:  # else the one before still seals, as long as it is there
                raise

    def seal_now(self, place: EncryptionContext, clear: bytes) -> bytes:
        """Encrypt a value without asking the database, which may be gone; `prepare` came before.

        Raises:
            KeyError: nothing was prepared for the tenant.
        """
        return self._newest[place.tenant].seal(place, clear)

    async def derived(self, connection: Connection, tenant: str, purpose: str) -> bytes:
        """Return a key for another purpose than sealing, made of an owner's newest data key.

        Raises:
            WrongKey: the owner's data key cannot be unwrapped.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
        """
        await self.prepare(connection, tenant)
        return self._newest[tenant].derived(purpose)

    async def open(self, connection: Connection, place: EncryptionContext, sealed: bytes) -> bytes:
        """Decrypt a value found at its place.

        Raises:
            WrongKey: the data key it names is gone, cannot be unwrapped, or is another tenant's.
            KeyServiceUnavailable: the service that has the key does not answer, or refuses.
            DecryptionFailed: the value is damaged or was sealed for another place.
        """
        key_id, tenant = key_id_of(sealed), place.tenant
        key = self._by_id.get(key_id)
        if key is None or not self.is_true(tenant):
            if key is not None and key.tenant != tenant:
                raise WrongKey
            rows = await self.look(connection, tenant)
            row = next((row for row in rows if row.id == key_id), None)
            if row is None:
                raise WrongKey
            key = await self._unwrapped(row, tenant)
        return _opened(key, place, sealed)

    def open_now(self, place: EncryptionContext, sealed: bytes) -> bytes:
        """Decrypt a value without asking the database.

        Raises:
            KeyError: the data key it names has to be looked up first; `open` does.
            WrongKey: the data key it names is another tenant's.
            DecryptionFailed: the value is damaged or was sealed for another place.
        """
        if not self.is_true(place.tenant):
            raise KeyError(place.tenant)
        return self.open_known(place, sealed)

    def open_known(self, place: EncryptionContext, sealed: bytes) -> bytes:
        """Decrypt a value whose data key the database is known to have at this moment.

        Raises:
            KeyError: the data key is not in memory yet; `open` gets it.
            WrongKey: the data key it names is another tenant's.
            DecryptionFailed: the value is damaged or was sealed for another place.
        """
        return _opened(self._by_id[key_id_of(sealed)], place, sealed)

    async def rewrapped(self, row: Any, tenant: str) -> tuple[str, bytes]:
        """Return a stored data key wrapped with the key-encryption key that wraps now, and that key's id.

        Raises:
            WrongKey: it cannot be unwrapped.
            KeyServiceUnavailable: a service that is needed does not answer, or refuses.
        """
        context = _context(row.id, tenant)
        return await self._kek.wrap(await self._kek.unwrap(row.kek_id, row.wrapped, context), context)

    async def require_unwrapping(self, rows: Sequence[Any], tenant: str) -> None:
        """See that stored data keys can be unwrapped, whatever is in memory.

        Raises:
            WrongKey: one cannot.
            KeyServiceUnavailable: a service that is needed does not answer, or refuses.
        """
        for row in rows:
            await self._kek.unwrap(row.kek_id, row.wrapped, _context(row.id, tenant))

    async def close(self) -> None:
        """Let go of what the key sources hold open."""
        await self._kek.close()

    def _has_newest(self, tenant: str) -> bool:
        """Tell whether the newest data key is in memory, as far as anybody has told."""
        newest = self._newest.get(tenant)
        return newest is not None and self.is_true(tenant) and self._looked[tenant].ids[:1] == [newest.id]

    async def _unwrapped(self, row: Any, tenant: str) -> DataKey:
        """Unwrap a data key, however many ask for it with one call."""
        known = self._by_id.get(row.id)
        if known is not None and known.tenant == tenant:
            return known
        if not self._kek.is_remote:
            return await self._unwrap(row, tenant)
        return await asyncio.shield(self._call(row, tenant))

    async def _unwrap(self, row: Any, tenant: str) -> DataKey:
        material = await self._kek.unwrap(row.kek_id, row.wrapped, _context(row.id, tenant))
        key, looked = DataKey(row.id, tenant, material), self._looked.get(tenant)
        if looked is None or row.id in looked.ids:  # else it was destroyed while the key service was asked
            self._by_id[row.id] = key  # before anybody finds no call under way
        return key

    def _call(self, row: Any, tenant: str) -> asyncio.Task[DataKey]:
        running = self._unwrapping.get(row.id)
        if running is None:
            running = asyncio.ensure_future(self._unwrap(row, tenant))
            self._unwrapping[row.id] = running

            def ended(done: asyncio.Task[DataKey]) -> None:
                del self._unwrapping[row.id]
                if not done.cancelled():
                    done.exception()  # looked at, whether or not anybody still waits

            running.add_done_callback(ended)
        return running


def _opened(key: DataKey, place: EncryptionContext, sealed: bytes) -> bytes:
    if key.tenant != place.tenant:
        raise WrongKey
    return key.open(place, sealed)


def _context(key_id: str, tenant: str) -> bytes:
    return EncryptionContext(tenant, "data_keys", key_id, "wrapped").associated_data()
