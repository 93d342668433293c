"""Lists that are read from anywhere in them, and narrowed: the audit log, deliveries, events, users by email."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from keyrack.ids import new_id
from keyrack.model.audit import AuditEvent, AuditFilter, AuditPosition
from keyrack.model.events import DeliveryState, EventType
from keyrack.model.windows import Beside, window
from keyrack.store import schema as t
from keyrack.store.audit_log import AuditLog
from keyrack.store.contracts import ContractMembers
from keyrack.store.core.store import Store
from keyrack.store.deliveries import Deliveries
from keyrack.store.outbox import Outbox
from keyrack.store.users import UserRows
from keyrack.store.workspaces import WorkspaceMembers
from support.app import World, settings_for, world
from support.crowd import analyze
from support.statements_seen import statements_seen

START = datetime(2026, 1, 1, tzinfo=UTC)
MANY = 3_000
COMMON: dict[str, Any] = {"actor_kind": "user", "target_type": "secret"}


def entry(tenant_id: str, n: int, **more: Any) -> dict[str, Any]:
    """An event; three have the same time."""
    return {
        "id": new_id(), "tenant_id": tenant_id, "at": START + timedelta(minutes=n // 3), "actor": "a@acme.example",
        "action": "secret.get", "target_id": "0" * 24, "outcome": "allowed", "address": "192.0.2.1",
        "request_id": f"r{n}", **COMMON, **more,
    }  # fmt: skip


async def store_entries(store: Store, rows: list[dict[str, Any]]) -> None:
    async with store.installation(writes=True) as unit:
        await unit.connection.execute(insert(t.audit_events), rows)


async def test_the_log_is_read_from_anywhere_in_both_directions(keyrack_on_each: World) -> None:
    acme, globex = keyrack_on_each.tenants["Acme"], keyrack_on_each.tenants["Globex"]
    rows = [entry(acme.id, n) for n in range(20)]
    await store_entries(keyrack_on_each.store, [*rows, *(entry(globex.id, n) for n in range(20))])
    wanted, read = AuditFilter(until=START + timedelta(days=1)), list[AuditEvent]()
    async with keyrack_on_each.store.unit(acme.id) as unit:
        log, begin = AuditLog(unit), None
        while found := await log.stretch(wanted, begin, newest_first=True, limit=7):
            read += found
            begin = AuditPosition(found[-1].at, found[-1].id)
        assert [each.id for each in read] == [row["id"] for row in reversed(rows)]
        middle = AuditPosition(read[9].at, read[9].id)
        after = await log.stretch(wanted, middle, newest_first=False, limit=3)
    assert [each.id for each in after] == [read[8].id, read[7].id, read[6].id]


async def test_every_filter_finds_its_events_and_all_together(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    rare = {
        "actor": "rare", "action": "user.delete", "target_id": "1" * 24, "outcome": "denied", "address": "2001:db8::1",
        "request_id": "rare", "target_type": "user",
    }  # fmt: skip
    rows = [entry(acme.id, n) for n in range(9)]
    odd = [entry(acme.id, 9, **{name: value}) for name, value in rare.items()]
    whole = entry(acme.id, 300, **rare)
    await store_entries(keyrack_on_each.store, [*rows, *odd, whole])
    async with keyrack_on_each.store.unit(acme.id) as unit:
        for (name, value), row in zip(rare.items(), odd, strict=True):
            found = await AuditLog(unit).stretch(AuditFilter(**{name: value}), None, newest_first=False, limit=9)  # type: ignore[arg-type]
            assert [each.id for each in found] == [row["id"], whole["id"]]
        every = AuditFilter(**rare, since=START + timedelta(minutes=100), until=START + timedelta(minutes=101))
        assert [each.id for each in await AuditLog(unit).stretch(every, None, newest_first=True, limit=9)] == [
            whole["id"]
        ]
        until = AuditFilter(**rare, until=START + timedelta(minutes=100))  # type: ignore[arg-type]
        assert await AuditLog(unit).stretch(until, None, newest_first=True, limit=9) == []


async def test_each_filter_of_the_log_has_an_index(tmp_path: Path, database_url: str | None) -> None:
    names = ("actor", "action", "target_id", "outcome", "address", "request_id")
    async with world(settings_for(tmp_path, database_url)) as keyrack:
        acme = keyrack.tenants["Acme"]
        await store_entries(keyrack.store, [entry(acme.id, n) for n in range(MANY)])
        await analyze(keyrack.store)
        for name in names:
            async with keyrack.store.unit(acme.id) as unit:
                ran: list[tuple[str, Any]] = []
                with statements_seen(lambda _connection, text, values: ran.append((text, values))):  # noqa: B023 - used at once
                    await AuditLog(unit).stretch(AuditFilter(**{name: "rare"}), None, newest_first=True, limit=25)  # type: ignore[arg-type]
                plan = await explained(unit, *ran[0])
            assert f"audit_events_{name}_idx" in plan, plan
            assert "Sort" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan


async def explained(unit: Any, text: str, values: Any) -> str:
    from keyrack.store.core.statements import CompiledStatement  # noqa: PLC0415 - as the test of other plans

    word = "EXPLAIN" if unit.connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    statement = CompiledStatement(f"{word} {text}", (), {}, {}, tuple, returns_rows=True)
    rows = (await unit.connection._run(statement, statement.text, values, scans=True)).all()
    return "\n".join(str(row[-1]) for row in rows)


async def test_users_are_found_by_the_beginning_of_their_email(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    for name in ("Zoe-x", "zoe.b", "zoe_c", "ZOE@", "zo\u00eb", "zof"):
        await keyrack_on_each.add_user(acme.id, f"{name.removesuffix('@')}@acme.example")
    await keyrack_on_each.add_user(keyrack_on_each.tenants["Globex"].id, "zoe@globex.example")
    async with keyrack_on_each.store.unit(acme.id) as unit:
        users = UserRows(unit)
        found = [each.email for each in await users.by_email("ZOE", None, backwards=False, limit=9)]
        assert found == [f"{name}@acme.example" for name in ("Zoe-x", "zoe.b", "ZOE", "zoe_c")]
        after = await users.by_email("zoe", "zoe.b@acme.example", backwards=False, limit=1)
        assert [each.email for each in after] == ["ZOE@acme.example"]
        before = await users.by_email("zoe", "zoe_c@acme.example", backwards=True, limit=2)
        assert [each.email for each in before] == ["ZOE@acme.example", "zoe.b@acme.example"]
        assert await users.by_email("zoe%", None, backwards=False, limit=9) == []


async def test_deliveries_and_events_are_read_newest_first(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    attributes = {"url": "https://receiver.example/hook", "event_types": ["secret.failed"]}
    made = await acme.admin.post(
        f"/v2/tenants/{acme.id}/webhooks", {"data": {"type": "webhook", "attributes": attributes}}
    )
    webhook_id = made.json()["data"]["id"]
    async with keyrack_on_each.store.unit(acme.id, writes=True) as unit:
        for n in range(5):
            await Outbox(unit).add(EventType.secret_failed, {"n": n})
        await Outbox(unit).add(EventType.secret_revoked, {"n": 5})
    async with keyrack_on_each.store.unit(acme.id) as unit:
        rows, outbox = Deliveries(unit), Outbox(unit)
        newest = await rows.stretch(webhook_id, None, None, newest_first=True, limit=2)
        events = await outbox.stretch(None, None, newest_first=True, limit=9)
        assert [each.data["n"] for each in events] == [5, 4, 3, 2, 1, 0]
        assert [each.event_id for each in newest] == [events[1].id, events[2].id]
        older = await rows.stretch(webhook_id, DeliveryState.pending, newest[-1].event_id, newest_first=True, limit=9)
        assert [each.event_id for each in older] == [each.id for each in events[3:]]
        newer = await rows.stretch(webhook_id, None, older[-1].event_id, newest_first=False, limit=1)
        assert [each.event_id for each in newer] == [events[4].id]
        assert await rows.stretch(webhook_id, DeliveryState.failed, None, newest_first=True, limit=9) == []
        assert [await rows.count(webhook_id, DeliveryState.pending, most) for most in (3, 9)] == [3, 5]
        of_type = await outbox.stretch(EventType.secret_failed, events[2].id, newest_first=True, limit=1)
        assert [each.data["n"] for each in of_type] == [2]
        assert (await rows.find(webhook_id, events[0].id), await rows.find("0" * 24, events[1].id)) == (None, None)
    async with keyrack_on_each.store.unit(keyrack_on_each.tenants["Globex"].id) as unit:
        assert await Deliveries(unit).stretch(webhook_id, None, None, newest_first=True, limit=9) == []
        assert await Deliveries(unit).count(webhook_id, DeliveryState.pending, 9) == 0


@pytest.mark.parametrize(
    ("found", "beside", "rows", "earlier", "later"),
    [
        ([1, 2, 3], Beside(), [1, 2], False, True),
        ([1, 2], Beside(), [1, 2], False, False),
        ([4, 5, 6], Beside(3), [4, 5], True, True),
        ([4], Beside(3), [4], True, False),
        ([5, 4, 3], Beside(6, backwards=True), [4, 5], True, True),
        ([2, 1], Beside(3, backwards=True), [1, 2], False, True),
    ],
)
def test_a_window_knows_what_is_beside_it(
    found: list[int], beside: Beside[int], rows: list[int], earlier: bool, later: bool
) -> None:
    seen = window(found, beside, 2)
    assert (list(seen.rows), seen.has_earlier, seen.has_later) == (rows, earlier, later)


async def test_a_page_knows_some_of_many_members_and_always_the_visitor(keyrack_on_each: World) -> None:
    acme = keyrack_on_each.tenants["Acme"]
    everybody = sorted(each.id for each in (acme.integrator, acme.admin, acme.guest))
    async with keyrack_on_each.store.unit(acme.id) as unit:
        for rows, place in ((WorkspaceMembers(unit), acme.workspace_id), (ContractMembers(unit), acme.contract_id)):
            whole = (await rows.ids([place]))[place]
            assert set(everybody) <= set(whole)
            for one in everybody:
                found = (await rows.some_ids([place, new_id()], one, 1))[place]
                assert found[0] == one
                assert len(found) <= 2
                assert set((await rows.some_ids([place], one, 100))[place]) == set(whole)
            nobody = new_id()
            assert (await rows.some_ids([place], nobody, 100))[place] == sorted(whole)
            assert await rows.some_ids([], nobody, 100) == {}
