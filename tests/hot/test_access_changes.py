"""What is remembered holds only as long as somebody vouches for it; whoever takes access away says so."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import delete, insert, text, update

from keyrack.ids import new_id
from keyrack.store import schema as t
from keyrack.store.access_changes import (
    CHANNEL,
    EVERYBODY,
    LONGEST_SECONDS,
    SHORT_SECONDS,
    AccessChanges,
    key_subject,
)
from keyrack.store.core import engine, listening
from keyrack.store.core.listening import Listener
from support.app import World, on_postgresql_only, settings_for
from support.waits_and_faults import until


class Vouching(Listener):
    """A listener whose connection is as the test says."""

    def __init__(self) -> None:
        super().__init__(None)
        self.up = False

    def missed_nothing_since(self, moment: float) -> bool:
        del moment
        return self.up

    def say(self, subject: str) -> None:
        self._channels[CHANNEL](subject)


class Table:
    """Changes under a clock that a test moves, and a file whose version it sets."""

    def __init__(self, version: int | None) -> None:
        self.now, self.version = 100.0, version
        self.listener = Vouching()
        self.changes = AccessChanges(self.listener, lambda: self.version, lambda: self.now)


def test_without_anybody_to_vouch_it_holds_less_than_a_second() -> None:
    table = Table(None)
    mark = table.changes.mark()
    table.now += SHORT_SECONDS
    assert table.changes.holds(mark, "tenant")
    table.now += 0.01
    assert not table.changes.holds(mark, "tenant")
    assert SHORT_SECONDS < 1


def test_a_listener_that_missed_nothing_vouches_for_longer_but_not_for_ever() -> None:
    table = Table(None)
    mark = table.changes.mark()
    table.listener.up = True
    table.now += LONGEST_SECONDS
    assert table.changes.holds(mark, "tenant")
    table.listener.up = False
    assert not table.changes.holds(mark, "tenant")
    table.listener.up = True
    table.now += 0.01
    assert not table.changes.holds(mark, "tenant")


@pytest.mark.parametrize(
    ("said", "held"),
    [("tenant", False), (key_subject("k" * 64), False), (EVERYBODY, False), ("other", True), (key_subject("x"), True)],
)
def test_what_is_said_about_a_subject_ends_it_at_once(said: str, held: bool) -> None:
    table = Table(None)
    table.listener.up = True
    mark = table.changes.mark()
    table.listener.say(said)  # even in the same moment: it may have been looked up before
    assert table.changes.holds(mark, "tenant", key_subject("k" * 64)) is held
    table.now += 0.01
    assert table.changes.holds(table.changes.mark(), "tenant"), "what is looked up afterwards holds"


def test_a_file_that_nobody_wrote_to_vouches() -> None:
    table = Table(7)
    mark = table.changes.mark()
    table.now += LONGEST_SECONDS
    assert table.changes.holds(mark, "tenant")
    table.version = 8
    assert not table.changes.holds(mark, "tenant")


def test_what_is_kept_of_changes_is_bounded() -> None:
    table = Table(None)
    mark = table.changes.mark()
    for number in range(20_001):
        table.listener.say(f"tenant {number}")
    assert len(table.changes._changed) <= 10_000
    assert not table.changes.holds(mark, "tenant 1"), "forgetting who changed means that all did"


@pytest.fixture
async def heard(keyrack_on_each: World) -> AsyncIterator[list[str]]:
    """What is said on the channel; SQLite tells by the version of the file."""
    connect = engine.listener(keyrack_on_each.settings)
    assert connect is not None
    listener, said = Listener(connect), list[str]()
    listener.on(CHANNEL, said.append)
    await listener.start()
    await until(lambda: listener.missed_nothing_since(time.monotonic()))
    yield said
    await listener.close()


@on_postgresql_only
async def test_every_way_to_lose_access_is_said_by_the_database(keyrack_on_each: World, heard: list[str]) -> None:
    world, acme = keyrack_on_each, keyrack_on_each.tenants["Acme"]
    account = await world.add_service_account("workspaces.flow.get")
    flow, now = new_id(), world.store.clock()
    stop = update(t.flows).where(t.flows.c.id == flow)
    user = t.users.c.id == acme.guest.id
    key_of = t.api_keys.c.user_id == acme.guest.id
    async with world.store.installation() as unit:
        found = await unit.connection.execute(t.api_keys.select().where(key_of))
        key = key_subject(found.one().key_hash)
    values = {
        "id": flow, "tenant_id": acme.id, "workspace_id": acme.workspace_id, "user_id": acme.admin.id, "name": "F",
        "description": "", "type": "ordinary", "status": "active", "current_status": "active", "graph": {},
        "attributes": {}, "latest_version": "v", "created_at": now, "updated_at": now,
    }  # fmt: skip
    of_tenant = t.roles.c.tenant_id == acme.id
    ways: list[tuple[Any, set[str]]] = [
        (insert(t.flows).values(**values), set()),
        (stop.values(name="Renamed"), set()),
        (stop.values(status="inactive"), {acme.id}),
        (delete(t.flows).where(t.flows.c.id == flow), {acme.id}),
        (update(t.roles).where(of_tenant).values(permissions=[]), {acme.id}),
        (delete(t.roles).where(of_tenant), {acme.id}),
        (update(t.workspace_members).where(t.workspace_members.c.user_id == acme.guest.id).values(roles=[]), {acme.id}),
        (delete(t.workspace_members).where(t.workspace_members.c.user_id == acme.guest.id), {acme.id}),
        (update(t.contract_members).where(t.contract_members.c.user_id == acme.guest.id).values(roles=[]), {acme.id}),
        (delete(t.contract_members).where(t.contract_members.c.user_id == acme.guest.id), {acme.id}),
        (update(t.users).where(user).values(last_login=now), set()),
        (update(t.users).where(user).values(tenant_roles=[]), {acme.id}),
        (update(t.api_keys).where(key_of).values(expires_at=now), {key}),
        (delete(t.users).where(user), {acme.id, key}),
        (update(t.service_accounts).where(t.service_accounts.c.id == account.id).values(permissions=[]), {EVERYBODY}),
        (delete(t.workspaces).where(t.workspaces.c.id == acme.workspace_id), {acme.id}),
    ]
    for statement, subjects in ways:
        heard.clear()
        async with world.store.installation(writes=True) as unit:
            await unit.connection.execute(statement)
            assert not heard
        await world_says(world, heard)
        assert set(heard) - {"done"} == subjects, str(statement)


async def world_says(world: World, heard: list[str]) -> None:
    """Wait until all that was said before has arrived."""
    async with world.store.installation(writes=True) as unit:
        await unit.connection.execute(text("SELECT pg_notify(:channel, 'done')"), {"channel": CHANNEL})
    await until(lambda: "done" in heard)


async def test_a_connection_that_is_lost_vouches_for_nothing_until_it_is_back(postgres_url: str, tmp_path: Any) -> None:
    connect = engine.listener(settings_for(tmp_path, postgres_url))
    assert connect is not None
    made: list[Any] = []

    async def remembered() -> Any:
        made.append(await connect())
        return made[-1]

    listener = Listener(remembered)
    before = time.monotonic()
    await listener.start()
    await until(lambda: listener.missed_nothing_since(time.monotonic()))
    assert not listener.missed_nothing_since(before), "what was said before it listened may be missing"
    during = time.monotonic()
    made[0].terminate()
    await until(lambda: not listener.missed_nothing_since(during))
    await until(lambda: listener.missed_nothing_since(time.monotonic()))
    assert not listener.missed_nothing_since(during)
    await listener.close()
    assert not listener.missed_nothing_since(time.monotonic())


class Faulty:
    """A connection with one method replaced: an injected fault."""

    def __init__(self, connection: Any, name: str, method: Any) -> None:
        self._connection, self._name, self._method = connection, name, method

    def __getattr__(self, name: str) -> Any:
        return self._method if name == self._name else getattr(self._connection, name)


async def test_a_connection_that_hears_nothing_vouches_for_nothing(postgres_url: str, tmp_path: Any) -> None:
    """As behind a pooler that takes LISTEN and passes no notification on."""
    connect = engine.listener(settings_for(tmp_path, postgres_url))
    assert connect is not None
    made: list[Any] = []

    async def deaf() -> Any:
        connection = await connect()
        made.append(connection)

        async def add_listener(channel: str, callback: Any) -> None:
            await connection.add_listener(channel, callback)
            await connection.execute("UNLISTEN *")

        return Faulty(connection, "add_listener", add_listener)

    listener = Listener(deaf)
    await listener.start()
    await until(lambda: len(made) == 2)
    await asyncio.sleep(1.5)
    assert len(made) == 2, "it stays connected, for waiters who look for themselves anyway"
    assert not listener.missed_nothing_since(time.monotonic())
    await listener.close()


async def test_a_server_that_stops_answering_is_not_believed_for_long(postgres_url: str, tmp_path: Any) -> None:
    connect = engine.listener(settings_for(tmp_path, postgres_url))
    assert connect is not None
    answers = True

    async def stalling() -> Any:
        connection = await connect()

        async def execute(*given: Any, **more: Any) -> Any:
            if not answers:
                await asyncio.sleep(30)
            return await connection.execute(*given, **more)

        return Faulty(connection, "execute", execute)

    listener = Listener(stalling)
    await listener.start()
    await until(lambda: listener.missed_nothing_since(time.monotonic()))
    moment = time.monotonic()
    answers, asked = False, time.monotonic()
    while listener.missed_nothing_since(moment):
        assert asked - moment <= listening._TRUST_SECONDS + listening._PULSE_SECONDS
        asked = time.monotonic()
        await asyncio.sleep(0.01)
    await listener.close()
