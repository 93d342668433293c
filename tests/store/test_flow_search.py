"""Flows are searched and sorted alike on both databases (contract section 17), also rows that an upgrade found."""

from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy.engine import Connection

from keyrack.model.flows import Flow
from keyrack.service.components.visibility import contract_view
from keyrack.store import migrations
from keyrack.store.component_builds import ComponentVersions
from keyrack.store.component_list import ComponentFilter, ComponentList
from keyrack.store.core import engine
from keyrack.store.core.paging import search_key
from keyrack.store.flow_list import FlowFilter, FlowList
from keyrack.store.flows import FlowRows
from support.app import BASE, World, settings_for, world

NAMES = (
    "straße",
    "ŽLUŤOUČKÝ",
    "100% sure",
    "a_b",
    "ab",
    "İstanbul",
    "back\\slash",
    "Zoë",
    "zebra",
    "Äpfel",
    "it's",
    "ΣΊΣΥΦΟΣ",
)

# fmt: off
SEARCHES = [
    ("STRASSE",       ["straße"]),           # Unicode's case folding, not one letter by one letter
    ("žluťoučký",     ["ŽLUŤOUČKÝ"]),
    ("%",             ["100% sure"]),        # no pattern
    ("_",             ["a_b"]),
    ("\\",            ["back\\slash"]),
    ("/",             []),
    ("zoe\u0308",     ["Zoë"]),              # decomposed
    ("'",             ["it's"]),
    ("äPF",           ["Äpfel"]),
    ("σίσυφος",       ["ΣΊΣΥΦΟΣ"]),          # final sigma
    ("about STRASSE", ["straße"]),           # in the description
    ("x" * 60_000,    []),
]
# fmt: on
SORTED = (
    "100% sure",
    "a_b",
    "ab",
    "back\\slash",
    "it's",
    "i̇stanbul",
    "strasse",
    "zebra",
    "zoë",
    "äpfel",
    "žluťoučký",
    "σίσυφοσ",
)  # fmt: skip


async def fill(keyrack: World) -> None:
    for name in ("Acme", "Globex"):
        tenant = keyrack.tenants[name]
        async with keyrack.store.unit(tenant.id, writes=True) as unit:
            for each in NAMES:
                about = {"description": f"All about {each}"}
                await FlowRows(unit).add(tenant.workspace_id, tenant.integrator.id, each, "ordinary", {}, about)


async def found(keyrack: World, *, search: str | None = None, sort: str | None = None) -> list[str]:
    globex = keyrack.tenants["Globex"]
    async with keyrack.store.unit(globex.id) as unit:
        flows, total = await FlowList(unit).page(
            globex.workspace_id, FlowFilter(search=search, sort=sort), limit=100, offset=0
        )
    assert total == len(flows)
    assert all(flow.workspace_id == globex.workspace_id for flow in flows)
    return [flow.name for flow in flows]


async def check(keyrack: World) -> None:
    for search, names in SEARCHES:
        assert await found(keyrack, search=search) == names, search[:20]
    by_name = [name.casefold() for name in await found(keyrack, sort="name")]
    assert by_name == list(SORTED)
    assert [name.casefold() for name in await found(keyrack, sort="-name")] == by_name[::-1]


async def test_search_and_sort_are_the_same_on_each_database(keyrack_on_each: World) -> None:
    await fill(keyrack_on_each)
    await check(keyrack_on_each)


@pytest.mark.parametrize("search", [None, "about", "S", "strasse", "nowhere"])
@pytest.mark.parametrize("size", [1, 5, 12])
async def test_pages_put_together_are_the_list(keyrack_on_each: World, size: int, search: str | None) -> None:
    await fill(keyrack_on_each)
    globex = keyrack_on_each.tenants["Globex"]
    number = len([name for name in NAMES if search_key(search or "") in search_key(f"All about {name}")])
    async with keyrack_on_each.store.unit(globex.id) as unit:
        for sort in (None, "name", "-name", "created_at", "-created_at", "updated_at"):
            wanted = FlowFilter(sort=sort, search=search)
            whole, _ = await FlowList(unit).page(globex.workspace_id, wanted, limit=None, offset=0)
            assert len(whole) == number
            pages: list[Flow] = []
            for start in range(0, number + 2 * size, size):
                page, total = await FlowList(unit).page(globex.workspace_id, wanted, limit=size, offset=start)
                assert total == number, "also past the end (contract 24.23)"
                pages += page
            assert pages == whole, sort


def _downgrade(connection: Connection) -> None:
    config = migrations._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0006")


async def test_rows_of_old_schemas_are_filled(tmp_path: Path, database_url: str | None) -> None:
    settings = settings_for(tmp_path, database_url, public_url=BASE)
    async with world(settings) as keyrack:
        await fill(keyrack)
        acme, asking = keyrack.tenants["Acme"], dict[str, bool]()
        builds: list[tuple[str, dict[str, Any], bool]] = [
            ("asks", {"useOAuthClient": True}, True),
            ("inner", {"credentials": {"useOAuthClient": True}}, True),
            ("plain", {"title": "x"}, False),
            ("odd", {"useOAuthClient": "true", "credentials": []}, False),
        ]
        for name, descriptor, asks in builds:
            asking[await keyrack.add_component(acme, name, descriptor)] = asks
        was = await keyrack.add_component(acme, "was", {"useOAuthClient": True})
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await ComponentVersions(unit).add(was, "f" * 40, {"title": "no more"})
        asking[was] = False
        database = engine.create_engine(settings)
        try:
            async with database.begin() as connection:
                await connection.run_sync(_downgrade)
            await migrations.upgrade(database)
        finally:
            await database.dispose()
        await check(keyrack)
        async with keyrack.store.unit(acme.id) as unit:
            wanted = ComponentFilter(had_at=contract_view(unit, acme.contract_id), own=True)
            listed, _ = await ComponentList(unit).page(wanted)
        assert {c.id: c.uses_oauth_client for c in listed} == asking
