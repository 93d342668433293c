"""Sends events of OCSF to a collector as OTLP logs, in a thread that nothing waits for when the process stops."""

import asyncio
import logging
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import structlog

from keyrack.telemetry import resource

if TYPE_CHECKING:
    from opentelemetry.sdk._logs import ReadableLogRecord

_SECONDS = 60.0
_NANOSECONDS = 1_000_000
"""In a millisecond."""
_SEVERITIES = {1: 9, 2: 13, 3: 13}
"""INFO and WARN of OpenTelemetry, by OCSF's `severity_id`."""

log = structlog.get_logger()


class OtlpLogs:
    """Sends batches, one at a time. Address, headers, certificates and timeout are those of OpenTelemetry's variables.

    Args:
        instance: which process this is.
    """

    def __init__(self, instance: str) -> None:
        from opentelemetry.exporter.otlp.proto.http._log_exporter import (  # noqa: PLC0415 - only where it is wanted
            OTLPLogExporter,
        )

        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)  # its words can hold an address's query
        self._exporter = OTLPLogExporter()
        self._resource = resource(instance)
        self._thread: threading.Thread | None = None

    async def send(self, events: Sequence[Mapping[str, Any]]) -> bool:
        """Send events; tell whether the collector has taken them. Never raises, and ends within a minute."""
        if self._thread is not None and self._thread.is_alive():
            return False  # the last batch hangs still
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bool] = loop.create_future()

        def told(taken: bool) -> None:  # noqa: FBT001 - called with what came of it
            if not done.done():
                done.set_result(taken)

        def run() -> None:
            taken = self._sent(events)
            self._thread = None  # before the result is told: whoever hears of it may send the next batch at once
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(told, taken)

        self._thread = threading.Thread(target=run, name="audit sink", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(_SECONDS):
                return await done
        except TimeoutError:
            return False

    def _sent(self, events: Sequence[Mapping[str, Any]]) -> bool:
        from opentelemetry.sdk._logs.export import LogRecordExportResult  # noqa: PLC0415 - only where it is wanted

        try:
            result = self._exporter.export([self._record(event) for event in events])
        except Exception as error:  # noqa: BLE001 - whatever the library meets is the collector's being away
            log.debug("a batch of audit entries could not be sent", error=type(error).__name__)
            return False
        return result is LogRecordExportResult.SUCCESS

    def _record(self, event: Mapping[str, Any]) -> "ReadableLogRecord":
        from opentelemetry._logs import LogRecord, SeverityNumber  # noqa: PLC0415 - only where it is wanted
        from opentelemetry.sdk._logs import ReadableLogRecord  # noqa: PLC0415 - as above
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415 - as above

        at = event["time"] * _NANOSECONDS
        record = LogRecord(
            timestamp=at,
            observed_timestamp=at,
            severity_number=SeverityNumber(_SEVERITIES[event["severity_id"]]),
            event_name="keyrack.audit",
            body=dict(event),
        )
        return ReadableLogRecord(record, self._resource, InstrumentationScope("keyrack.audit"))
