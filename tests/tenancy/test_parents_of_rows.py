"""For every table: a row of one tenant cannot be put below what is another's (invariant 1).

Rows are copies of what the tenant has, each with one parent exchanged for the other tenant's. What may be shared is
listed. Global auth clients, whose owner is the installation, are in `tests/store/test_own_parents.py`.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Table, select

from keyrack.errors import AlreadyExists, RelatedNotFound
from keyrack.store.core.unit import TenantTable, Unit
from keyrack.store.schema import metadata
from support.tenancy.stage import Stage

SHARED = {
    "auth_client_components.component_id": "a component of another tenant that is shared",
    "component_whitelists.component_id": "a component of another tenant that is shared",
}
UNTRIED = {
    "authentication_requests.user_id",
    "authenticators.user_id",
    "component_whitelists.component_id",
    "component_whitelists.contract_id",
    "console_sessions.user_id",
    "device_polls.id",
    "import_entries.batch_id",
    "linked_identities.user_id",
    "pending_sign_ins.user_id",
}
"""Of a table in which the tenants of the stage have no row: `tests/store/test_own_parents.py`."""


def parents() -> Iterator[tuple[Table, str, Table]]:
    """Return every column that names something of a tenant: its table, its name, and where that is."""
    for table in metadata.sorted_tables:
        for key in sorted(table.foreign_keys, key=lambda key: str(key.parent.name)):
            parent = key.column.table
            if "tenant_id" in table.c and isinstance(parent, Table) and "tenant_id" in parent.c:
                yield table, str(key.parent.name), parent


async def one_of(unit: Unit, table: Table, tenant_id: str) -> dict[str, Any] | None:
    row = (await unit.connection.execute(select(table).where(table.c.tenant_id == tenant_id).limit(1))).first()
    return None if row is None else dict(row._asdict())


async def outcome(unit: Unit, table: Table, row: dict[str, Any]) -> str:
    try:
        await TenantTable(unit).insert_into(table, row)
    except (AlreadyExists, RelatedNotFound) as refusal:
        return type(refusal).__name__
    return "added"


async def test_no_table_takes_another_tenants_parent(stage: Stage) -> None:
    stage.snapshot.restore()
    mine, own, untried, wrong = stage.mine.tenant.id, stage.other.tenant.id, set[str](), {}
    async with stage.world.store.unit(own, writes=True) as unit:
        for table, name, parent in parents():
            row, foreign = await one_of(unit, table, own), await one_of(unit, parent, mine)
            if row is None or foreign is None:
                untried.add(f"{table.name}.{name}")
                continue
            assert await outcome(unit, table, row) == "AlreadyExists", table.name
            said = await outcome(unit, table, {**row, name: foreign["id"]})
            if said != "RelatedNotFound":
                wrong[f"{table.name}.{name}"] = said
    stage.snapshot.restore()
    assert set(wrong) == set(SHARED) - UNTRIED, wrong
    assert untried == UNTRIED
