"""Reads in the standard environment variables whether OpenTelemetry is wanted, and says who this process is.

Nothing of OpenTelemetry is imported where it is not (decision 0049). What goes where is the SDK's own reading of its
variables: endpoint, headers, certificates, timeouts, sampling and limits. A value that cannot be used switches a
signal off with a warning, as the specification asks ("General SDK Configuration"); it keeps no server from starting.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keyrack import __version__

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

SERVICE = "keyrack"
"""The name of the service where `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` give none."""

NO_COLLECTOR = "no variable names a collector"
"""Why a signal is not sent that a setting asks for and the environment does not."""

_PROTOCOL = "http/protobuf"
_OTLP = "otlp"
_EXTRA = "opentelemetry.exporter.otlp.proto.http"


class Signal(StrEnum):
    """What can be sent to a collector; metrics are scraped instead (docs/metrics.md)."""

    traces = "traces"
    logs = "logs"


@dataclass(frozen=True, slots=True)
class Switch:
    """Whether a signal is sent.

    Attributes:
        on: it is.
        why_not: why it is not although the environment asks for it; None where it does not ask. Names variables and
            what they must be, never a value: headers and addresses can hold credentials.
    """

    on: bool
    why_not: str | None = None


def switch(signal: Signal, environment: Mapping[str, str] | None = None) -> Switch:
    """Tell whether the environment asks for a signal, and whether it can be had.

    It asks by `OTEL_<SIGNAL>_EXPORTER=otlp`, or by an endpoint, as the exporter is `otlp` unless said otherwise. An
    environment that says nothing asks for nothing, because the specification's own default would have every
    installation call localhost:4318.

    Args:
        signal: which.
        environment: variables to read; the process's own by default.
    """
    env = os.environ if environment is None else environment
    name = signal.value.upper()
    variable = f"OTEL_{name}_EXPORTER"
    exporter = env.get(variable, "").strip().lower()
    endpoint = _first(env, f"OTEL_EXPORTER_OTLP_{name}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    disabled = env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    if disabled or exporter == "none" or (not exporter and endpoint is None):
        return Switch(on=False)
    protocol = _first(env, f"OTEL_EXPORTER_OTLP_{name}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
    why_not = None
    if exporter not in (_OTLP, ""):
        why_not = f"{variable} must be otlp or none"
    elif protocol is not None and env[protocol].strip().lower() != _PROTOCOL:
        why_not = f"{protocol} must be {_PROTOCOL}"
    elif endpoint is not None and not _is_http(env[endpoint].strip()):
        why_not = f"{endpoint} must be an http or https URL"
    elif not _is_installed():
        why_not = "OpenTelemetry is not installed: pip install 'keyrack[otel]'"
    return Switch(on=why_not is None, why_not=why_not)


def resource(instance: str) -> "Resource":
    """Return what OpenTelemetry calls the resource: service, version and instance, and `OTEL_RESOURCE_ATTRIBUTES`.

    Only for a process in which a signal is on.

    Args:
        instance: which process this is, `service.instance.id`.
    """
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415 - only where it is wanted

    said = {"service.version": __version__, "service.instance.id": instance}
    made = Resource.create(said)
    named = str(made.attributes.get("service.name", ""))
    if not named or named.startswith("unknown_service"):
        return made.merge(Resource({"service.name": SERVICE}))
    return made


def _first(env: Mapping[str, str], *variables: str) -> str | None:
    """Return the first of several variables that is set; an empty one counts as unset."""
    return next((each for each in variables if env.get(each, "").strip()), None)


def _is_http(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_installed() -> bool:
    try:
        return find_spec(_EXTRA) is not None
    except ModuleNotFoundError:
        return False
