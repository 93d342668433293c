"""The hash chain over an audit log: nothing is skipped, nothing stands in it twice, and what is changed is found."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Delete, Update, delete, update

from keyrack import clock
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.audit.audit_retention import AuditRetention
from keyrack.service.audit.chain_export import ChainExport
from keyrack.service.audit.chainer import AT_ONCE, Chainer
from keyrack.service.audit.counted_acts import AuditHours
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.service.audit.verifier import NotVerified, Verified, verify
from keyrack.store.audit_chain import AuditChain
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.schema import audit_chains, audit_checkpoints, audit_events, audit_keys
from support.app import BASE, World, on_postgresql_only, settings_for, world

WHO = Principal(PrincipalKind.user, "", 'nora \u2028 \U0001f600 "ö\\ \x7f\x01', address="192.0.2.1", request_id="r/1")
OPERATOR = Principal(PrincipalKind.system, "", "command line")


class Parts:
    """What makes and reads chains, as one process has it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.keys = SigningKeys(store)
        self.chainer = Chainer(store, self.keys)
        self.export = ChainExport(store, self.keys, self.chainer, AuditHours(store))

    async def lines(self, tenant_id: str) -> list[bytes]:
        return b"".join([some async for some in self.export.lines(tenant_id)]).splitlines(keepends=True)

    async def verified(self, tenant_id: str) -> Verified:
        trusted = [stored.key.public for stored in (await self.keys.all())[-1:]]
        return verify(await self.lines(tenant_id), trusted, {})


async def add(store: Store, tenant_id: str, *names: str) -> None:
    """Add an event for each name, as its target."""
    async with store.unit(tenant_id, writes=True) as unit:
        for name in names:
            await AuditLog(unit).append(WHO, "thing.change", ("thing", name), "allowed")


async def targets(store: Store, tenant_id: str) -> list[str | None]:
    """Return what the entries of a chain are about, in order."""
    async with store.unit(tenant_id) as unit:
        head = await AuditChain(unit).head()
        entries = await AuditChain(unit).entries(0, head.sequence, 10_000)
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))
    return [entry.event.target_id for entry in entries]


async def test_every_event_gets_its_place_and_the_whole_verifies(keyrack_on_each: World) -> None:
    acme, globex = (keyrack_on_each.tenants[name].id for name in ("Acme", "Globex"))
    parts = Parts(keyrack_on_each.store)
    for number in range(3):
        await add(parts.store, acme, *(f"a{number}-{each}" for each in range(AT_ONCE // 2)))
        await add(parts.store, globex, f"g{number}")
        await add(parts.store, "", f"i{number}")
    assert await parts.chainer.tick() == 1, "Acme has more than one share"
    while await parts.chainer.tick():
        pass
    assert len(await targets(parts.store, acme)) == 3 * (AT_ONCE // 2)
    assert await targets(parts.store, globex) == ["g0", "g1", "g2"]
    assert (await targets(parts.store, ""))[-3:] == ["i0", "i1", "i2"]
    for tenant_id in (acme, globex, ""):
        verified = await parts.verified(tenant_id)
        assert (verified.tenant_id, verified.first) == (tenant_id, 1)
        assert verified.last == len(await targets(parts.store, tenant_id))


@on_postgresql_only
async def test_an_event_that_is_committed_late_is_not_skipped(keyrack_on_each: World) -> None:
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    async with parts.store.unit(acme, writes=True) as slow:
        await AuditLog(slow).append(WHO, "thing.change", ("thing", "early, but late"), "allowed")
        await add(parts.store, acme, "later, but first")
        await parts.chainer.tick()
        assert await targets(parts.store, acme) == ["later, but first"]
    await parts.chainer.tick()
    assert await targets(parts.store, acme) == ["later, but first", "early, but late"]
    await parts.verified(acme)


async def test_replicas_side_by_side_with_writers_put_each_event_there_once(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"].id
    replicas = [Parts(keyrack_on_each.store) for _ in range(3)]
    writing = True

    async def write(writer: int) -> None:
        for number in range(20):
            await add(keyrack_on_each.store, acme, f"{writer}-{number}")

    async def chain(parts: Parts) -> None:
        while writing:
            await parts.chainer.tick()
            await asyncio.sleep(0)

    chaining = [asyncio.create_task(chain(parts)) for parts in replicas]
    await asyncio.gather(*(write(writer) for writer in range(5)))
    writing = False
    await asyncio.gather(*chaining)
    await replicas[0].chainer.tick()
    found = await targets(keyrack_on_each.store, acme)
    assert sorted(map(str, found)) == sorted(f"{writer}-{number}" for writer in range(5) for number in range(20))
    assert (await replicas[1].verified(acme)).last == 100


@pytest.mark.parametrize("method", ["place", "move", "keep"])
async def test_a_crash_between_any_two_statements_leaves_nothing_half_done(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    await add(parts.store, acme, "one", "two")
    original = getattr(AuditChain, method)

    async def crash(*given: Any) -> None:
        await original(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(AuditChain, method, crash)
        with pytest.raises(KeyboardInterrupt):
            await parts.chainer.tick()
    assert await targets(parts.store, acme) == []
    await parts.chainer.tick()
    assert await targets(parts.store, acme) == ["one", "two"]
    await parts.verified(acme)


async def test_the_log_grows_with_no_lock_on_its_chain(keyrack_on_each: World) -> None:
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    if keyrack_on_each.settings.database_url is None:
        return  # one writer at a time, whatever it does
    async with parts.store.unit(acme, writes=True) as chaining:
        await AuditChain(chaining).hold()
        await add(parts.store, acme, "written meanwhile")
    await parts.chainer.tick()
    assert await targets(parts.store, acme) == ["written meanwhile"]


Tamper = Callable[[Unit], Awaitable[None]]
_e = audit_events.c


def running(statement: Update | Delete) -> Tamper:
    """Return what runs a statement, as somebody with access to the database can."""

    async def tamper(unit: Unit) -> None:
        await unit.connection.execute(statement)

    return tamper


async def _swap(unit: Unit) -> None:
    for old, new in ((4, 99), (5, 4), (99, 5)):
        change = update(audit_events).where(_e.tenant_id == unit.tenant_id, _e.sequence == old).values(sequence=new)
        await unit.connection.execute(change)


def at(sequence: int) -> Any:
    return (_e.sequence == sequence) & (_e.tenant_id != "")


TAMPERING: dict[str, tuple[Tamper, int]] = {
    "actor": (running(update(audit_events).where(at(4)).values(actor="mallory")), 4),
    "time": (running(update(audit_events).where(at(4)).values(at=clock.now() - timedelta(days=1))), 4),
    "outcome": (running(update(audit_events).where(at(1)).values(outcome="denied")), 1),
    "no address": (running(update(audit_events).where(at(7)).values(address=None)), 7),
    "hash": (running(update(audit_events).where(at(4)).values(entry_hash=bytes(32))), 4),
    "no hash": (running(update(audit_events).where(at(4)).values(entry_hash=None)), 4),
    "one removed": (running(delete(audit_events).where(at(4))), 4),
    "first removed": (running(delete(audit_events).where(at(1))), 1),
    "last removed": (running(delete(audit_events).where(at(9))), 9),
    "two swapped": (_swap, 4),
}


@pytest.mark.parametrize("name", TAMPERING)
async def test_what_is_changed_in_the_database_is_found(keyrack_on_each: World, name: str) -> None:
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    await add(parts.store, acme, *(f"t{number}" for number in range(9)))
    await parts.chainer.tick()
    assert (await parts.verified(acme)).last == 9
    tamper, entry = TAMPERING[name]
    async with parts.store.unit(acme, writes=True) as unit:
        await tamper(unit)
    with pytest.raises(NotVerified) as found:
        await parts.verified(acme)
    assert found.value.entry == entry, found.value.problem


END_CHANGED: dict[str, Tamper] = {
    "hash": running(update(audit_chains).values(hash=bytes(32))),
    "shorter": running(update(audit_chains).values(sequence=2)),
    "no signature": running(update(audit_chains).values(signature=None)),
    "another time": running(update(audit_chains).values(at=clock.now() - timedelta(days=1))),
    "another key": running(update(audit_chains).values(key_id="0" * 24)),
}


@pytest.mark.parametrize("name", END_CHANGED)
async def test_a_changed_end_is_neither_signed_nor_added_to(keyrack_on_each: World, name: str) -> None:
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    await add(parts.store, acme, "one", "two", "three")
    await parts.chainer.tick()
    async with parts.store.unit(acme, writes=True) as unit:
        await END_CHANGED[name](unit)
    await add(parts.store, acme, "four")
    await add(parts.store, keyrack_on_each.tenants["Globex"].id, "goes on")
    other = Parts(keyrack_on_each.store)
    await other.chainer.tick()
    assert await targets(parts.store, keyrack_on_each.tenants["Globex"].id) == ["goes on"]
    async with parts.store.unit(acme) as unit:
        assert [event.target_id for event in await AuditChain(unit).tail(10)] == ["four"]
    lines = await other.lines(acme)
    assert not any(b'"type":"end"' in line for line in lines)
    with pytest.raises(NotVerified):
        verify(lines, None, {})


async def test_a_key_that_somebody_put_there_signs_nothing(keyrack_on_each: World) -> None:
    """Whoever writes to the database has no key to seal one with: a sealed value is bound to its place."""
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    await add(parts.store, acme, "one")
    await parts.chainer.tick()
    async with parts.store.installation(writes=True) as unit:
        await unit.connection.execute(update(audit_keys).values(id="f" * 24))
    await add(parts.store, acme, "two")
    with pytest.raises(Exception, match="cannot be opened"):
        await Parts(keyrack_on_each.store).chainer.tick()
    assert await targets(parts.store, acme) == ["one"]


async def test_keys_are_exchanged_and_old_checkpoints_stay_good(keyrack_on_each: World) -> None:
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    await add(parts.store, acme, "one")
    await parts.chainer.tick()
    first = await parts.keys.current()
    before = await parts.lines(acme)
    new = await Parts(keyrack_on_each.store).keys.rotate(OPERATOR)
    await add(parts.store, acme, "two")
    await parts.chainer.tick()
    assert (await parts.keys.current()).id == new.id != first.id
    lines = await parts.lines(acme)
    assert verify(lines, [new.public], {}).key_id == new.id
    assert verify(lines, [first.public, new.public], {}).last == 2
    assert verify(before, [first.public], {}).last == 1
    with pytest.raises(NotVerified, match=f"signed with the key {new.id}, and the one given is {first.id}"):
        verify(lines, [first.public], {})
    async with parts.store.installation() as unit:
        (event,) = await AuditLog(unit).newest({"action": "audit-key.rotate"}, None, limit=1)
    assert (event.target_id, event.actor) == (new.id, "command line")


@pytest.fixture
async def old_log(
    tmp_path: Path, database_url: str | None
) -> AsyncIterator[tuple[World, Parts, Callable[[int], None]]]:
    """An installation whose clock can be put forward by days."""
    ahead = [timedelta()]

    def now() -> datetime:
        return clock.now() + ahead[0]

    def forward(days: int) -> None:
        ahead[0] += timedelta(days=days)

    async with world(settings_for(tmp_path, database_url, public_url=BASE), now) as made:
        yield made, Parts(made.store), forward


async def test_retention_leaves_a_log_that_verifies(old_log: tuple[World, Parts, Callable[[int], None]]) -> None:
    keyrack, parts, forward = old_log
    acme = keyrack.tenants["Acme"].id
    await add(parts.store, acme, *(f"old{number}" for number in range(AT_ONCE + 20)))
    while await parts.chainer.tick():
        pass
    whole = verify(await parts.lines(acme), None, {})
    forward(8)
    await add(parts.store, acme, "new")
    await parts.chainer.tick()
    await add(parts.store, acme, "not in the chain yet")
    assert await AuditRetention(parts.store, parts.keys, 0).reap() == 0
    assert await AuditRetention(parts.store, parts.keys, 9).reap() == 0
    await AuditRetention(parts.store, parts.keys, 7).reap()
    lines = await parts.lines(acme)
    verified = verify(lines, None, whole.signed)
    assert (verified.first, verified.last) == (AT_ONCE + 21, AT_ONCE + 22)
    assert any(b'"type":"cut"' in line for line in lines)
    forward(100)
    await AuditRetention(parts.store, parts.keys, 7).reap()
    assert verify(await parts.lines(acme), None, {}).first == 0, "nothing is left"
    await add(parts.store, acme, "goes on")
    verified = await parts.verified(acme)
    assert (verified.first, verified.last) == (AT_ONCE + 23, AT_ONCE + 23)
    without = [line for line in await parts.lines(acme) if b'"type":"cut"' not in line]
    with pytest.raises(NotVerified, match="entry 1 is missing"):
        verify(without, None, {})
    async with parts.store.unit(acme, writes=True) as unit:
        await unit.connection.execute(update(audit_chains).values(cut_sequence=1))
    await add(parts.store, acme, "more")
    assert not any(b'"type":"end"' in line for line in await Parts(parts.store).lines(acme))


async def test_events_from_before_there_were_chains_are_put_there(keyrack_on_each: World) -> None:
    acme, parts = keyrack_on_each.tenants["Acme"].id, Parts(keyrack_on_each.store)
    await add(parts.store, acme, *(f"old{number}" for number in range(AT_ONCE + 7)))
    async with parts.store.unit(acme, writes=True) as unit:
        for table in (audit_chains, audit_checkpoints, audit_keys):
            await unit.connection.execute(delete(table))
        await unit.connection.execute(update(audit_events).values(sequence=None, entry_hash=None))
    fresh = Parts(parts.store)
    while await fresh.chainer.tick():
        pass
    assert await targets(parts.store, acme) == [f"old{number}" for number in range(AT_ONCE + 7)]
    assert (await fresh.verified(acme)).last == AT_ONCE + 7
