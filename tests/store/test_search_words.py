"""Things are found by their names from being stored until being deleted, whoever writes them (decision 35)."""

import json
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import delete, text
from sqlalchemy.engine import Connection

from keyrack.store import migrations
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.contracts import ContractRows
from keyrack.store.core import engine
from keyrack.store.core.search_words import INDEXED, LONGEST, after, search_word, wanted_word, words_of
from keyrack.store.credentials import CredentialRows
from keyrack.store.flows import FlowRows
from keyrack.store.schema import credentials
from keyrack.store.search_index import SearchIndex
from keyrack.store.tenants import TenantRows
from support.app import BASE, World, settings_for, world
from support.platform import imported, platform_file
from support.search_words import expected_words, stored_words
from support.statements_seen import statements_seen
from support.tenancy.estate import build_estate

HOSTILE = "<script>alert('x')</script>\u202e\u0000 ' OR 1=1 -- %_\\ \ud800" + "y" * 10_000


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["The Shop's  account"], ["the shop's account", "shop's account", "s account", "account"]),
        (["ida@globex.example", "Ida", None, ""], ["ida@globex.example", "ida", "globex.example", "example"]),
        (["pizza-van_2"], ["pizza-van_2", "van_2", "2"]),
        (["STRASSE straße"], ["strasse strasse", "strasse"]),
        (["ﬁne \u202eZoe\u0308"], ["fine zoë", "zoë"]),
        (["--- !"], []),
        (["x" * 100], ["x" * LONGEST]),
    ],
)
def test_words_are_the_beginnings_in_a_name(texts: list[str | None], words: list[str]) -> None:
    assert words_of(texts) == words


def test_however_long_and_odd_a_name_is_its_words_are_few_and_can_be_stored() -> None:
    words = words_of([HOSTILE, " ".join(f"w{number}" for number in range(1000))])
    assert len(words) == 12
    assert all(0 < len(word) <= LONGEST for word in words)
    assert not {"\0", "\u202e", "\ud800"} & set("".join(words))
    assert wanted_word(HOSTILE) == words[0]


@pytest.mark.parametrize("word", ["a", "z", "ab\U0010ffff", "\ud7ff", "é", "\U0010ffff"])
def test_what_comes_after_a_word_is_beyond_all_that_begin_so(word: str) -> None:
    beyond = after(word)
    if beyond is None:
        assert word == "\U0010ffff"
        return
    assert word < beyond
    assert word + "\U0010ffff" * 3 < beyond
    beyond.encode()


def test_what_is_looked_for_begins_with_a_letter() -> None:
    assert wanted_word(" -Van ") == "van"
    assert wanted_word("%") == ""
    assert search_word("Ünïcode") == search_word("U\u0308NI\u0308CODE")


async def test_words_are_right_after_one_of_everything_was_made(keyrack_on_each: World) -> None:
    for name in ("Acme", "Globex"):
        await build_estate(keyrack_on_each, name)
    hook = {"type": "webhook", "attributes": {"url": "https://hooks.example/", "description": "For the shop"}}
    globex = keyrack_on_each.tenants["Globex"]
    assert (await globex.admin.post(f"/v2/tenants/{globex.id}/webhooks", {"data": hook})).status_code == 201
    async with keyrack_on_each.store.installation() as unit:
        stored = await stored_words(unit)
        assert stored == await expected_words(unit)
        assert {kind for _, kind, *_ in stored} == {each.kind for each in INDEXED.values()}


async def test_an_import_is_found_too_and_so_is_what_it_changes(keyrack_on_each: World) -> None:
    file, store = platform_file(), keyrack_on_each.store
    await imported(store, json.dumps(file).encode())
    async with store.installation() as unit:
        first = await stored_words(unit)
        assert first == await expected_words(unit)
    for section, member in (("contracts", "name"), ("flows", "name"), ("auth_secrets", "name")):
        file[section][0]["attributes"][member] = "Renamed"
    await imported(store, json.dumps(file).encode())
    async with store.installation() as unit:
        assert (stored := await stored_words(unit)) == await expected_words(unit)
    assert len([each for each in stored - first if each[2] == "renamed"]) == 3


async def test_renaming_moves_the_words_and_changing_nothing_writes_nothing(keyrack_on_each: World) -> None:
    globex = keyrack_on_each.tenants["Globex"]
    async with keyrack_on_each.store.unit(globex.id, writes=True) as unit:
        flow = await FlowRows(unit).add(globex.workspace_id, globex.integrator.id, "Old name", "ordinary", {}, {})
        await ContractRows(unit).change(globex.contract_id, name="Other contract")
        for name in ("New name", "New name"):
            await FlowRows(unit).set_columns(flow.id, {"name": name})
        index = SearchIndex(unit)
        found = await index.beginning("flow", [globex.workspace_id], "new", 5)
        assert [each.id for each in found] == [flow.id]
        assert await index.beginning("flow", [globex.workspace_id], "old", 5) == []
        assert await index.beginning("contract", [globex.id], "OTHER C", 5) != []
        await FlowRows(unit).remove(flow.id)
        assert await index.beginning("flow", [globex.workspace_id], "new", 5) == []


async def test_whatever_is_deleted_takes_its_words_along(keyrack_on_each: World) -> None:
    estate = await build_estate(keyrack_on_each, "Globex")
    globex = estate.tenant
    async with keyrack_on_each.store.unit(globex.id, writes=True) as unit:
        await CredentialRows(unit).remove(estate.ids["lone_credential_id"])
        await AuthClientRows(unit).remove(estate.ids["lone_auth_client_id"])
        assert await stored_words(unit) == await expected_words(unit)
        await ContractRows(unit).remove(globex.contract_id)  # and all in it, by cascades
        left = await stored_words(unit)
        assert left == await expected_words(unit)
        assert not {each for each in left if each[0] in (globex.contract_id, globex.workspace_id)}
    async with keyrack_on_each.store.installation(writes=True) as unit:
        await TenantRows(unit).remove(globex.id)
        left = await stored_words(unit)
        assert left == await expected_words(unit)
        assert not {each for each in left if each[4] == globex.id}


def _downgrade(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0032")
    command.downgrade(config, "-1")


async def test_what_an_upgrade_finds_is_found_afterwards(tmp_path: Path, database_url: str | None) -> None:
    settings = settings_for(tmp_path, database_url, allow_insecure_providers="true", public_url=BASE)
    async with world(settings) as keyrack:
        await build_estate(keyrack, "Globex")
        globex = keyrack.tenants["Globex"]
        async with keyrack.store.unit(globex.id, writes=True) as unit:
            await ContractRows(unit).change(globex.contract_id, name=HOSTILE.replace("\0", "").replace("\ud800", ""))
        async with keyrack.store.installation() as unit:
            before = await stored_words(unit)
        database = engine.create_engine(settings)
        try:
            async with database.begin() as connection:
                await connection.run_sync(_downgrade)
            await migrations.upgrade(database)
        finally:
            await database.dispose()
        async with keyrack.store.installation(writes=True) as unit:
            assert await stored_words(unit) == before == await expected_words(unit)
            await unit.connection.execute(delete(credentials))
            assert await stored_words(unit) == await expected_words(unit), "the triggers are there again"


async def test_every_table_has_its_trigger(keyrack_on_each: World) -> None:
    """A later migration that rebuilds a table of SQLite's must make its trigger again."""
    async with keyrack_on_each.store.installation() as unit:
        if unit.connection.dialect.name == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        else:
            query = "SELECT tgname AS name FROM pg_trigger WHERE NOT tgisinternal"
        names = set((await unit.connection.execute(text(query))).column())
    assert names >= {f"{table.name}_search_words" for table in INDEXED}


async def test_pages_put_together_are_the_list(keyrack_on_each: World) -> None:
    globex = keyrack_on_each.tenants["Globex"]
    async with keyrack_on_each.store.unit(globex.id, writes=True) as unit:
        made = {}
        for number in range(7):
            name = f"Same same {number}" if number else "Other"
            flow = await FlowRows(unit).add(globex.workspace_id, globex.integrator.id, name, "ordinary", {}, {})
            made[flow.id] = name
        index, pages = SearchIndex(unit), list[str]()
        for start in range(0, 8, 2):
            page, total = await index.ids("flow", globex.workspace_id, "same", limit=2, offset=start)
            assert total == 6
            pages += page
        assert [made[each] for each in pages] == [f"Same same {number}" for number in range(1, 7)]
        read: list[int] = []
        with statements_seen(lambda _connection, _text, values: read.append(max(v for v in values if type(v) is int))):
            far = [await index.ids("flow", globex.workspace_id, "same", limit=2, offset=10**each) for each in (5, 18)]
        assert far == [([], 6)] * 2
        assert max(read) < 10**5  # rows that the database was asked for
        assert await index.ids("flow", globex.id, "same", limit=9) == ([], 0)
        assert await index.ids("flow", globex.workspace_id, " % ", limit=9) == ([], 0)
    async with keyrack_on_each.store.unit(keyrack_on_each.tenants["Acme"].id) as unit:
        assert await SearchIndex(unit).ids("flow", globex.workspace_id, "same", limit=9) == ([], 0)
