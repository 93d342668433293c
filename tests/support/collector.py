"""A collector of OpenTelemetry on loopback: takes traces and logs over OTLP/HTTP as protobuf, and tells what came."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from keyrack import tracing


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """A span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    error: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]


@dataclass
class Collector:
    """What came to a collector."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    spans: list[ReceivedSpan] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        if path == "/v1/logs":
            self._take_logs(path, headers, body)
            return
        received = ExportTraceServiceRequest.FromString(body)
        with self.lock:
            self.requests.append((path, headers))
            self.bodies.append(body)
            for of_resource in received.resource_spans:
                self.resources.append(_plain(of_resource.resource.attributes))
                for of_scope in of_resource.scope_spans:
                    self.spans += [_span(each) for each in of_scope.spans]

    def _take_logs(self, path: str, headers: dict[str, str], body: bytes) -> None:
        received = ExportLogsServiceRequest.FromString(body)
        with self.lock:
            self.requests.append((path, headers))
            for of_resource in received.resource_logs:
                self.resources.append(_plain(of_resource.resource.attributes))
                for of_scope in of_resource.scope_logs:
                    self.logs += [_value(each.body) for each in of_scope.log_records]

    def named(self, name: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReceivedSpan:
        (found,) = self.named(name)
        return found

    def children(self, parent: ReceivedSpan) -> set[str]:
        return {span.name for span in self.spans if span.parent_id == parent.span_id}


def _plain(attributes: Any) -> dict[str, Any]:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


def _value(value: Any) -> Any:
    """Return a value of OTLP as Python has it."""
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return {each.key: _value(each.value) for each in value.kvlist_value.values}
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return None if kind is None else getattr(value, kind)


def _span(span: Any) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        kind=span.kind,
        error=span.status.code == span.status.STATUS_CODE_ERROR,
        attributes=_plain(span.attributes),
        links=tuple(link.span_id.hex() for link in span.links),
    )


@contextmanager
def collecting(before: Callable[[], object] = lambda: None) -> Iterator[Collector]:
    """Run a collector.

    Args:
        before: called before a request is answered.
    """
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            before()
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that the environment names."""
    with collecting() as running:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", running.url)
        yield running


@asynccontextmanager
async def traced() -> AsyncIterator[None]:
    """Trace what happens in a block of this process, as the environment wants it; all has been sent at its end."""
    tracing.start("this-test")
    try:
        yield
    finally:
        await tracing.close()
