"""Queries that are made once: the same rows with and without SQLAlchemy, and of one tenant alone (decision 17)."""

from typing import Any

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from keyrack.errors import DatabaseUnavailable
from keyrack.store.core.statements import Query, driver_of
from keyrack.store.core.unit import TenantQuery, TenantTable
from keyrack.store.schema import auth_secrets, users
from support.app import World

CREATED = TenantQuery(
    users,
    select(users.c.id, users.c.tenant_roles, users.c.registered).where(
        users.c.id == bindparam("id"), users.c.registered <= bindparam("now")
    ),
)


class Users(TenantTable):
    """Users without more than every table has."""

    table = users


@pytest.fixture
def through_sqlalchemy(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    gathered, execute = list[str](), AsyncConnection.execute

    async def noted(connection: AsyncConnection, statement: Any, *more: Any) -> Any:
        gathered.append(str(statement))
        return await execute(connection, statement, *more)

    monkeypatch.setattr(AsyncConnection, "execute", noted)
    return gathered


@pytest.mark.parametrize("writes", [False, True])
async def test_a_query_reads_the_same_however_it_is_run(
    keyrack_on_each: World, through_sqlalchemy: list[str], writes: bool
) -> None:
    acme, globex, now = (
        keyrack_on_each.tenants["Acme"],
        keyrack_on_each.tenants["Globex"],
        keyrack_on_each.store.clock(),
    )
    async with keyrack_on_each.store.unit(acme.id, writes=writes) as unit:
        through_sqlalchemy.clear()
        row = await Users(unit).ask_one(CREATED, id=acme.admin.id, now=now)
        is_raw = unit.connection.dialect.name == "postgresql" and not writes
        assert through_sqlalchemy == [] if is_raw else len(through_sqlalchemy) == 1
        assert row is not None
        assert (row.id, row.tenant_roles) == (acme.admin.id, ["tenant-admin"])
        expected = (
            await unit.connection.execute(select(users.c.registered).where(users.c.id == acme.admin.id))
        ).scalar()
        assert row.registered == expected
        assert await Users(unit).ask(CREATED, id="none", now=now) == []
        assert await Users(unit).ask_one(CREATED, id=acme.admin.id, now=expected.replace(year=2000)) is None
    async with keyrack_on_each.store.unit(globex.id, writes=writes) as unit:
        assert await Users(unit).ask_one(CREATED, id=acme.admin.id, now=now) is None, "another tenant's"


async def test_a_query_of_a_transaction_sees_what_that_has_written(keyrack_on_each: World) -> None:
    acme, now = keyrack_on_each.tenants["Acme"], keyrack_on_each.store.clock()
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        await Users(unit).run(Users(unit).update().where(users.c.id == acme.admin.id).values(tenant_roles=[]))
        row = await Users(unit).ask_one(CREATED, id=acme.admin.id, now=now)
        assert row is not None
        assert row.tenant_roles == []


async def test_a_connection_that_the_server_closes_meanwhile_is_an_outage(keyrack_on_each: World) -> None:
    acme, store = keyrack_on_each.tenants["Acme"], keyrack_on_each.store
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = pg_backend_pid() AND $1::VARCHAR = $1"
    ended = Query(select(auth_secrets.c.id).where(auth_secrets.c.id == bindparam("id")))
    async with store.unit(acme.id) as unit:
        if driver_of(unit.connection) is None:
            pytest.skip("SQLite has no connection that could be closed")
    object.__setattr__(ended._compiled, "text", end)
    with pytest.raises(DatabaseUnavailable):
        async with store.unit(acme.id) as unit:
            await ended.rows(unit.connection, id="x")
    async with store.unit(acme.id) as unit:
        assert await Users(unit).ask(CREATED, id="none", now=store.clock()) == [], "another connection"


@pytest.mark.parametrize("writes", [False, True])
async def test_the_servers_farewell_is_an_outage(keyrack_on_each: World, writes: bool) -> None:
    async with keyrack_on_each.store.installation() as unit:
        if unit.connection.dialect.name == "sqlite":
            pytest.skip("SQLite has no server")
    with pytest.raises(DatabaseUnavailable):
        async with keyrack_on_each.store.installation(writes=writes) as unit:
            await unit.connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
    async with keyrack_on_each.store.installation(writes=writes) as unit:
        assert (await unit.connection.execute(text("SELECT 1"))).scalar() == 1


async def test_a_snapshot_sees_all_as_of_one_moment_and_opens_what_it_sees(keyrack_on_each: World) -> None:
    acme, store = keyrack_on_each.tenants["Acme"], keyrack_on_each.store
    query = select(users.c.first_name).where(users.c.id == acme.admin.id)
    async with store.unit(acme.id, writes=True) as unit:
        sealed = await unit.seal(users, "row", "column", {"a": 1})
    async with store.snapshot() as unit:
        before = (await unit.connection.execute(query)).scalar()
        async with store.unit(acme.id, writes=True) as other:
            await Users(other).run(Users(other).update().where(users.c.id == acme.admin.id).values(first_name="New"))
        assert (await unit.connection.execute(query)).scalar() == before != "New"
        assert await unit.of_tenant(acme.id).open(users, "row", "column", sealed) == {"a": 1}
        assert unit.tenant_id == ""
        assert unit.clock is store.clock
    async with store.unit(acme.id) as unit:
        assert (await unit.connection.execute(query)).scalar() == "New"
