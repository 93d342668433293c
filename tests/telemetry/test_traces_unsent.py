"""A collector that is gone, hangs or refuses changes nothing but that there are no traces; memory stays bounded."""

import asyncio
import logging
import threading
from pathlib import Path
from typing import Any

import httpx2
import pytest

from keyrack import tracing
from keyrack.simulator.testing import RunningSimulator
from support.app import World
from support.collector import Collector, collecting, traced
from support.grants import connect, is_renewed, stored
from support.keyrack_processes import Server, environment
from support.process import free_port

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


async def test_a_collector_that_is_gone_fails_nothing_and_its_address_is_not_logged(
    keyrack: World, simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ENDPOINT, f"http://user:canary@127.0.0.1:{free_port()}/?key=canary")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary")
    monkeypatch.setattr(tracing, "_FLUSH_SECONDS", 0.3)
    connected = await connect(keyrack, simulator)
    acme = keyrack.tenants["Acme"]
    async with traced():
        path = f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}"
        assert (await acme.admin.get(path)).json()["data"]["attributes"]["state"] == "ready"
    assert is_renewed(simulator, connected.secret, await stored(keyrack.store, connected.secret))
    said = capfd.readouterr()
    assert "canary" not in said.out + said.err


async def test_a_collector_that_hangs_holds_up_neither_work_nor_the_stop_and_fills_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answering = threading.Event()
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "16")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setattr(tracing, "_FLUSH_SECONDS", 0.1)
    with collecting(before=lambda: answering.wait(60)) as collector:
        monkeypatch.setenv(ENDPOINT, collector.url)
        tracing.start("hangs")
        kept = queue_of(tracing._State.provider)
        for _ in range(500):
            with tracing.span("work"):
                pass
        assert len(kept) <= 16
        await tracing.close()
        assert collector.spans == []
        answering.set()
    assert tracing.span("afterwards") is tracing.UNTRACED


def queue_of(provider: Any) -> Any:
    (processor,) = provider._active_span_processor._span_processors
    return processor._batch_processor._queue


def test_the_librarys_complaints_are_counted_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[dict[str, Any]] = []
    monkeypatch.setattr(tracing, "log", type("Log", (), {"warning": lambda _self, _event, **more: said.append(more)})())
    complaints = tracing._Complaints()
    record = logging.LogRecord("opentelemetry.x", logging.ERROR, "", 0, "canary %s", ("canary",), None)
    for _ in range(100):
        complaints.emit(record)
    assert said == [{"complaints": 1, "by": "opentelemetry.x"}]
    complaints._at = float("-inf")
    complaints.emit(record)
    assert said[1] == {"complaints": 100, "by": "opentelemetry.x"}


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/not/there"), (ENDPOINT, "x")],
)
async def test_a_variable_that_cannot_be_used_keeps_nothing_from_starting(
    variable: str, value: str, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    monkeypatch.setattr(tracing, "_FLUSH_SECONDS", 0.3)
    async with traced():
        with tracing.span("work"):
            pass
    assert collector.spans == [] or variable.endswith("CERTIFICATE")  # which http has no use for


async def test_a_server_sends_its_traces_and_the_last_ones_when_it_stops(
    keyrack: World, simulator: RunningSimulator, collector: Collector, tmp_path: Path
) -> None:
    connected, acme = await connect(keyrack, simulator), keyrack.tenants["Acme"]
    env = environment(keyrack.settings) | {"OTEL_SERVICE_NAME": "tokens", "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    server = Server(env, tmp_path / "server.log", "--no-worker")
    try:
        await asyncio.to_thread(server.wait_until_ready)
        async with httpx2.AsyncClient(base_url=server.base) as http:
            path = f"/v2/workspaces/{acme.workspace_id}/secrets/{connected.secret.id}"
            assert (await http.get(path, headers=acme.admin.headers)).status_code == 200
        assert await asyncio.to_thread(server.stop) == 0, server.log()
    finally:
        server.kill()
    asked = collector.one("GET /v2/workspaces/{workspace_id}/secrets/{secret_id}")
    assert collector.one("refresh").parent_id == asked.span_id
    assert collector.resources[0]["service.name"] == "tokens"
    assert "#" in collector.resources[0]["service.instance.id"]  # which process of which machine
