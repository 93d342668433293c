"""Traces requests and refreshes with OpenTelemetry, where that is on (`keyrack.telemetry`); else does next to nothing.

A span holds what a metric's label may hold, ids, and numbers: never a secret, a token, a code, a path or query as it
was asked for, or anything that somebody wrote. Of an error it holds the type. Nothing of a trace is sent to providers:
they have no use for it, and would learn which of their calls belong together, and for how many tenants.
"""

import asyncio
import logging
import re
import threading
import time
from collections.abc import Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

import structlog

from keyrack.telemetry import Signal, resource, switch

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import SpanContext, Tracer

T = TypeVar("T")
Value = str | int | float | bool

TENANT = "keyrack.tenant.id"
SECRET = "keyrack.secret.id"  # noqa: S105 - the name of an attribute

_LIBRARY = "opentelemetry"
_FLUSH_SECONDS = 3.0
_COMPLAINT_SECONDS = 60.0
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")
"""The header as W3C Trace Context has it ("traceparent Header"); of later versions, nothing is taken."""

log = structlog.get_logger()


class _State:
    """What is on in this process."""

    tracer: "Tracer | None" = None
    provider: "TracerProvider | None" = None


class Span:
    """A step of a trace that is being taken. This one is of none: its methods do nothing.

    In a `with` block it is the parent of what begins there, and ends with the block.
    """

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """End it."""

    def note(self, attributes: Mapping[str, Value]) -> None:
        """Add attributes."""

    def activate(self) -> None:
        """Make it the parent of what begins in this task, until `end`."""

    def end(self, error: str | None = None) -> None:
        """End it, once.

        Args:
            error: what kind of failure it ended in; None: in none.
        """

    def during(self, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Return work that takes place in this span, for a task of its own."""
        return work

    @property
    def place(self) -> "SpanContext | None":
        """What another span is linked to this one by; None if this is of no trace."""
        return None


UNTRACED = Span()
"""Of no trace."""


class _Recorded(Span):
    __slots__ = ("_ended", "_span", "_token")

    def __init__(self, span: Any) -> None:
        self._span = span
        self._token: Any = None
        self._ended = False

    def __enter__(self) -> Self:
        self.activate()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.end(None if kind is None else kind.__qualname__)

    def note(self, attributes: Mapping[str, Value]) -> None:
        self._span.set_attributes(attributes)

    def activate(self) -> None:
        from opentelemetry import context, trace  # noqa: PLC0415 - only where tracing is on

        self._token = context.attach(trace.set_span_in_context(self._span))

    def end(self, error: str | None = None) -> None:
        from opentelemetry import context  # noqa: PLC0415 - only where tracing is on
        from opentelemetry.trace import StatusCode  # noqa: PLC0415 - only where tracing is on

        if self._ended:
            return
        self._ended = True
        if self._token is not None:
            context.detach(self._token)
        if error is not None:
            self._span.set_attribute("error.type", error)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    async def during(self, work: Coroutine[Any, Any, T]) -> T:
        with self:
            return await work

    @property
    def place(self) -> "SpanContext | None":
        place: SpanContext = self._span.get_span_context()
        return place


def span(
    name: str,
    attributes: Mapping[str, Value] | None = None,
    *,
    linked_to: "SpanContext | None" = None,
    calls_out: bool = False,
) -> Span:
    """Begin a step of the current trace, or a new trace.

    Args:
        name: of few values, such as a step of the program.
        attributes: ids and numbers; see the module.
        linked_to: the `Span.place` of a span that this one waits for.
        calls_out: it is a call to another server.

    Returns:
        The span, for a `with` block; or end it.
    """
    if _State.tracer is None:
        return UNTRACED
    from opentelemetry.trace import Link, SpanKind  # noqa: PLC0415 - only where tracing is on

    kind = SpanKind.CLIENT if calls_out else SpanKind.INTERNAL
    links = () if linked_to is None else (Link(linked_to),)
    return _Recorded(_State.tracer.start_span(name, kind=kind, attributes=attributes, links=links))


def server(origin: str) -> Mapping[str, Value]:
    """Return the attributes that name the server that is called.

    Args:
        origin: scheme, host and port.
    """
    parts = urlsplit(origin)
    port = {} if parts.port is None else {"server.port": parts.port}
    return {"server.address": parts.hostname or "", "http.request.method": "POST", **port}


def request(traceparent: str | None, began: float) -> Span:
    """Begin the span of a request, made the current one. Call `served` before it ends.

    Args:
        traceparent: the header of that name, if the caller's is to be taken.
        began: when the request came in, a reading of `time.monotonic`.
    """
    if _State.tracer is None:
        return UNTRACED
    from opentelemetry import context, trace  # noqa: PLC0415 - only where tracing is on

    parent, found = context.Context(), _TRACEPARENT.fullmatch(traceparent or "")
    if found is not None:
        trace_id, span_id, flags = (int(part, 16) for part in found.groups())
        caller = trace.SpanContext(trace_id, span_id, is_remote=True, trace_flags=trace.TraceFlags(flags & 1))
        parent = trace.set_span_in_context(trace.NonRecordingSpan(caller), parent)
    start = time.time_ns() - int((time.monotonic() - began) * 1e9)
    started = _Recorded(
        _State.tracer.start_span("request", context=parent, kind=trace.SpanKind.SERVER, start_time=start)
    )
    started.activate()
    return started


def served(span: Span, method: str, route: str, status: int) -> None:
    """End the span of a request, named by its method and its route's template.

    Args:
        span: as `request` returned it.
        method: one of HTTP's.
        route: the template; never the path as it was asked for.
        status: of the answer; 0: there was none.
    """
    if isinstance(span, _Recorded):
        span._span.update_name(f"{method} {route}")  # noqa: SLF001 - of this module
        told: dict[str, Value] = {"http.request.method": method, "http.route": route}
        span.note({**told, "http.response.status_code": status} if status else told)
        span.end(None if 0 < status < 500 else str(status or "no answer"))  # noqa: PLR2004 - HTTP's own


def trace_id() -> str | None:
    """Return the id of the trace that is being taken here, in hexadecimal digits; None if there is none."""
    if _State.tracer is None:
        return None
    from opentelemetry import trace  # noqa: PLC0415 - only where tracing is on

    place = trace.get_current_span().get_span_context()
    return trace.format_trace_id(place.trace_id) if place.is_valid and place.trace_flags.sampled else None


def start(instance: str) -> None:
    """Begin to trace in this process, if the environment asks for it; it is too late to be asked again.

    Args:
        instance: which process this is.
    """
    found = switch(Signal.traces)
    if found.why_not is not None:
        log.warning("traces are not sent", why=found.why_not)
    if not found.on or _State.tracer is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    _quieten()
    try:
        provider = TracerProvider(resource=resource(instance), shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    except Exception as error:  # noqa: BLE001 - a sampler's argument, a certificate's file: no reason not to start
        log.warning("traces are not sent", why="a variable of OpenTelemetry cannot be used", error=type(error).__name__)
        return
    _State.provider, _State.tracer = provider, provider.get_tracer("keyrack")
    log.info("traces are sent")


async def close() -> None:
    """Send what there is to send, for some seconds at most, and trace no more."""
    provider, _State.provider, _State.tracer = _State.provider, None, None
    if provider is None:
        return
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def flush() -> None:
        provider.shutdown()
        loop.call_soon_threadsafe(done.set)

    # A thread that nothing waits for at the end: a collector that hangs is not to hold a stop up.
    threading.Thread(target=flush, name="traces", daemon=True).start()
    try:
        async with asyncio.timeout(_FLUSH_SECONDS):
            await done.wait()
    except TimeoutError:
        log.warning("the last traces could not be sent in time")


class _Complaints(logging.Handler):
    """Says once in a while that traces cannot be sent, without the library's words, which can hold an address's query.

    The library says the same with each batch, and of each span for which there is no room.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._at = float("-inf")
        self._count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a complaint, and log it if that has not been done for a while."""
        self._count += 1
        if time.monotonic() - self._at < _COMPLAINT_SECONDS:
            return
        log.warning("telemetry could not be sent", complaints=self._count, by=record.name)
        self._at, self._count = time.monotonic(), 0


def _quieten() -> None:
    library = logging.getLogger(_LIBRARY)
    if not any(isinstance(handler, _Complaints) for handler in library.handlers):
        library.addHandler(_Complaints())
        library.propagate = False
