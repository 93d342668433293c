"""Entries are sent to a collector over OTLP, each at least once; one that is gone or hangs holds up nothing."""

import asyncio
import socket
import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

import pytest

from keyrack import clock
from keyrack.model.audit import AuditEvent, ChainedEvent
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.service.audit.audit_sink import AT_ONCE, AuditSink
from keyrack.service.audit.chainer import Chainer
from keyrack.service.audit.ocsf import ocsf_event
from keyrack.service.audit.otlp_logs import OtlpLogs
from keyrack.service.audit.signing_keys import SigningKeys
from keyrack.service.authz.operator import operator, origin
from keyrack.store.audit_log import AuditLog
from keyrack.store.audit_sent import AuditSent
from keyrack.store.core.store import Store
from keyrack.wiring.auditing import build_audit
from support.app import World, settings_for
from support.collector import Collector, collecting

NORA = Principal(PrincipalKind.user, "u", "nora@acme.example", address="192.0.2.1", request_id="r1")


class Kept:
    """A collector that keeps what it takes, while it takes something."""

    def __init__(self) -> None:
        self.taken: list[Mapping[str, Any]] = []
        self.is_there = True

    async def send(self, events: Sequence[Mapping[str, Any]]) -> bool:
        await asyncio.sleep(0)
        if self.is_there:
            self.taken += events
        return self.is_there

    def numbers(self, tenant_id: str) -> list[int]:
        return [each["metadata"]["sequence"] for each in self.taken if each["metadata"]["tenant_uid"] == tenant_id]


async def add(store: Store, tenant_id: str, count: int = 1, action: str = "thing.change") -> None:
    async with store.unit(tenant_id, writes=True) as unit:
        for number in range(count):
            await AuditLog(unit).append(NORA, action, ("thing", f"t{number}"), "allowed")
    await chain(store)


async def chain(store: Store) -> None:
    chainer = Chainer(store, SigningKeys(store))
    while await chainer.tick():
        pass


async def all_of(sink: AuditSink) -> None:
    while await sink.tick():
        pass


async def test_a_real_receiver_gets_events_of_ocsf(keyrack_on_each: World, collector: Collector) -> None:
    acme, store = keyrack_on_each.tenants["Acme"], keyrack_on_each.store
    assert (await acme.integrator.post("/v2/contracts", {"data": {"type": "contract"}})).status_code == 403
    await keyrack_on_each.http.get("/v2/users/me", headers={"authorization": "Basic bm9ib2R5Ong="})
    await keyrack_on_each.services.audit_parts.counter.flush()
    await keyrack_on_each.services.audit_parts.hours.write_now("")
    await add(store, acme.id, 3, "oauth-client.delete")
    settings = settings_for(keyrack_on_each.settings.home, None, audit_otlp="true")
    sink = build_audit(store, settings, clock.now).sink
    assert sink is not None
    await all_of(sink)
    assert {path for path, _ in collector.requests} == {"/v1/logs"}
    assert collector.resources[0]["service.name"] == "keyrack"
    denied, *deleted = [each for each in collector.logs if each["metadata"]["tenant_uid"] == acme.id]
    assert (denied["status"], denied["severity_id"], denied["class_uid"]) == ("Failure", 3, 6003)
    assert denied["actor"]["user"]["name"] == acme.integrator.name
    assert [each["metadata"]["sequence"] for each in deleted] == [2, 3, 4]
    first = deleted[0]
    assert (first["type_uid"], first["activity_name"]) == (600304, "Delete")
    assert first["api"] == {
        "operation": "oauth-client.delete",
        "service": {"name": "Keyrack"},
        "request": {"uid": "r1"},
    }
    assert (first["src_endpoint"], first["resources"]) == ({"ip": "192.0.2.1"}, [{"type": "thing", "uid": "t0"}])
    assert first["time"] > 1_700_000_000_000
    (wrong_key,) = [each for each in collector.logs if each["class_uid"] == 3002]
    assert (wrong_key["user"]["name"], wrong_key["count"], wrong_key["type_uid"]) == ("nobody", 1, 300201)
    before = len(collector.logs)
    await all_of(sink)
    assert len(collector.logs) == before, "nothing is sent twice where nothing went wrong"


def test_a_command_has_its_user_and_its_machine() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    entry = AuditEvent(
        "i",
        at,
        operator().name,
        operator().kind,
        "keys.rotate",
        "key",
        "k",
        "allowed",
        origin({"SUDO_USER": "ad\x1ba"}),
        None,
    )
    told = ocsf_event("", ChainedEvent(entry, 1, b""))
    assert told["actor"] == {"user": {"name": "ada", "type_id": 1, "type": "User"}, "app_name": "command line"}
    assert told["src_endpoint"] == {"hostname": socket.gethostname()}
    assert (operator().address or "").endswith(f"@{socket.gethostname()}")


async def test_a_collector_that_is_away_gets_everything_when_it_is_back(keyrack_on_each: World) -> None:
    acme, store, kept = keyrack_on_each.tenants["Acme"].id, keyrack_on_each.store, Kept()
    sink = AuditSink(store, kept)
    await add(store, acme, AT_ONCE + 5)
    kept.is_there = False
    assert await sink.tick() == 0
    assert await sink.tick() == 0, "it is left alone for a while"
    kept.is_there = True
    later = clock.now() + timedelta(seconds=6)
    with mock.patch.object(store, "_clock", return_value=later):
        await all_of(AuditSink(store, kept))
    assert kept.numbers(acme) == list(range(1, AT_ONCE + 6))


async def test_who_is_killed_before_the_position_moves_sends_again(
    keyrack_on_each: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, store, kept = keyrack_on_each.tenants["Acme"].id, keyrack_on_each.store, Kept()
    await chain(store)
    await all_of(AuditSink(store, Kept()))  # what others have
    await add(store, acme, 2)
    with monkeypatch.context() as killed:
        killed.setattr(AuditSent, "sent", mock.AsyncMock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            await AuditSink(store, kept).tick()
    assert kept.numbers(acme) == [1, 2]
    await all_of(AuditSink(store, kept))
    assert kept.numbers(acme) == [1, 2], "somebody may be sending it"
    later = clock.now() + timedelta(seconds=91)
    with mock.patch.object(store, "_clock", return_value=later):
        await all_of(AuditSink(store, kept))
    assert kept.numbers(acme) == [1, 2, 1, 2]


async def test_replicas_share_the_work_and_none_is_sent_twice(keyrack_on_each: World) -> None:
    acme, store, kept = keyrack_on_each.tenants["Acme"].id, keyrack_on_each.store, Kept()
    await add(store, acme, 20)
    await add(store, keyrack_on_each.tenants["Globex"].id, 20)
    await asyncio.gather(*(all_of(AuditSink(store, kept)) for _ in range(4)))
    await all_of(AuditSink(store, kept))
    assert sorted(kept.numbers(acme)) == list(range(1, 21))


async def test_who_claims_a_log_hears_how_far_it_has_been_sent_by_then(keyrack_on_each: World) -> None:
    acme, store, at = keyrack_on_each.tenants["Acme"].id, keyrack_on_each.store, clock.now()

    async def claimed() -> int | None:
        async with store.unit(acme, writes=True) as unit:
            return await AuditSent(unit).claim(at)

    with mock.patch.object(store, "_clock", return_value=at):
        assert await claimed() == 0
        async with store.unit(acme, writes=True) as unit:
            assert await AuditSent(unit).claim(at) == 0
            next_one = asyncio.create_task(claimed())
            await asyncio.wait([next_one], timeout=0.2)  # it has to wait
            await AuditSent(unit).sent(7)
        assert await next_one == 7


async def test_a_collector_that_hangs_holds_up_neither_work_nor_the_stop(
    keyrack: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, go_on, asked = keyrack.tenants["Acme"], threading.Event(), threading.Event()

    def hang() -> None:
        asked.set()
        go_on.wait(60)

    with collecting(hang) as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", f"{running.url}/v1/logs")
        await add(keyrack.store, acme.id)
        sink = AuditSink(keyrack.store, OtlpLogs("test"))
        task = asyncio.create_task(sink.tick())
        await asyncio.to_thread(asked.wait, 60)
        contract = {"data": {"type": "contract", "attributes": {"name": "Meanwhile"}}}
        assert (await acme.admin.post("/v2/contracts", contract)).status_code == 201
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()


async def test_the_next_batch_follows_at_once_however_long_the_thread_of_the_last_takes_to_end(
    keyrack: World, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, globex = keyrack.tenants["Acme"].id, keyrack.tenants["Globex"].id
    await add(keyrack.store, acme)
    await add(keyrack.store, globex)
    loop, ended = asyncio.get_running_loop(), threading.Event()
    tell = loop.call_soon_threadsafe

    def tell_and_linger(*given: Any) -> None:
        tell(*given)
        if threading.current_thread().name == "audit sink":
            ended.wait(60)

    monkeypatch.setattr(loop, "call_soon_threadsafe", tell_and_linger)
    await AuditSink(keyrack.store, OtlpLogs("test")).tick()
    ended.set()
    assert {acme, globex} <= {each["metadata"]["tenant_uid"] for each in collector.logs}


@pytest.mark.parametrize(
    "environment",
    [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "nowhere"}, {"OTEL_LOGS_EXPORTER": "none"}, {"OTEL_SDK_DISABLED": "true"}],
)
async def test_what_cannot_be_used_only_switches_it_off(
    keyrack: World, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    on = settings_for(keyrack.settings.home, None, audit_otlp="true")
    assert build_audit(keyrack.store, on, clock.now).sink is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:9/v1/logs")
    assert build_audit(keyrack.store, keyrack.settings, clock.now).sink is None, "it must be asked for"
