"""What a unit of work keeps when it is bound elsewhere, how its tables handle rows, and what a list survives."""

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import Row, Select, delete, select, update

from keyrack.crypto.envelope import DecryptionFailed, EncryptionContext, key_id_of
from keyrack.errors import AlreadyExists, DatabaseUnavailable, RelatedNotFound, WrongKey
from keyrack.ids import new_id
from keyrack.store.core import sqlite_writer
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.paging import After, opened, page_of, readable
from keyrack.store.core.postgresql import PostgresqlDatabase
from keyrack.store.core.references import own_parents
from keyrack.store.core.unit import TenantTable, Unit
from keyrack.store.schema import auth_secrets, component_whitelists, tenants, workspaces
from support.app import TenantInTest, World, on_postgresql_only


class Workspaces(TenantTable):
    """Workspaces without more than every table has."""

    table = workspaces


@pytest.fixture
def acme(keyrack: World) -> TenantInTest:
    return keyrack.tenants["Acme"]


def a_row(contract_id: str, number: int = 0) -> dict[str, Any]:
    return {
        "id": f"{number:024x}",
        "contract_id": contract_id,
        "name": f"W{number}",
        "type": "full",
        "attributes": {"n": number},
    }


async def test_a_unit_bound_elsewhere_is_the_same_transaction(keyrack: World, acme: TenantInTest) -> None:
    async with keyrack.store.unit(acme.id) as unit:
        for other, tenant_id in (
            (unit.of_tenant("x"), "x"),
            (unit.of_installation(), INSTALLATION),
            (unit.across_tenants(), INSTALLATION),
        ):
            assert other == Unit(unit.connection, tenant_id, unit.keyring, unit.clock)
        assert unit.keyring is keyrack.store.keyring
        assert unit.clock is keyrack.store.clock
        assert unit.tenant_id == acme.id
    async with keyrack.store.installation() as unit:
        assert (unit.tenant_id, unit.keyring, unit.clock) == (INSTALLATION, keyrack.store.keyring, keyrack.store.clock)


async def test_a_value_is_sealed_for_its_place_as_compact_json(keyrack: World, acme: TenantInTest) -> None:
    place = EncryptionContext(acme.id, "auth_secrets", "row", "column")
    async with keyrack.store.unit(acme.id) as unit:
        for value in ({"a": [1, None], "é": "x" * 70_000}, "text", None):
            sealed = await unit.seal(auth_secrets, "row", "column", value)
            clear = await unit.keyring.open(unit.connection, place, sealed)
            assert clear == json.dumps(value, separators=(",", ":")).encode()
            assert await unit.open(auth_secrets, "row", "column", sealed) == value
            for row, column in (("other", "column"), ("row", "other")):
                with pytest.raises(DecryptionFailed):
                    await unit.open(auth_secrets, row, column, sealed)
            with pytest.raises(WrongKey):
                await unit.of_installation().open(auth_secrets, "row", "column", sealed)


async def test_a_table_reads_and_changes_its_tenants_rows_alone(keyrack: World, acme: TenantInTest) -> None:
    other = keyrack.tenants["Globex"]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        table = Workspaces(unit)
        await table.insert(a_row(acme.contract_id, 1))
        rows = await table.all(table.select().order_by(workspaces.c.id))
        assert [(row.id, row.tenant_id) for row in rows] == [(f"{1:024x}", acme.id), (acme.workspace_id, acme.id)]
        (found,) = await table.all(table.select().where(workspaces.c.id == f"{1:024x}"))
        assert (found.name, found.attributes) == ("W1", {"n": 1})
        assert await table.all(table.select().where(workspaces.c.id == other.workspace_id)) == []
        assert await table.value(table.select(workspaces.c.name).where(workspaces.c.id == f"{1:024x}")) == "W1"
        assert await table.value(table.select().where(workspaces.c.id == "none")) is None
        assert await table.set_columns(acme.workspace_id, {"name": "N"}) == 1
        assert await table.set_columns(other.workspace_id, {"name": "N"}) == 0
        await table.lock_to_change(acme.workspace_id)
        await table.lock_to_delete(acme.workspace_id)
        assert (await unit.connection.execute(delete(workspaces).where(table.mine))).rowcount == 2
    async with keyrack.store.unit(other.id) as unit:
        rows = await Workspaces(unit).all(select(workspaces))
        names = {row.id: row.name for row in rows}
        assert names[other.workspace_id] == "Globex workspace"
        assert acme.workspace_id not in names
        assert "N" not in names.values()


async def test_a_row_that_clashes_or_has_no_parent_leaves_the_transaction_as_it_was(
    keyrack: World, acme: TenantInTest
) -> None:
    other = keyrack.tenants["Globex"]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        table = Workspaces(unit)
        await table.insert(a_row(acme.contract_id, 1))
        with pytest.raises(AlreadyExists):
            await table.insert(a_row(acme.contract_id, 1))
        for contract_id in (other.contract_id, new_id()):
            with pytest.raises(RelatedNotFound, match="has just been deleted"):
                await table.insert(a_row(contract_id, 2))
        await table.insert(a_row(acme.contract_id, 3))
    async with keyrack.store.unit(acme.id) as unit:
        assert len(await Workspaces(unit).all(Workspaces(unit).select())) == 3


def test_parents_are_asked_for_where_a_row_names_them_and_may_be_shared_where_that_is_said() -> None:
    (said,) = own_parents(workspaces, ["tenant_id", "contract_id"])
    text = " ".join(str(said).split())
    assert "contracts.id = :contract_id" in text
    assert "(contracts.tenant_id = :tenant_id OR contracts.tenant_id = :tenant_id_1)" in text
    assert own_parents(workspaces, ["tenant_id"]) == []
    asked = own_parents(component_whitelists, ["tenant_id", "contract_id", "component_id"])
    assert ["contracts.id" in str(each) for each in asked] == [True]
    named = ["tenant_id", "workspace_id", "user_id", "auth_client_id"]
    tables = [str(each).partition("FROM ")[2].split()[0] for each in own_parents(auth_secrets, named)]
    assert tables == ["auth_clients", "users", "workspaces"]
    assert own_parents(tenants, ["tenant_id", "id"]) == []


async def a_list_of_five(
    table: Workspaces, contract_id: str, *, in_parts: bool
) -> tuple["Select[Any]", "list[Select[Any]] | None"]:
    """Add five workspaces; return the query of them by id, and its parts if it is to have some."""
    for number in range(5):
        await table.insert(a_row(contract_id, number))
    border, end, keys = f"{2:024x}", f"{100:024x}", table.select(workspaces.c.id)
    parts = [keys.where(workspaces.c.id >= border, workspaces.c.id < end), keys.where(workspaces.c.id < border)]
    return table.select().where(workspaces.c.id < end).order_by(workspaces.c.id), parts if in_parts else None


@pytest.mark.parametrize(
    ("limit", "offset", "numbers", "total"),
    [(None, 0, [0, 1, 2, 3, 4], 5), (2, 0, [0, 1], 5), (2, 2, [2, 3], 5), (2, 4, [4], 5), (2, 6, [], 5),
     (5, 0, [0, 1, 2, 3, 4], 5), (6, 0, [0, 1, 2, 3, 4], 5), (3, 3, [3, 4], 5)],
)  # fmt: skip
@pytest.mark.parametrize("in_parts", [False, True])
async def test_a_page_has_its_rows_and_the_number_of_all(
    keyrack: World, acme: TenantInTest, limit: int | None, offset: int, numbers: list[int], total: int, in_parts: bool
) -> None:
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        table = Workspaces(unit)
        query, parts = await a_list_of_five(table, acme.contract_id, in_parts=in_parts)
        rows, found = await page_of(unit.connection, query, workspaces.c.id, parts=parts, limit=limit, offset=offset)
        assert [row.attributes["n"] for row in rows] == numbers
        assert found == total


@pytest.mark.parametrize("in_parts", [False, True])
async def test_a_list_is_read_from_end_to_end_in_stretches(
    keyrack: World, acme: TenantInTest, *, in_parts: bool
) -> None:
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        table = Workspaces(unit)
        query, parts = await a_list_of_five(table, acme.contract_id, in_parts=in_parts)
        read, after = list[list[int]](), After()
        for _ in range(4):
            rows, found = await page_of(unit.connection, query, workspaces.c.id, parts=parts, limit=2, offset=after)
            assert found == len(rows), "nothing is counted"
            read.append([row.attributes["n"] for row in rows])
            after = After(rows[-1].id) if rows else after
            if len(read) == 1:  # what has been read goes, and shifts nothing
                await unit.connection.execute(delete(workspaces).where(workspaces.c.id == rows[0].id))
        assert read == [[0, 1], [2, 3], [4], []]


async def test_an_empty_list_has_no_rows(keyrack: World, acme: TenantInTest) -> None:
    async with keyrack.store.unit(acme.id) as unit:
        table = Workspaces(unit)
        query = table.select().where(workspaces.c.id == "none").order_by(workspaces.c.id)
        for limit, offset in ((10, 0), (None, 0), (10, 10)):
            found, total = await page_of(unit.connection, query, workspaces.c.id, limit=limit, offset=offset)
            assert (list(found), total) == ([], 0)


async def test_a_damaged_value_costs_itself_and_not_the_list(keyrack: World, acme: TenantInTest) -> None:
    async with keyrack.store.unit(acme.id) as unit:
        rows = (await Workspaces(unit).all(select(workspaces).order_by(workspaces.c.id)))[:2]
    faults: dict[str, Exception] = {rows[0].id: DecryptionFailed(), rows[1].id: WrongKey()}

    async def read(row: "Row[Any]") -> str:
        if row.id in faults:
            raise faults[row.id]
        return f"whole {row.id}"

    assert await readable(rows, read, lambda row: f"damaged {row.id}") == [f"damaged {row.id}" for row in rows]
    faults = {rows[1].id: ValueError()}
    expected = [f"whole {rows[0].id}", f"damaged {rows[1].id}"]
    assert await readable(rows, read, lambda row: f"damaged {row.id}") == expected
    with pytest.raises(ValueError, match=r"^$"):
        await opened(rows, read)
    faults = {rows[1].id: KeyError()}
    with pytest.raises(KeyError):
        await readable(rows, read, lambda row: row.id)
    faults = {}
    assert await opened(rows, read) == [f"whole {row.id}" for row in rows]


async def test_keys_that_were_never_needed_or_are_forgotten_are_read_again(keyrack: World, acme: TenantInTest) -> None:
    keyring, place = keyrack.store.keyring, EncryptionContext(acme.id, "t", "r", "c")
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        sealed = await keyring.seal(unit.connection, place, b"canary")
        assert keyring.open_now(place, sealed) == b"canary"
        other = EncryptionContext(keyrack.tenants["Globex"].id, "t", "r", "c")
        kept = await keyring.seal(unit.connection, other, b"other")
        keyring.forget("unknown")
        keyring.forget(acme.id)
        assert keyring.open_now(other, kept) == b"other"
        with pytest.raises(KeyError):
            keyring.open_now(place, sealed)
        with pytest.raises(KeyError):
            keyring.seal_now(place, b"x")
        await keyring.prepare(unit.connection, acme.id)
        assert key_id_of(keyring.seal_now(place, b"x")) == key_id_of(sealed)
        assert await keyring.open(unit.connection, place, sealed) == b"canary"
        await keyring.destroy_keys(unit.connection, acme.id)
        with pytest.raises(KeyError):
            keyring.seal_now(place, b"x")
        with pytest.raises(WrongKey):
            await keyring.prepare(unit.connection, acme.id)


async def test_a_transaction_that_fails_changes_nothing_and_leaves_no_connection(
    keyrack: World, acme: TenantInTest
) -> None:
    async def fail() -> None:
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await unit.connection.execute(update(workspaces).values(name="Changed"))
            assert keyrack.store.connections()[0] == 1
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    await keyrack.store.ping()
    used, most = keyrack.store.connections()
    assert (used, most) == (0, keyrack.settings.database_pool_size)
    async with keyrack.store.unit(acme.id) as unit:
        names = await Workspaces(unit).all(Workspaces(unit).select(workspaces.c.name))
    assert [row.name for row in names] == ["Acme workspace"]


@on_postgresql_only  # on SQLite a unit that reads has no connection of its own
async def test_a_unit_holds_a_place_and_one_inside_it_none(keyrack_on_each: World) -> None:
    store = keyrack_on_each.store
    assert isinstance(store._database, PostgresqlDatabase)
    places = store._database._places
    assert places.idle
    async with store.unit(keyrack_on_each.tenants["Acme"].id):
        assert places.held == 1
        async with store.unit(keyrack_on_each.tenants["Acme"].id), store.installation():
            assert places.held == 1
            assert store.connections()[0] == 3
        assert places.held == 1
    assert places.idle
    assert store.connections()[0] == 0


async def test_who_gets_no_place_in_time_is_told_that_the_database_cannot_be_used(
    keyrack: World, acme: TenantInTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "BUSY_MS", 50)

    async def write() -> None:
        async with keyrack.store.unit(acme.id, writes=True):
            pass

    async with keyrack.store.unit(acme.id, writes=True):
        with pytest.raises(DatabaseUnavailable):
            await asyncio.create_task(write())
    await write()
