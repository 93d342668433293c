"""OpenTelemetry is on where the standard variables ask for it; a value that cannot be used only switches it off."""

import os
import subprocess
import sys

import pytest

from keyrack import telemetry
from keyrack.telemetry import Signal, resource, switch

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = {ENDPOINT: "http://collector.example:4318"}

OFF: tuple[dict[str, str], ...] = (
    {},
    {ENDPOINT: ""},
    {ENDPOINT: "  "},
    {"OTEL_TRACES_EXPORTER": ""},
    {"OTEL_TRACES_EXPORTER": "none"},
    {**COLLECTOR, "OTEL_TRACES_EXPORTER": "none"},
    {**COLLECTOR, "OTEL_TRACES_EXPORTER": " None "},
    {**COLLECTOR, "OTEL_SDK_DISABLED": "true"},
    {**COLLECTOR, "OTEL_SDK_DISABLED": "TRUE"},
    {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_SDK_DISABLED": "true"},
    {"OTEL_SERVICE_NAME": "tokens", "OTEL_EXPORTER_OTLP_HEADERS": "x=y"},
    {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://collector.example:4318/v1/logs"},
)

ON = (
    COLLECTOR,
    {"OTEL_TRACES_EXPORTER": "otlp"},
    {"OTEL_TRACES_EXPORTER": " OTLP "},
    {**COLLECTOR, "OTEL_TRACES_EXPORTER": ""},
    {**COLLECTOR, "OTEL_SDK_DISABLED": "yes"},  # only "true" is true
    {**COLLECTOR, "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
    {**COLLECTOR, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf"},
    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://[::1]:4318/v1/traces"},
)

REFUSED = (
    ({**COLLECTOR, "OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER"),
    ({**COLLECTOR, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
    ({**COLLECTOR, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"),
    ({ENDPOINT: "collector:4317"}, ENDPOINT),
    ({ENDPOINT: "http://"}, ENDPOINT),
    ({ENDPOINT: "http://collector:port"}, ENDPOINT),
    ({ENDPOINT: "http://[::1"}, ENDPOINT),
    ({**COLLECTOR, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "unix:/s"}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
)


@pytest.mark.parametrize("environment", OFF)
def test_an_environment_that_does_not_ask_gets_nothing(environment: dict[str, str]) -> None:
    assert switch(Signal.traces, environment) == telemetry.Switch(on=False)


@pytest.mark.parametrize("environment", ON)
def test_an_exporter_or_an_endpoint_asks(environment: dict[str, str]) -> None:
    assert switch(Signal.traces, environment) == telemetry.Switch(on=True)


@pytest.mark.parametrize(("environment", "variable"), REFUSED)
def test_a_value_that_cannot_be_used_switches_off_and_is_named_but_not_shown(
    environment: dict[str, str], variable: str
) -> None:
    found = switch(Signal.traces, environment)
    assert not found.on
    assert found.why_not is not None
    assert found.why_not.startswith(variable)
    assert environment[variable] not in found.why_not


def test_each_signal_has_its_own_variables() -> None:
    only_logs = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://127.0.0.1:4318/v1/logs"}
    assert [switch(signal, only_logs).on for signal in (Signal.logs, Signal.traces)] == [True, False]
    assert switch(Signal.logs, {**COLLECTOR, "OTEL_LOGS_EXPORTER": "none"}) == telemetry.Switch(on=False)


def test_what_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "_EXTRA", "opentelemetry.exporter.that.is.not.there")
    found = switch(Signal.traces, COLLECTOR)
    assert not found.on
    assert "keyrack[otel]" in (found.why_not or "")


def test_the_resource_is_named_keyrack_unless_the_environment_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    mine = resource("host-1-2").attributes
    assert (mine["service.name"], mine["service.instance.id"]) == ("keyrack", "host-1-2")
    assert mine["deployment.environment.name"] == "test"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=tokens")
    assert resource("x").attributes["service.name"] == "tokens"
    monkeypatch.setenv("OTEL_SERVICE_NAME", "grants")
    assert resource("x").attributes["service.name"] == "grants"


def test_nothing_of_it_is_imported_where_it_is_off() -> None:
    asks = (
        "import sys; import keyrack.wiring.http; from keyrack.telemetry import Signal, switch",
        "assert not switch(Signal.traces).on",
        "print([name for name in sys.modules if name.startswith(('opentelemetry', 'google.protobuf', 'requests'))])",
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    command = [sys.executable, "-c", "; ".join(asks)]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
