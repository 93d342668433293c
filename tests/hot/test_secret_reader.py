"""The second door to tenant data: it binds the tenant as the first does, and survives what happens to connections."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import text, update

from keyrack.errors import WrongKey
from keyrack.model.secrets import AuthSecret
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.connecting import Connector
from keyrack.store.core.dsn import PostgresTarget
from keyrack.store.schema import auth_secrets
from keyrack.store.secret_reader import (
    PostgresSecretReader,
    SecretLocation,
    SecretReader,
    SqliteSecretReader,
    secret_reader,
)
from support.app import World, on_postgresql_only
from support.grants import add_auth_client, add_secret, change

NOBODY_LISTENS = "http://127.0.0.1:8/token"


@pytest.fixture
async def points(keyrack_on_each: World) -> AsyncIterator[SecretReader]:
    made = secret_reader(keyrack_on_each.settings, keyrack_on_each.store.keyring)
    made.open()
    yield made
    await made.close()


async def secret_of(world: World, tenant: str, **values: Any) -> AuthSecret:
    owner = world.tenants[tenant]
    client = await add_auth_client(world.store, owner.id, NOBODY_LISTENS)
    secret = await add_secret(world.store, owner, client, {"access_token": f"of {tenant}", "refresh_token": "rt"})
    return await change(world.store, secret, **values) if values else secret


def point_of(secret: AuthSecret) -> SecretLocation:
    return SecretLocation(secret.tenant_id, secret.workspace_id, secret.id)


async def test_it_reads_what_a_unit_of_work_reads(keyrack_on_each: World, points: SecretReader) -> None:
    plain = await secret_of(keyrack_on_each, "Acme")
    async with keyrack_on_each.store.unit(plain.tenant_id) as unit:
        assert await points.find(point_of(plain)) == await AuthSecrets(unit).find(plain.id)


async def test_no_tenant_reads_another_tenants_secret(keyrack_on_each: World, points: SecretReader) -> None:
    acme, globex = [await secret_of(keyrack_on_each, name) for name in ("Acme", "Globex")]
    wanted = [
        SecretLocation(*point)
        for point in itertools.product(
            (acme.tenant_id, globex.tenant_id), (acme.workspace_id, globex.workspace_id), (acme.id, globex.id)
        )
    ]
    found = await asyncio.gather(*(points.find(point) for point in wanted))  # all in one query
    mine = {point: secret for point, secret in zip(wanted, found, strict=True) if secret is not None}
    assert {point: secret.credentials["access_token"] for point, secret in mine.items()} == {
        point_of(acme): "of Acme",
        point_of(globex): "of Globex",
    }


async def test_a_row_moved_to_another_tenant_cannot_be_opened_there(
    keyrack_on_each: World, points: SecretReader
) -> None:
    acme, globex = [await secret_of(keyrack_on_each, name) for name in ("Acme", "Globex")]
    moved = {"tenant_id": globex.tenant_id, "workspace_id": globex.workspace_id}
    async with keyrack_on_each.store.installation(writes=True) as unit:
        await unit.connection.execute(update(auth_secrets).where(auth_secrets.c.id == acme.id).values(moved))
    with pytest.raises(WrongKey):
        await points.find(SecretLocation(globex.tenant_id, globex.workspace_id, acme.id))


async def test_nothing_is_read_before_the_data_key_is_known_or_after_closing(keyrack_on_each: World) -> None:
    secret = await secret_of(keyrack_on_each, "Acme")
    keyrack_on_each.store.keyring._by_id.clear()
    points = secret_reader(keyrack_on_each.settings, keyrack_on_each.store.keyring)
    points.open()
    assert await points.find(point_of(secret)) is None
    async with keyrack_on_each.store.unit(secret.tenant_id) as unit:
        await AuthSecrets(unit).find(secret.id)
    assert await points.find(point_of(secret)) is not None
    await points.close()
    assert await points.find(point_of(secret)) is None


@on_postgresql_only  # a file has no connections to lose
async def test_lost_connections_are_replaced(keyrack_on_each: World, points: SecretReader) -> None:
    assert isinstance(points, PostgresSecretReader)
    secret = await secret_of(keyrack_on_each, "Acme")
    assert await points.find(point_of(secret)) is not None
    async with keyrack_on_each.store.installation() as unit:
        (pid,) = [connection.get_server_pid() for connection, _ in points._idle]
        ended = await unit.connection.execute(text("SELECT count(pg_terminate_backend(:pid))"), {"pid": pid})
        assert ended.scalar() == 1
    await points.find(point_of(secret))  # may notice
    assert await points.find(point_of(secret)) is not None


async def test_an_unreachable_database_is_left_alone_for_a_while(keyrack_on_each: World) -> None:
    tries, now = 0, 0.0

    class Refused(Connector):
        async def __call__(self, **_: object) -> Any:
            nonlocal tries
            tries += 1
            raise ConnectionRefusedError

    refused = Refused(PostgresTarget("postgresql://nobody@127.0.0.1/nothing", {}))
    points = PostgresSecretReader(refused, keyrack_on_each.store.keyring, lambda: now)
    points.open()
    point = SecretLocation("0" * 24, "0" * 24, "0" * 24)
    assert [await points.find(point) for _ in range(3)] == [None] * 3
    assert tries == 1
    now = 1.5
    assert await points.find(point) is None
    assert tries == 2
    await points.close()


async def test_the_sqlite_connection_cannot_write_and_waits_for_nobody(
    keyrack: World,
) -> None:
    points = secret_reader(keyrack.settings, keyrack.store.keyring)
    assert isinstance(points, SqliteSecretReader)
    points.open()
    secret = await secret_of(keyrack, "Acme")
    async with keyrack.store.unit(secret.tenant_id, writes=True) as unit:
        await unit.connection.execute(update(auth_secrets).values(name="Changed"))
        found = await points.find(point_of(secret))  # while somebody is writing
        assert found is not None
        assert found.name == "Connection"
    assert points._asked("UPDATE auth_secrets SET name = 'Lost'", ()) == []
    found = await points.find(point_of(secret))
    assert found is not None
    assert found.name == "Changed"
    await points.close()


async def test_the_version_of_a_sqlite_file_changes_with_every_commit_and_not_otherwise(keyrack: World) -> None:
    points = secret_reader(keyrack.settings, keyrack.store.keyring)
    points.open()
    versions = [points.version(), points.version()]
    async with keyrack.store.unit("", writes=True) as unit:
        await unit.connection.execute(text("UPDATE roles SET position = position + 1"))
        versions.append(points.version())
    versions.append(points.version())
    assert versions[0] == versions[1] == versions[2] != versions[3]
    await points.close()
