"""Data keys: one per tenant (and one for the installation), wrapped by the key-encryption key, kept in `data_keys`."""

import os

from sqlalchemy import bindparam, delete, insert, select

from keyrack.clock import Clock
from keyrack.crypto.envelope import KEY_BYTES, DataKey, EncryptionContext, key_id_of
from keyrack.crypto.kek import KeyEncryptionKey
from keyrack.errors import WrongKey
from keyrack.ids import new_id
from keyrack.store.core.connection import Connection
from keyrack.store.core.statements import Change, Query
from keyrack.store.schema import data_keys

INSTALLATION = ""
"""Owner of what belongs to no tenant."""


_k = data_keys.c
_OF_TENANT = _k.tenant_id == bindparam("tenant_id")
_NEWEST = Query(select(*_k).where(_OF_TENANT).order_by(_k.id.desc()).limit(1))
_BY_ID = Query(select(*_k).where(_OF_TENANT, _k.id == bindparam("id")))
_ADDITION = Change(insert(data_keys).values(**{column.name: bindparam(column.name) for column in _k}))
_REMOVAL = Change(delete(data_keys).where(_OF_TENANT))


class Keyring:
    """Seals and opens values with the data key of their owner. Unwrapped keys stay in memory while the process runs."""

    def __init__(self, kek: KeyEncryptionKey, clock: Clock) -> None:
        self._kek = kek
        self._clock = clock
        self._by_id: dict[str, DataKey] = {}
        self._newest: dict[str, DataKey] = {}

    @property
    def kek_id(self) -> str:
        """The id of the key-encryption key that new data keys are wrapped with."""
        return self._kek.current

    async def create_key(self, connection: Connection, tenant: str) -> None:
        """Give an owner a data key, in the transaction that creates the owner."""
        key = DataKey(new_id(), tenant, os.urandom(KEY_BYTES))
        kek_id, wrapped = await self._kek.wrap(key.material, _context(key.id, tenant))
        await _ADDITION.run(
            connection, id=key.id, tenant_id=tenant, kek_id=kek_id, wrapped=wrapped, created_at=self._clock()
        )

    async def destroy_keys(self, connection: Connection, tenant: str) -> None:
        """Delete an owner's data keys: what they sealed, backups included, can no longer be opened without them."""
        await _REMOVAL.run(connection, tenant_id=tenant)
        self._newest.pop(tenant, None)

    def forget(self, tenant: str) -> None:
        """Drop an owner's keys from memory: a transaction that made one was rolled back."""
        self._newest.pop(tenant, None)
        self._by_id = {key_id: key for key_id, key in self._by_id.items() if key.tenant != tenant}

    async def seal(self, connection: Connection, place: EncryptionContext, clear: bytes) -> bytes:
        """Encrypt a value for its place with its tenant's newest data key.

        Raises:
            WrongKey: the tenant's data key cannot be unwrapped.
        """
        await self.prepare(connection, place.tenant)
        return self.seal_now(place, clear)

    async def prepare(self, connection: Connection, tenant: str) -> None:
        """Make sure that `seal_now` can seal for a tenant.

        Raises:
            WrongKey: the tenant's data key cannot be unwrapped.
        """
        if tenant not in self._newest:
            self._newest[tenant] = await self._load(connection, tenant, None)

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
        """
        await self.prepare(connection, tenant)
        return self._newest[tenant].derived(purpose)

    async def open(self, connection: Connection, place: EncryptionContext, sealed: bytes) -> bytes:
        """Decrypt a value found at its place.

        Raises:
            WrongKey: the data key it names cannot be unwrapped, or is another tenant's.
            DecryptionFailed: the value is damaged or was sealed for another place.
        """
        key_id = key_id_of(sealed)
        if key_id not in self._by_id:
            await self._load(connection, place.tenant, key_id)
        return self.open_now(place, sealed)

    def open_now(self, place: EncryptionContext, sealed: bytes) -> bytes:
        """Decrypt a value without asking the database.

        Raises:
            KeyError: the data key it names has not been needed yet; `open` gets it.
            WrongKey: the data key it names is another tenant's.
            DecryptionFailed: the value is damaged or was sealed for another place.
        """
        key = self._by_id[key_id_of(sealed)]
        if key.tenant != place.tenant:
            raise WrongKey
        return key.open(place, sealed)

    async def _load(self, connection: Connection, tenant: str, key_id: str | None) -> DataKey:
        if key_id is None:
            rows = await _NEWEST.rows(connection, tenant_id=tenant)
        else:
            rows = await _BY_ID.rows(connection, tenant_id=tenant, id=key_id)
        if not rows:
            raise WrongKey
        row = rows[0]
        material = await self._kek.unwrap(row.kek_id, row.wrapped, _context(row.id, tenant))
        key = DataKey(row.id, tenant, material)
        self._by_id[key.id] = key
        return key


def _context(key_id: str, tenant: str) -> bytes:
    return EncryptionContext(tenant, "data_keys", key_id, "wrapped").associated_data()
