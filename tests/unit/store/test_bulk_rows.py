"""Rows of an import: new ones are made, different ones changed, and whatever is as wanted stays untouched."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Row, select, text

from keyrack.ids import new_id
from keyrack.store.core.bulk import ORDER, Bulk, Complete, RowResult, RowToWrite
from keyrack.store.core.connection import Connection
from keyrack.store.core.unit import Unit
from keyrack.store.schema import auth_secrets, oauth_clients, tenants, workspaces
from keyrack.store.schema.foundation import data_keys, workspace_members
from support.app import World
from support.statements_seen import statements_seen

CREATED, UPDATED, UNCHANGED = RowResult.created, RowResult.updated, RowResult.unchanged
THEN, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 2, tzinfo=UTC)


@pytest.fixture
async def unit(keyrack_on_each: World) -> AsyncIterator[Unit]:
    async with keyrack_on_each.store.installation(writes=True) as opened:
        yield opened


@pytest.fixture
def acme(keyrack_on_each: World) -> str:
    return keyrack_on_each.tenants["Acme"].id


def a_client(tenant_id: str, **differs: Any) -> RowToWrite:
    wanted = RowToWrite(
        oauth_clients,
        tenant_id,
        {"id": new_id()},
        given={"component_id": "c" * 24, "client_auth": "post"},
        first={"created_at": THEN, "updated_at": THEN},
        sealed={"sealed_client_id": "me", "sealed_client_secret": "canary"},
        touched={"updated_at": NOW},
    )
    return replace(wanted, **differs)


async def stored(unit: Unit, wanted: RowToWrite) -> Mapping[str, Any]:
    row = (await unit.connection.execute(select(wanted.table).where(wanted.table.c.id == wanted.id))).one()
    return dict(row._asdict())


async def secret_of(unit: Unit, wanted: RowToWrite) -> Any:
    row = await stored(unit, wanted)
    name = "sealed_client_secret"
    return await unit.of_tenant(row["tenant_id"]).open(oauth_clients, wanted.id, name, row[name])


@contextmanager
def locking() -> Iterator[list[str]]:
    """Collect the queries that lock rows."""
    found = list[str]()

    def seen(_connection: Connection, statement: str, _: Sequence[Any]) -> None:
        if "FOR UPDATE" in statement:
            found.append(statement)

    with statements_seen(seen):
        yield found


async def test_a_new_row_is_made_as_its_tenants_and_its_secrets_are_sealed(unit: Unit, acme: str) -> None:
    wanted = a_client(acme)
    assert await Bulk(unit).put(oauth_clients, [wanted]) == [CREATED]
    row = await stored(unit, wanted)
    assert (row["tenant_id"], row["component_id"], row["client_auth"]) == (acme, "c" * 24, "post")
    assert row["created_at"] == row["updated_at"] == THEN, "what is touched is of changes only"
    assert b"canary" not in row["sealed_client_secret"]
    assert await secret_of(unit, wanted) == "canary"


async def test_what_is_as_wanted_is_left_alone(unit: Unit, acme: str) -> None:
    wanted = a_client(acme)
    await Bulk(unit).put(oauth_clients, [wanted])
    before = await stored(unit, wanted)
    again = replace(wanted, first={"created_at": NOW})
    assert await Bulk(unit).put(oauth_clients, [again]) == [UNCHANGED]
    assert await stored(unit, wanted) == before


async def test_what_differs_is_changed_and_nothing_beside_it(unit: Unit, acme: str) -> None:
    wanted, other = a_client(acme), a_client(acme, given={"component_id": "d" * 24, "client_auth": None})
    assert await Bulk(unit).put(oauth_clients, [wanted, other]) == [CREATED, CREATED]
    before = await stored(unit, other)
    changed = replace(wanted, given={"component_id": "c" * 24, "client_auth": "basic"})
    newer = a_client(acme, given={"component_id": "e" * 24})
    assert await Bulk(unit).put(oauth_clients, [other, changed, newer]) == [UNCHANGED, UPDATED, CREATED]
    row = await stored(unit, wanted)
    assert (row["client_auth"], row["created_at"], row["updated_at"]) == ("basic", THEN, NOW)
    assert await secret_of(unit, wanted) == "canary"
    assert await stored(unit, other) == before


async def test_a_secret_that_differs_is_sealed_anew_with_what_depends_on_it(unit: Unit, acme: str) -> None:
    wanted = a_client(acme)
    await Bulk(unit).put(oauth_clients, [wanted])
    before, seen = await stored(unit, wanted), list[Mapping[str, Any]]()

    def resealed(clear: Mapping[str, Any]) -> Mapping[str, Any]:
        seen.append(clear)
        return {"last_used_at": NOW, "client_auth": "none"}

    changed = replace(
        wanted,
        given={"client_auth": "basic"},
        sealed={"sealed_client_id": "me", "sealed_client_secret": "other"},
        resealed=resealed,
    )
    assert await Bulk(unit).put(oauth_clients, [changed]) == [UPDATED]
    row = await stored(unit, wanted)
    assert await secret_of(unit, wanted) == "other"
    assert row["sealed_client_id"] == before["sealed_client_id"], "sealing again would make it another text"
    assert row["last_used_at"] == NOW
    assert row["client_auth"] == "basic", "what is given counts before what follows from a secret"
    assert seen == [{"sealed_client_id": "me", "sealed_client_secret": "canary"}]


async def test_a_stored_row_may_be_looked_at_first(unit: Unit, acme: str) -> None:
    wanted = a_client(acme)
    await Bulk(unit).put(oauth_clients, [wanted])

    def refine(row: "Row[Any]", each: RowToWrite) -> RowToWrite:
        assert row.id == each.id
        return replace(each, given={"client_auth": f"{row.client_auth}-2"})

    fresh = a_client(acme, given={"component_id": "f" * 24}, refine=refine)
    with locking() as locked:
        assert await Bulk(unit).put(oauth_clients, [wanted]) == [UNCHANGED]
        assert locked == []
        assert await Bulk(unit).put(oauth_clients, [replace(wanted, refine=refine), fresh]) == [UPDATED, CREATED]
        assert len(locked) == (1 if unit.connection.dialect.name == "postgresql" else 0)
    assert (await stored(unit, wanted))["client_auth"] == "post-2"


async def test_another_tenants_row_of_the_same_id_is_not_changed(unit: Unit, acme: str, keyrack_on_each: World) -> None:
    globex = keyrack_on_each.tenants["Globex"].id
    place = keyrack_on_each.tenants["Globex"].workspace_id
    name = (await stored(unit, RowToWrite(workspaces, globex, {"id": place})))["name"]
    wanted = RowToWrite(workspaces, acme, {"id": place}, given={"name": "Taken"})
    await Bulk(unit).put(workspaces, [wanted])
    assert (await stored(unit, wanted))["name"] == name


async def test_nothing_wanted_is_nothing_done(unit: Unit) -> None:
    assert await Bulk(unit).put(oauth_clients, []) == []


async def test_many_rows_are_found_and_taken_out_in_several_steps(unit: Unit, acme: str) -> None:
    wanted = [a_client(acme, given={"component_id": f"{number:024x}"}) for number in range(1001)]
    assert await Bulk(unit).put(oauth_clients, wanted) == [CREATED] * 1001
    ids = [each.id for each in wanted]
    for locked in (False, True):
        found = await Bulk(unit).rows(oauth_clients.c.id, ids, locked=locked)
        assert sorted(row.id for row in found) == sorted(ids)
    within = {"tenant_id": acme}
    kept = Complete(oauth_clients, within, "id", frozenset(ids[:1]))
    assert await Bulk(unit).complete(kept) is True
    assert [row.id for row in await Bulk(unit).rows(oauth_clients.c.id, ids)] == ids[:1]
    assert await Bulk(unit).complete(kept) is False
    assert [row.id for row in await Bulk(unit).rows(oauth_clients.c.id, ids)] == ids[:1]


async def test_what_is_beside_the_parent_stays_when_rows_are_completed(unit: Unit, keyrack_on_each: World) -> None:
    mine, other = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    before = await Bulk(unit).rows(workspace_members.c.workspace_id, [other.workspace_id])
    assert before
    wanted = Complete(workspace_members, {"workspace_id": mine.workspace_id}, "user_id", frozenset())
    assert await Bulk(unit).complete(wanted) is True
    assert list(await Bulk(unit).rows(workspace_members.c.workspace_id, [mine.workspace_id])) == []
    assert await Bulk(unit).rows(workspace_members.c.workspace_id, [other.workspace_id]) == before


async def test_a_small_table_is_read_as_a_whole(unit: Unit, keyrack_on_each: World) -> None:
    names = await Bulk(unit).every(tenants.c.id, tenants.c.name)
    assert {keyrack_on_each.tenants[name].id: name for name in ("Acme", "Globex")}.items() <= names.items()


async def test_an_import_can_be_alone(unit: Unit) -> None:
    await Bulk(unit).alone()
    if unit.connection.dialect.name == "postgresql":
        held = text("SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()")
        assert (await unit.connection.execute(held)).column() == [0x6B657969]


def test_each_table_comes_after_those_it_refers_to() -> None:
    assert ORDER[tenants] < ORDER[workspaces] < ORDER[auth_secrets]
    assert data_keys in ORDER
