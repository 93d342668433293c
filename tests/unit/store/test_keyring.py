"""A sealed value moved to another tenant, table, row or column does not open; nor without the right key."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import select, update

from keyrack import clock
from keyrack.crypto.envelope import DecryptionFailed, EncryptionContext, key_id_of
from keyrack.crypto.kek.local import LocalKeys
from keyrack.errors import WrongKey
from keyrack.store.core import engine
from keyrack.store.core.connection import Connection, Database, UnitMode
from keyrack.store.core.keyring import INSTALLATION, Keyring
from keyrack.store.schema import data_keys
from support.app import settings_for
from support.reuse import migrate

KEY, OTHER = os.urandom(32), os.urandom(32)
PLACE = EncryptionContext("a" * 24, "oauth_clients", "row", "secret")
CLEAR = b"canary"


class TakenBack(Exception):
    """Ends a test's transaction; none stores anything."""


@pytest.fixture(scope="module")
async def database(
    tmp_path_factory: pytest.TempPathFactory, database_url_of_file: str | None
) -> AsyncIterator[Database]:
    settings = settings_for(tmp_path_factory.mktemp("keyring"), database_url_of_file)
    await migrate(settings)
    opened = engine.open_database(settings)
    yield opened
    await opened.close()


@pytest.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    with suppress(TakenBack):
        async with database.unit(UnitMode.write, "") as opened:
            for tenant in ("a" * 24, "b" * 24, INSTALLATION):
                await Keyring(LocalKeys([KEY]), clock.now).create_key(opened, tenant)
            yield opened
            raise TakenBack


def fresh(*keys: bytes) -> Keyring:
    return Keyring(LocalKeys(keys or [KEY]), clock.now)


async def test_another_process_opens_what_was_sealed(connection: Connection) -> None:
    sealed = await fresh().seal(connection, PLACE, CLEAR)
    assert await fresh().open(connection, PLACE, sealed) == CLEAR


@pytest.mark.parametrize("part", ["table", "row", "column"])
async def test_a_value_moved_within_its_tenant_does_not_open(connection: Connection, part: str) -> None:
    keyring = fresh()
    sealed = await keyring.seal(connection, PLACE, CLEAR)
    for opener in (keyring, fresh()):
        with pytest.raises(DecryptionFailed):
            await opener.open(connection, replace(PLACE, **{part: "another"}), sealed)


@pytest.mark.parametrize("tenant", ["b" * 24, INSTALLATION, "c" * 24])
async def test_a_value_moved_to_another_tenant_does_not_open(connection: Connection, tenant: str) -> None:
    keyring = fresh()
    sealed = await keyring.seal(connection, PLACE, CLEAR)
    for opener in (keyring, fresh()):  # with the key in memory and without
        with pytest.raises(WrongKey):
            await opener.open(connection, replace(PLACE, tenant=tenant), sealed)


async def test_a_data_key_given_to_another_tenant_does_not_open(connection: Connection) -> None:
    sealed = await fresh().seal(connection, PLACE, CLEAR)
    stolen = update(data_keys).where(data_keys.c.id == key_id_of(sealed)).values(tenant_id="b" * 24)
    await connection.execute(stolen)
    with pytest.raises(WrongKey):
        await fresh().open(connection, replace(PLACE, tenant="b" * 24), sealed)


async def test_another_key_encryption_key_neither_seals_nor_opens(connection: Connection) -> None:
    sealed = await fresh().seal(connection, PLACE, CLEAR)
    with pytest.raises(WrongKey):
        await fresh(OTHER).open(connection, PLACE, sealed)
    with pytest.raises(WrongKey):
        await fresh(OTHER).seal(connection, PLACE, CLEAR)
    assert await fresh(OTHER, KEY).open(connection, PLACE, sealed) == CLEAR


async def test_the_newest_data_key_seals_and_the_older_still_opens(connection: Connection) -> None:
    before = await fresh().seal(connection, PLACE, CLEAR)
    await fresh(OTHER, KEY).create_key(connection, PLACE.tenant)
    after = await fresh(OTHER, KEY).seal(connection, PLACE, CLEAR)
    assert key_id_of(after) > key_id_of(before)
    assert await fresh(OTHER, KEY).open(connection, PLACE, before) == CLEAR
    with pytest.raises(WrongKey):
        await fresh(KEY).open(connection, PLACE, after)


async def test_no_data_key_is_stored_in_clear_and_destroyed_ones_open_nothing(connection: Connection) -> None:
    keyring = fresh()
    sealed = await keyring.seal(connection, PLACE, CLEAR)
    material = next(iter(keyring._by_id.values())).material
    stored = (await connection.execute(select(data_keys.c.wrapped))).column()
    assert len(stored) == 3
    assert all(material not in wrapped for wrapped in stored)
    await fresh().destroy_keys(connection, PLACE.tenant)
    with pytest.raises(WrongKey):
        await fresh().open(connection, PLACE, sealed)


@pytest.mark.parametrize(
    ("damaged", "error"),
    [
        (b"", DecryptionFailed),
        (b"\x01", DecryptionFailed),
        (b"\x02" + b"0" * 60, DecryptionFailed),
        (b"\xa7" * 24, DecryptionFailed),
        (b"\x01" + b"\0" * 60, WrongKey),
    ],
)
async def test_what_is_no_envelope_is_refused(connection: Connection, damaged: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        await fresh().open(connection, PLACE, damaged)


class Service(LocalKeys):
    """Keys that answer when they are let."""

    is_remote = True

    def __init__(self) -> None:
        super().__init__([KEY])
        self.asked, self.go_on = asyncio.Event(), asyncio.Event()

    async def unwrap(self, kek_id: str, wrapped: bytes, context: bytes) -> bytes:
        self.asked.set()
        await self.go_on.wait()
        return await super().unwrap(kek_id, wrapped, context)


async def test_a_key_that_is_destroyed_while_a_service_unwraps_it_does_not_stay_in_memory(
    connection: Connection,
) -> None:
    sealed, service = await fresh().seal(connection, PLACE, CLEAR), Service()
    keyring = Keyring(service, clock.now)
    opening = asyncio.create_task(keyring.open(connection, PLACE, sealed))
    await service.asked.wait()
    await fresh().destroy_keys(connection, PLACE.tenant)
    assert await keyring.look(connection, PLACE.tenant) == []
    service.go_on.set()
    assert await opening == CLEAR, "it was asked for before"
    with pytest.raises(WrongKey):
        await keyring.open(connection, PLACE, sealed)
