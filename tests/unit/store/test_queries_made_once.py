"""Queries that are made once: the same rows with and without SQLAlchemy, and of one tenant alone (decision 17)."""

import asyncio
import contextlib
from typing import Any

import asyncpg
import pytest
from sqlalchemy import bindparam, delete, select, text, update

from keyrack.errors import DatabaseUnavailable
from keyrack.store.core.postgresql import PostgresqlDatabase
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TenantChange, TenantQuery, TenantTable
from keyrack.store.schema import users
from support.app import World, on_postgresql_only

CREATED = TenantQuery(
    users,
    select(users.c.id, users.c.tenant_roles, users.c.registered).where(
        users.c.id == bindparam("id"), users.c.registered <= bindparam("now")
    ),
)


class Users(TenantTable):
    """Users without more than every table has."""

    table = users


@pytest.mark.parametrize("writes", [False, True])
async def test_a_query_is_compiled_once_and_reads_what_one_built_for_the_occasion_reads(
    keyrack_on_each: World, writes: bool
) -> None:
    acme, store = keyrack_on_each.tenants["Acme"], keyrack_on_each.store
    async with store.unit(acme.id, writes=writes) as unit:
        row = await Users(unit).ask_one(CREATED, id=acme.admin.id, now=store.clock())
        assert row is not None
        assert (row.id, row.tenant_roles) == (acme.admin.id, ["tenant-admin"])
        assert CREATED.compiled(unit.connection.dialect) is CREATED.compiled(unit.connection.dialect)
        built = select(users.c.registered).where(users.c.id == acme.admin.id)
        assert row.registered == (await unit.connection.execute(built)).scalar()
    async with store.unit(keyrack_on_each.tenants["Globex"].id, writes=writes) as unit:
        assert await Users(unit).ask(CREATED, id=acme.admin.id, now=store.clock()) == []


async def test_statements_of_one_shape_are_compiled_once_and_keep_their_own_values(keyrack_on_each: World) -> None:
    acme, globex = (keyrack_on_each.tenants[name].admin.id for name in ("Acme", "Globex"))
    async with keyrack_on_each.store.installation() as unit:
        dialect = unit.connection.dialect
        for wanted in ([acme], [globex], [acme, globex], []):
            query = select(users.c.id).where(users.c.id.in_(wanted)).order_by(users.c.id)
            assert (await unit.connection.execute(query)).column() == sorted(wanted)
        made = [dialect.shaped(select(users.c.id).where(users.c.id == each), {}) for each in (acme, globex)]
        assert made[0][0] is made[1][0]
        assert [list(values.values()) for _, values in made] == [[acme], [globex]]
        assert made[0][0].constants == {}, "nobody's values are kept"


SOME = Query(select(users.c.id).where(users.c.id.in_(bindparam("ids", expanding=True)), users.c.last_name != "none"))


async def test_a_query_made_once_takes_as_many_values_as_there_are(keyrack_on_each: World) -> None:
    ids = [keyrack_on_each.tenants[name].admin.id for name in ("Acme", "Globex")]
    async with keyrack_on_each.store.installation() as unit:
        for wanted in ([], ids[:1], ids):
            assert sorted(row.id for row in await SOME.rows(unit.connection, ids=wanted)) == sorted(wanted)


RENAMED = TenantChange(
    users,
    update(users).where(users.c.id == bindparam("user")).values(first_name=bindparam("name")).returning(users.c.id),
)
REMOVED = TenantChange(users, delete(users).where(users.c.id == bindparam("user")))


async def test_a_change_made_once_touches_rows_of_one_tenant_alone(keyrack_on_each: World) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        assert await Users(unit).make_one(RENAMED, user=globex.admin.id, name="Stolen") is None
        assert await Users(unit).make(REMOVED, user=globex.admin.id) == 0
        row = await Users(unit).make_one(RENAMED, user=acme.admin.id, name="New")
        assert row is not None
        assert row.id == acme.admin.id
        assert await Users(unit).make(REMOVED, user=acme.guest.id) == 1
    async with keyrack_on_each.store.installation() as unit:
        names = await unit.connection.execute(
            select(users.c.first_name).where(users.c.id.in_([acme.admin.id, globex.admin.id, acme.guest.id]))
        )
        assert "Stolen" not in names.column()
        assert len(names.column()) == 2


async def test_columns_of_a_row_are_set_by_a_change_for_each_set_of_them_in_the_tenant_alone(
    keyrack_on_each: World,
) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    query = select(users.c.first_name, users.c.last_name, users.c.tenant_roles).where(users.c.id == acme.admin.id)
    async with keyrack_on_each.store.unit(globex.id, writes=True) as unit:
        assert await Users(unit).set_columns(acme.admin.id, {"first_name": "Stolen"}) == 0
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        assert await Users(unit).set_columns(acme.admin.id, {"first_name": "New", "tenant_roles": []}) == 1
        assert await Users(unit).set_columns(acme.admin.id, {"last_name": "Newer"}) == 1
        with pytest.raises(TypeError, match="tenant_id"):
            await Users(unit).set_columns(acme.admin.id, {"tenant_id": globex.id})
        assert tuple((await unit.connection.execute(query)).one()) == ("New", "Newer", [])


async def test_a_query_of_a_transaction_sees_what_that_has_written(keyrack_on_each: World) -> None:
    acme, now = keyrack_on_each.tenants["Acme"], keyrack_on_each.store.clock()
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        await Users(unit).set_columns(acme.admin.id, {"tenant_roles": []})
        row = await Users(unit).ask_one(CREATED, id=acme.admin.id, now=now)
        assert row is not None
        assert row.tenant_roles == []


def backends(world: World) -> list[Any]:
    """Return the idle connections of a store on PostgreSQL; SQLite has none that could be closed."""
    database = world.store._database
    assert isinstance(database, PostgresqlDatabase)
    return database._idle


@on_postgresql_only
@pytest.mark.parametrize("writes", [False, True])
async def test_a_unit_whose_connection_was_ended_while_nobody_used_it_goes_on_with_another(
    keyrack_on_each: World, writes: bool
) -> None:
    acme, store, idle = keyrack_on_each.tenants["Acme"], keyrack_on_each.store, backends(keyrack_on_each)
    async with store.installation(writes=True) as ours:  # another connection, so that the ended one has not been read
        async with store.unit(acme.id):
            pass
        (victim,) = idle
        ended = "SELECT pg_terminate_backend({}, 10000)"
        await ours.connection.execute(text(ended.format(victim.get_server_pid())))
        async with store.unit(acme.id, writes=writes) as unit:
            assert await Users(unit).ask(CREATED, id="none", now=store.clock()) == []
    assert victim.is_closed()


@on_postgresql_only
async def test_what_is_in_a_transaction_is_not_asked_again(keyrack_on_each: World) -> None:
    acme, store = keyrack_on_each.tenants["Acme"], keyrack_on_each.store
    backends(keyrack_on_each)

    async def loses_its_connection() -> None:
        async with store.unit(acme.id, writes=True) as unit, store.installation(writes=True) as other:
            pid = (await unit.connection.execute(text("SELECT pg_backend_pid()"))).scalar()
            await other.connection.execute(text(f"SELECT pg_terminate_backend({pid}, 10000)"))
            await Users(unit).ask(CREATED, id="none", now=store.clock())

    with pytest.raises(DatabaseUnavailable):
        await loses_its_connection()


@on_postgresql_only
async def test_who_is_cancelled_in_the_middle_of_a_statement_leaves_no_answer_to_the_next(
    keyrack_on_each: World,
) -> None:
    store, idle = keyrack_on_each.store, backends(keyrack_on_each)

    async def slow() -> None:
        async with store.installation() as unit:
            await unit.connection.execute(text("SELECT pg_sleep(30)"))

    task = asyncio.create_task(slow())
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert idle == []
    await store.ping()


@on_postgresql_only
async def test_a_unit_that_goes_on_after_a_failed_statement_says_that_nothing_is_stored(
    keyrack_on_each: World,
) -> None:
    store = keyrack_on_each.store
    backends(keyrack_on_each)

    async def goes_on() -> None:
        async with store.installation(writes=True) as unit:
            with contextlib.suppress(asyncpg.PostgresError):
                await unit.connection.execute(text("SELECT 1/0"))

    with pytest.raises(RuntimeError, match="nothing of it is stored"):
        await goes_on()


@on_postgresql_only
@pytest.mark.parametrize("writes", [False, True])
async def test_the_servers_farewell_is_an_outage(keyrack_on_each: World, writes: bool) -> None:
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
            await Users(other).set_columns(acme.admin.id, {"first_name": "New"})
        assert (await unit.connection.execute(query)).scalar() == before != "New"
        assert await unit.of_tenant(acme.id).open(users, "row", "column", sealed) == {"a": 1}
        assert unit.tenant_id == ""
        assert unit.clock is store.clock
    async with store.unit(acme.id) as unit:
        assert (await unit.connection.execute(query)).scalar() == "New"
