"""Exchanging keys: every encrypted column, what still needs an old key, and what a killed command leaves behind."""

import asyncio
import socket
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import Table, select, update

from keyrack.api.core.errors import status_and_code
from keyrack.crypto.envelope import EncryptionContext, key_id_of
from keyrack.crypto.kek import local
from keyrack.crypto.kek.chain import KeyChain
from keyrack.errors import ConfigurationError, DataKeyRetired, StateConflict, WrongKey
from keyrack.ids import new_id
from keyrack.model.operations import ProcessState, RunningProcess
from keyrack.service.operator.key_retirement import KeyRetirement
from keyrack.service.operator.key_rotation import KeyRotation
from keyrack.settings import Settings
from keyrack.store.attempts import Attempt, AttemptKind, Attempts
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.unit import Unit
from keyrack.store.key_rotations import KeyRotations
from keyrack.store.processes import Processes
from keyrack.store.schema import attempts, data_keys, teams
from keyrack.store.sealed_columns import SEALED_COLUMNS
from keyrack.store.spool import Spool, Spooled
from keyrack.store.tenants import TenantRows
from keyrack.wiring.keys import KeyCommands, build_key_commands
from support.app import World, on_postgresql_only
from support.waits_and_faults import SECONDS, until

NOW = timedelta(0)
NOW_AT = datetime(2026, 1, 1, tzinfo=UTC)


class Silent:
    """Progress that nobody sees."""

    def section(self, doing: str, name: str, total: int) -> None: ...

    def advance(self, count: int) -> None: ...


def commands(keyrack: World) -> KeyCommands:
    return build_key_commands(keyrack.store, keyrack.settings)


def quick(keyrack: World, **more: Any) -> KeyRotation:
    """Return a rotation that waits for nothing."""

    async def no_sleep(_seconds: float) -> None: ...

    made = commands(keyrack)
    return KeyRotation(keyrack.store, made.kek, more.get("key_file", keyrack.settings.effective_key_file), no_sleep)


async def key_ids(keyrack: World, tenant: str) -> list[str]:
    """Return an owner's data keys, the newest first."""
    async with keyrack.store.installation() as unit:
        return [row.id for row in await unit.keyring.look(unit.connection, tenant)]


async def team_value(unit: Unit, team: str) -> bytes:
    rows = (await unit.connection.execute(select(teams.c.sealed_docker_registry).where(teams.c.id == team))).all()
    sealed: bytes = rows[0].sealed_docker_registry
    return sealed


async def give_value(keyrack: World, name: str, clear: object = "canary") -> str:
    """Store an encrypted value of a tenant; return the id of its team."""
    tenant = keyrack.tenants[name]
    async with keyrack.store.unit(tenant.id, writes=True) as unit:
        sealed = await unit.seal(teams, tenant.team_id, "sealed_docker_registry", clear)
        change = update(teams).where(teams.c.id == tenant.team_id).values(sealed_docker_registry=sealed)
        await unit.connection.execute(change)
    return tenant.team_id


def minimal_row(table: Table, key: str, tenant: str, sealed: Mapping[str, bytes]) -> dict[str, Any]:
    """Return a row as small as the schema lets it be; what it refers to need not be there."""
    row: dict[str, Any] = {}
    for column in table.c:
        if column.name in sealed:
            row[column.name] = sealed[column.name]
        elif column.primary_key:
            row[column.name] = int(key) if column.type.python_type is int else key
        elif column.name == "tenant_id":
            row[column.name] = tenant
        elif not column.nullable:
            kind = {"JSON": "[]", "BOOLEAN": False}.get(column.type.__class__.__name__.upper())
            numeric = column.type.__class__.__name__ in ("Moment", "BigInteger", "Integer")
            row[column.name] = kind if kind is not None else (1 if numeric else f"{key}"[:10])
    return row


async def insert_without_parents(settings: Settings, table: Table, row: Mapping[str, Any]) -> None:
    """Store a row whatever it refers to, as nobody but a test does; what watches over data keys stays in force."""
    names = ", ".join(row)
    if settings.database_url is None:
        with sqlite3.connect(settings.sqlite_path, timeout=30) as raw:
            raw.execute(f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
        raw.close()
        return
    connection = await asyncpg.connect(settings.database_url.reveal())
    try:
        await connection.execute("SET session_replication_role = replica")
        places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
        await connection.execute(f"INSERT INTO {table.name} ({names}) VALUES ({places})", *row.values())
    finally:
        await connection.close()


async def test_every_encrypted_column_is_encrypted_anew(keyrack_on_each: World) -> None:
    keyrack, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    places: list[tuple[Table, str, str, str]] = []
    await keyrack.services.console_sign_in.form_key.get()
    for table, columns in SEALED_COLUMNS.items():
        if table.name == "installation":
            places += [(table, INSTALLATION, "1", column.name) for column in columns]
            continue
        row_id, owner, sealed = new_id(), acme.id if "tenant_id" in table.c else INSTALLATION, {}
        async with keyrack.store.unit(owner) as unit:
            for column in columns:
                sealed[column.name] = await unit.seal(table, row_id, column.name, f"canary {table.name} {column.name}")
                places.append((table, owner, row_id, column.name))
        await insert_without_parents(keyrack.settings, table, minimal_row(table, row_id, owner, sealed))
    old = {*await key_ids(keyrack, acme.id), *await key_ids(keyrack, INSTALLATION)}
    done = await quick(keyrack).rotate(Silent())
    assert (done.left, done.unreadable, done.not_unwrapped) == ({}, 0, 0)
    assert done.resealed == len(places)
    for table, tenant, row_id, name in places:
        (key,) = table.primary_key.columns
        wanted = int(row_id) if key.type.python_type is int else row_id
        async with keyrack.store.unit(tenant) as unit:
            rows = (await unit.connection.execute(select(table.c[name].label("sealed")).where(key == wanted))).all()
            assert key_id_of(rows[0].sealed) not in old, (table.name, name)
            clear = await unit.open(table, row_id, name, rows[0].sealed)
        if table.name != "installation":
            assert clear == f"canary {table.name} {name}"
    retired = await commands(keyrack).retirement.retire(NOW)
    assert old <= set(retired.data_keys)
    assert await keyrack.services.console_sign_in.form_key.get()


async def test_a_new_key_comes_to_the_front_of_the_file_and_the_old_one_goes_last(keyrack: World) -> None:
    path = keyrack.settings.effective_key_file
    (old,) = local.read_keys(path)
    await give_value(keyrack, "Acme")
    done = await quick(keyrack).rotate(Silent())
    new, *rest = local.read_keys(path)
    assert rest == [old]
    assert (done.kek_id, done.rewrapped, done.resealed) == (local.fingerprint(new), 3 + 1, 1 + 1)
    assert path.stat().st_mode & 0o777 == 0o600
    retired = await commands(keyrack).retirement.retire(NOW)
    assert retired.key_encryption_keys == [local.fingerprint(old)]
    assert local.read_keys(path) == [new]
    async with keyrack.store.unit(keyrack.tenants["Acme"].id) as unit:
        team = keyrack.tenants["Acme"].team_id
        assert await unit.open(teams, team, "sealed_docker_registry", await team_value(unit, team)) == "canary"


async def test_what_was_begun_is_carried_on_with_the_same_key(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    for name in ("Acme", "Globex"):
        await give_value(keyrack, name)
    rotation = quick(keyrack)

    async def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(rotation, "_reseal", killed)
        with pytest.raises(KeyboardInterrupt):
            await rotation.rotate(Silent())
    keys = local.read_keys(keyrack.settings.effective_key_file)
    async with keyrack.store.installation() as unit:
        begun = await KeyRotations(unit).under_way()
    assert begun is not None
    done = await quick(keyrack).rotate(Silent())
    assert local.read_keys(keyrack.settings.effective_key_file) == keys, "no further key was made"
    assert done.kek_id == begun.kek_id
    assert done.left == {}
    assert [len(await key_ids(keyrack, tenant.id)) for tenant in keyrack.tenants.values()] == [2, 2]
    async with keyrack.store.installation() as unit:
        assert await KeyRotations(unit).under_way() is None


async def test_two_commands_at_once_make_one_exchange_and_one_key(keyrack_on_each: World) -> None:
    keyrack = keyrack_on_each
    path = keyrack.settings.effective_key_file
    (old,) = local.read_keys(path)
    both = await asyncio.gather(*(quick(keyrack).rotate(Silent()) for _ in range(2)))
    new, *rest = local.read_keys(path)
    assert rest == [old], "both have carried on the same exchange"
    assert {done.kek_id for done in both} == {local.fingerprint(new)}


async def test_the_key_of_an_exchange_that_is_beginning_is_not_retired(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyrack = keyrack_on_each
    begin, retiring = KeyRotations.begin, list[asyncio.Task[Any]]()

    async def beginning(self: KeyRotations, kek_id: str) -> Any:
        retiring.append(asyncio.create_task(commands(keyrack).retirement.retire(NOW)))
        await asyncio.wait(retiring, timeout=0.5)  # it has to wait
        return await begin(self, kek_id)

    monkeypatch.setattr(KeyRotations, "begin", beginning)
    done = await quick(keyrack).rotate(Silent())
    await asyncio.gather(*retiring)
    assert local.fingerprint(local.read_keys(keyrack.settings.effective_key_file)[0]) == done.kek_id


@on_postgresql_only
async def test_a_tenant_that_is_being_shredded_gets_no_new_data_key(keyrack_on_each: World) -> None:
    keyrack, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        await TenantRows(unit).hold(exclusive=True)
        await unit.keyring.destroy_keys(unit.connection, acme.id)
        rotating = asyncio.create_task(quick(keyrack).rotate(Silent(), data_keys_only=True))
        await asyncio.wait([rotating], timeout=0.5)  # it has to wait
    await rotating
    assert await key_ids(keyrack, acme.id) == []


async def test_keys_of_another_installation_exchange_nothing(keyrack: World) -> None:
    path, acme, wrong = keyrack.settings.effective_key_file, keyrack.tenants["Acme"], local.new_key()
    before, right = await key_ids(keyrack, acme.id), local.read_keys(path)
    local.write_keys(path, [wrong])
    for command in (quick(keyrack).rotate, quick(keyrack).rewrap):
        with pytest.raises(WrongKey):
            await command(Silent())
    assert local.read_keys(path) == [wrong]
    local.write_keys(path, right)
    assert await key_ids(keyrack, acme.id) == before


async def test_a_process_tells_of_another_key_without_waiting_for_its_next_beat(keyrack: World) -> None:
    path, new = keyrack.settings.effective_key_file, local.new_key()
    heartbeat, kek = keyrack.services.heartbeat, keyrack.store.keyring.kek

    async def told() -> None:
        while True:
            async with keyrack.store.installation() as unit:
                if any(local.fingerprint(new) in each.state.keys for each in await Processes(unit).list()):
                    return
            await asyncio.sleep(0.05)

    heartbeat._interval = 3600.0
    await heartbeat.start(["api"])
    try:
        await until(lambda: heartbeat._told_keys)
        local.write_keys(path, [*local.read_keys(path), new])
        await kek.refresh()
        await asyncio.wait_for(told(), SECONDS)
    finally:
        await heartbeat.close()


async def test_a_process_that_lacks_the_new_key_keeps_it_from_the_front(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keyrack.settings.effective_key_file
    (old,) = local.read_keys(path)
    elsewhere = RunningProcess(
        "other", "elsewhere", 7, "1", ["api"], ProcessState(keys=[local.fingerprint(old)]), NOW_AT
    )
    async with keyrack.store.installation(writes=True) as unit:
        await Processes(unit).say(elsewhere)
    rotation = quick(keyrack)
    monkeypatch.setattr("keyrack.service.operator.key_rotation._LEARNT_WITHIN", 0.0)
    with pytest.raises(StateConflict, match="process 7 on elsewhere"):
        await rotation.rotate(Silent())
    assert local.read_keys(path)[0] == old, "the old one still wraps"
    assert len(local.read_keys(path)) == 2
    knows = [local.fingerprint(key) for key in local.read_keys(path)]
    async with keyrack.store.installation(writes=True) as unit:
        await Processes(unit).say(
            RunningProcess("other", "elsewhere", 7, "1", ["api"], ProcessState(keys=knows), NOW_AT)
        )
    await quick(keyrack).rotate(Silent())
    assert local.read_keys(path)[1] == old


async def test_a_data_key_stays_while_anything_needs_it(keyrack_on_each: World) -> None:
    keyrack, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    (old,) = await key_ids(keyrack, acme.id)
    spool = Spool(keyrack.settings.home / "spool")
    keyring = keyrack.store.keyring
    async with keyrack.store.unit(acme.id, writes=True) as unit:
        attempt = Attempt(new_id(), acme.id, AttemptKind.refresh, new_id(), 1, 0, "owner", keyrack.store.clock())
        await Attempts(unit).begin(attempt)
        place = EncryptionContext(acme.id, attempts.name, attempt.id, "sealed_answer")
        sealed = await keyring.seal(unit.connection, place, b"answer")
    spool.put(Spooled(acme.id, attempt.id, sealed, keyrack.store.clock()))
    await quick(keyrack).rotate(Silent())
    retirement = commands(keyrack).retirement
    assert {need.what for need in await retirement.needs() if need.key == old} >= {"spool", "age"}
    assert old not in (await retirement.retire(NOW)).data_keys
    spool.drop(attempt.id)
    kept = await retirement.retire(NOW)
    assert {need.what for need in kept.needs if need.key == old} == {"open_requests"}, "its answer may still come"
    async with keyrack.store.single(acme.id) as unit:
        await Attempts(unit).answered(attempt.id, sealed, keyrack.store.clock())
    kept = await retirement.retire(NOW)
    assert {(need.what, need.where) for need in kept.needs if need.key == old} == {("values", "attempts")}


async def test_answers_on_other_machines_keep_data_keys(keyrack: World) -> None:
    await give_value(keyrack, "Acme")
    await quick(keyrack).rotate(Silent())
    state = ProcessState(answers_spooled=2, keys=commands(keyrack).kek.ids)
    there = RunningProcess("p", f"not-{socket.gethostname()}", 1, "1", ["worker"], state, NOW_AT)
    async with keyrack.store.installation(writes=True) as unit:
        await Processes(unit).say(there)
    kept = await commands(keyrack).retirement.retire(NOW)
    assert kept.data_keys == []
    assert {(need.what, need.count) for need in kept.needs if need.layer == "data_key"} == {("process", 2)}


async def test_no_value_is_stored_under_a_data_key_that_is_gone(keyrack_on_each: World) -> None:
    keyrack, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    keyring = keyrack.store.keyring
    place = EncryptionContext(acme.id, "teams", acme.team_id, "sealed_docker_registry")
    async with keyrack.store.unit(acme.id) as unit:
        late = await keyring.seal(unit.connection, place, b'"late"')
    await quick(keyrack).rotate(Silent())
    await commands(keyrack).retirement.retire(NOW)
    assert status_and_code(DataKeyRetired()) == (503, "data_key_retired")
    with pytest.raises(DataKeyRetired):
        async with keyrack.store.unit(acme.id, writes=True) as unit:
            await unit.connection.execute(
                update(teams).where(teams.c.id == acme.team_id).values(sealed_docker_registry=late)
            )
    await give_value(keyrack, "Acme", "again")
    with pytest.raises(WrongKey):
        async with keyrack.store.unit(acme.id) as unit:
            await unit.open(teams, acme.team_id, "sealed_docker_registry", late)


async def test_data_keys_move_from_a_file_to_another_source_and_back(keyrack: World) -> None:
    await give_value(keyrack, "Acme")
    (old,) = local.read_keys(keyrack.settings.effective_key_file)
    store, new = keyrack.store, local.new_key()
    both = KeyChain([local.LocalKeys([new]), local.LocalKeys([old])])
    store.keyring._kek = both
    done = await KeyRotation(store, both, None).rewrap(Silent())
    assert (done.rewrapped, done.kek_id) == (4, local.fingerprint(new))
    needs = await KeyRetirement(store, both, None, Spool(keyrack.settings.home / "spool")).needs()
    assert needs == []
    only_new = KeyChain([local.LocalKeys([new])])
    store.keyring._kek = only_new
    store.keyring.forget(keyrack.tenants["Acme"].id)
    team = keyrack.tenants["Acme"].team_id
    async with store.unit(keyrack.tenants["Acme"].id) as unit:
        assert await unit.open(teams, team, "sealed_docker_registry", await team_value(unit, team)) == "canary"
    store.keyring._kek = KeyChain([local.LocalKeys([old])])
    store.keyring.forget(INSTALLATION)
    with pytest.raises(WrongKey, match=local.fingerprint(new)):
        await keyrack.services.installations.verify_key()


async def test_a_key_file_that_cannot_be_written_changes_nothing(keyrack: World, tmp_path: Path) -> None:
    before = local.read_keys(keyrack.settings.effective_key_file)
    missing = tmp_path / "nowhere" / "key"
    with pytest.raises(ConfigurationError):
        local.write_keys(missing, before)
    assert local.read_keys(keyrack.settings.effective_key_file) == before


async def test_a_key_file_is_read_again_by_processes_that_run(tmp_path: Path) -> None:
    path = tmp_path / "key"
    local.generate(path)
    keys = local.FileKeys(path)
    (old,), new = local.read_keys(path), local.new_key()
    kek_id, wrapped = await local.LocalKeys([new]).wrap(b"m" * 32, b"context")
    local.write_keys(path, [new, old])
    assert await KeyChain([keys]).unwrap(kek_id, wrapped, b"context") == b"m" * 32, "as soon as it is needed"
    assert keys.current == local.fingerprint(new)
    path.write_text("damaged")
    with pytest.raises(ConfigurationError):
        await keys.refresh()
    assert keys.current == local.fingerprint(new), "what was read stays in use"


async def test_the_table_of_data_keys_names_no_key(keyrack: World) -> None:
    async with keyrack.store.installation() as unit:
        stored = (await unit.connection.execute(select(data_keys.c.wrapped))).column()
    (kek,) = local.read_keys(keyrack.settings.effective_key_file)
    assert all(kek not in wrapped for wrapped in stored)
