"""Fills the rows of an installation with hostile texts, and lets something have failed of all that says why."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, LargeBinary, Row, Table, insert, select, update

from keyrack.ids import new_id
from keyrack.model.operations import ProcessState, RefreshResult, RunningProcess
from keyrack.store import schema as s
from keyrack.store.core.unit import Unit
from keyrack.store.processes import KEPT_MS, Processes
from keyrack.store.refresh_counts import MINUTES, RefreshCount, RefreshCounts
from keyrack.store.schema.base import metadata
from support.app import World
from support.hostile import ADDED, FILLED, ONLY, Fill, hostile_text, hostile_word


async def make_hostile(world: World, ids: Mapping[str, str]) -> None:
    """Fill everything that can be with hostile texts; on the embedded database, which takes any length.

    Args:
        world: the installation; every table that is filled has a row.
        ids: of `Estate.ids`.
    """
    async with world.store.installation(writes=True) as unit:
        await _add_rows(unit, ids)
        await _let_it_show(unit, ids)
        for name, fill in FILLED.items():
            table, _, column = name.partition(".")
            await _fill(unit, metadata.tables[table], column, fill, ids.get(ONLY.get(name, "")))


async def _add_rows(unit: Unit, ids: Mapping[str, str]) -> None:
    """Add a role, and a key under a KEK that nobody has: the others' names are needed; and what processes tell of."""
    title = {"en": "x"}
    for scope in ("contracts", "workspaces", "tenants"):
        role: dict[str, Any] = {"scope": scope, "role": ADDED, "permissions": [], "i18n": title, "position": 99}
        await unit.connection.execute(insert(s.roles).values(tenant_id=ids["tenant_id"], **role))
    key = {"id": new_id(), "tenant_id": new_id(), "kek_id": ADDED, "wrapped": b"", "created_at": unit.clock()}
    await unit.connection.execute(insert(s.data_keys).values(key))
    await Processes(unit).say(RunningProcess(new_id(), "host", 1, "1", (), ProcessState(), unit.clock()))
    later = s.processes.c.seen_ms + KEPT_MS // 2  # tells its state until then, however long the tests take
    await unit.connection.execute(update(s.processes).values(seen_ms=later))
    counted = RefreshCount(MINUTES, unit.clock(), "", RefreshResult.unavailable, 1)
    await RefreshCounts(unit).add([counted])


async def _let_it_show(unit: Unit, ids: Mapping[str, str]) -> None:
    """Let something have failed of everything that tells why."""
    now, theirs = unit.clock(), ids["tenant_id"]
    secrets, clients, links, consents = s.auth_secrets, s.auth_clients, s.connect_links, s.consents
    for table, row, values in (
        (secrets, "lone_secret_id", {"state": "error", "error_code": "reauthorization_required", "error_at": now}),
        (secrets, "secret_id", {"failure_count": 2, "failed_at": now}),
        (clients, "auth_client_id", {"rejected_at": now, "probe_at": now}),
        (links, "failed_link_id", {"status": "failed", "ended_at": now}),
        (consents, "failed_consent_id", {"status": "failed", "ended_at": now}),
        (s.contract_invites, "invite_id", {"workspace_id": ids["workspace_id"]}),
    ):
        here = (table.c.id == ids[row]) & (table.c.tenant_id == theirs)
        assert (await unit.connection.execute(update(table).where(here).values(values))).rowcount == 1


async def _fill(unit: Unit, table: Table, name: str, fill: Fill, only: str | None) -> None:
    column, keys = table.c[name], list(table.primary_key)
    rows = (await unit.connection.execute(select(table))).all()
    assert rows, f"nothing is in {table.name}"
    for number, row in enumerate(rows):
        if only is not None and row.id != only:
            continue
        text = hostile_text(f"{table.name}.{name}", number)
        value = await _filled(unit, row, column, fill, text)
        this = [key == getattr(row, str(key.name)) for key in keys]
        await unit.connection.execute(update(table).where(*this).values({column: value}))


async def _filled(unit: Unit, row: "Row[Any]", column: "Column[Any]", fill: Fill, text: str) -> Any:
    """Return what is to be in a row's column."""
    stored = getattr(row, column.name)
    if not isinstance(column.type, LargeBinary):
        return fill(stored, text[: getattr(column.type, "length", None)])
    owner, key = unit.of_tenant(row.tenant_id), getattr(row, str(next(iter(column.table.primary_key)).name))
    clear = None if stored is None else await owner.open(column.table, key, column.name, stored)
    return await owner.seal(column.table, key, column.name, fill(clear, text))


async def one_of(unit: Unit, name: str) -> str:
    """Return one of the hostile texts that are in a column."""
    table, _, column = name.partition(".")
    found = metadata.tables[table].c[column]
    text = found.startswith(hostile_word(name))
    return str((await unit.connection.execute(select(found).where(text).limit(1))).scalar_one())
