"""A server that has lost a prepared statement, as behind a pooler that gives each transaction another connection."""

from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import Integer, column, func, insert, select, table

from keyrack.crypto.secret import Secret
from keyrack.errors import DatabaseUnavailable
from keyrack.store.core.connecting import Connector
from keyrack.store.core.connection import Connection, UnitMode
from keyrack.store.core.database_errors import outages_named
from keyrack.store.core.dsn import PostgresTarget, parse_database_url
from keyrack.store.core.postgresql import PostgresqlConnection, PostgresqlDatabase
from support.postgres import PostgresServer

MADE = table("made", column("n", Integer))
COUNT = select(func.count()).select_from(MADE)


@pytest.fixture
def database(postgres_server: PostgresServer, postgres_url: str) -> PostgresqlDatabase:
    postgres_server.sql("CREATE TABLE made (n int)", postgres_url.rpartition("/")[2])
    target = parse_database_url(Secret(postgres_url))
    assert isinstance(target, PostgresTarget)
    return PostgresqlDatabase(Connector(target), 2, 10.0)


async def count(database: PostgresqlDatabase) -> int:
    async with database.unit(UnitMode.read, "somebody") as connection:
        return int((await connection.execute(COUNT)).scalar_one())


async def forget(connection: Connection) -> None:
    """Have the server lose what was prepared on a unit's connection."""
    assert isinstance(connection, PostgresqlConnection)
    await connection._raw.execute("DEALLOCATE ALL")


async def test_a_unit_that_has_done_nothing_yet_begins_anew(database: PostgresqlDatabase) -> None:
    assert await count(database) == 0
    async with database.unit(UnitMode.write, "somebody") as connection:
        await forget(connection)
        assert (await connection.execute(COUNT)).scalar_one() == 0
        await connection.execute(insert(MADE), [{"n": 1}, {"n": 2}])
    assert await count(database) == 2
    await database.close()


async def batch_and_count(connection: Connection) -> None:
    await connection.execute(insert(MADE), [{"n": 1}, {"n": 2}])
    await connection.execute(COUNT)


async def count_in_savepoint(connection: Connection) -> None:
    async with connection.savepoint():
        await connection.execute(COUNT)


async def batch(connection: Connection) -> None:
    await connection.execute(insert(MADE), [{"n": 1}, {"n": 2}])


async def forgetful(database: PostgresqlDatabase, work: Callable[[Connection], Awaitable[None]]) -> None:
    """Do something in a unit whose server has lost what was prepared."""
    with outages_named():
        async with database.unit(UnitMode.write, "somebody") as connection:
            await forget(connection)
            await work(connection)


@pytest.mark.parametrize("work", [batch_and_count, count_in_savepoint])
async def test_what_a_unit_has_written_is_not_left_out_of_what_it_commits(
    database: PostgresqlDatabase, work: Callable[[Connection], Awaitable[None]]
) -> None:
    """It could go on with a new connection only from its beginning, which is its caller's to do."""
    assert await count(database) == 0
    with pytest.raises(DatabaseUnavailable):
        await forgetful(database, work)
    assert await count(database) == 0
    await database.close()


async def test_rows_that_are_written_together_find_it_out_as_well(database: PostgresqlDatabase) -> None:
    async with database.unit(UnitMode.write, "somebody") as connection:
        await batch(connection)
    with pytest.raises(DatabaseUnavailable):
        await forgetful(database, batch)
    async with database.unit(UnitMode.write, "somebody") as connection:
        await batch(connection)
    assert await count(database) == 4
    await database.close()
