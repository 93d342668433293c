"""HTTP/1.1 on one connection, as uvicorn speaks it, within limits: heads and bodies end, and answers are read.

What is refused here is answered as everything else is, by an error document, and the connection is closed only when the
other side has had a moment to read it: closing with unread input would reset it, and the answer with it.
"""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from keyrack.api.core.arrival import answer_headers
from keyrack.api.core.body import MAX_BODY_BYTES
from keyrack.api.core.connections import Connections
from keyrack.api.core.direct import DIRECT, Answer, Direct
from keyrack.api.core.errors import error_document, status_and_code
from keyrack.errors import BadRequest, HeadTooLarge, KeyrackError, PayloadTooLarge, RequestTimeout, TooManyConnections
from keyrack.ids import new_id

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.config import Config
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
    from uvicorn.server import ServerState

MAX_HEAD_BYTES = 1 << 16
"""Request line and headers of one request."""
MAX_HEADERS = 100
_VERSIONS = frozenset({"1.1", "1.0"})
_MAX_PIPELINED = 16
_MAX_BODY_ON_THE_WIRE = 2 * MAX_BODY_BYTES + MAX_HEAD_BYTES
"""What a body may take with the framing of its chunks; what it says may be MAX_BODY_BYTES."""
_BACKSTOP_SECONDS = 5.0
"""Later than `SlowBodies`, which answers by name; this is for bodies that nobody reads."""
_LINGER_SECONDS = 2.0
_LEAST_RATE = 1024
"""Bytes a second of an answer that must be read."""


class _Phase(Enum):
    idle = auto()
    """Between requests."""
    head = auto()
    """Until a request's headers are complete; a new connection begins here."""
    body = auto()
    """Until its body is."""
    ending = auto()
    """Nothing more is read; closed when what was asked before is answered."""
    refused = auto()
    """One too many; answered when it says something."""
    over = auto()
    """Answered for the last time; waits for the other side to close."""


def served_by(connections: Connections) -> type[asyncio.Protocol]:
    """Return what uvicorn takes as its `http`: called for each connection, sent to each process."""
    return _Factory(connections)  # type: ignore[return-value] # it is called, never inherited from


class _Factory:
    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def __call__(self, **given: Any) -> asyncio.Protocol:
        return LimitedHttp(self._connections, **given)


class LimitedHttp(HttpToolsProtocol):
    """One connection.

    Args:
        connections: those of this process.
        config, server_state, app_state, _loop: as uvicorn gives them.
    """

    def __init__(
        self,
        connections: Connections,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.peer: str | None = None
        self._all = connections
        self._limits = connections.limits
        self._direct: Direct | None = app_state.get(DIRECT)
        self._phase = _Phase.head
        self._since = 0.0
        self._bytes = 0  # of the head or body that is being read, or of what is thrown away
        self._refusal: KeyrackError | None = None
        self._unsent, self._unsent_since = 0, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        """Serve a connection, or mark it as one too many."""
        super().connection_made(transport)
        self.peer = self.client[0] if self.client else None
        self._since = self.loop.time()
        if not self._all.admit(self):
            self._phase = _Phase.refused

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._all.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what came, never more of a head than is allowed."""
        if self._phase is _Phase.refused:
            self._fail(TooManyConnections())
        elif self._phase is _Phase.idle:
            self._begin_head()
        self._unset_keepalive_if_required()
        while data:
            if self._phase in (_Phase.over, _Phase.ending):
                self._throw_away(len(data))
                return
            part = data if self._phase is _Phase.body else data[: MAX_HEAD_BYTES - self._bytes]
            self._bytes += len(part)
            if not self._feed(part):
                return
            data = data[len(part) :]
            if self._phase is _Phase.head and self._bytes >= MAX_HEAD_BYTES:
                self._fail(HeadTooLarge())
            elif self._phase is _Phase.body and self._bytes > _MAX_BODY_ON_THE_WIRE:
                self._fail(PayloadTooLarge())

    def _feed(self, part: bytes) -> bool:
        """Let the parser read; tell whether it can go on."""
        try:
            self.parser.feed_data(part)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # to a protocol that we do not speak: the request is answered as it is
            self._phase = _Phase.ending
            return False
        except httptools.HttpParserError:
            self._fail(self._refusal or BadRequest("the request is not valid HTTP (RFC 9112)"))
            return False
        return True

    def on_message_begin(self) -> None:
        """Begin a request; the parser calls this."""
        if self._phase is _Phase.idle:  # right behind another one
            self._begin_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer; the parser calls this."""
        if self.parser.get_http_version() not in _VERSIONS:
            self._refuse(BadRequest("the version must be HTTP/1.1 or HTTP/1.0 (RFC 9112 section 2.3)"))
        if len(self.headers) > MAX_HEADERS:
            self._refuse(HeadTooLarge())
        if len(self.pipeline) >= _MAX_PIPELINED:
            self._refuse(BadRequest("too many pipelined requests; send the rest again"))
        super().on_headers_complete()
        self.headers = []  # what follows the body is no header of the request (RFC 9110 section 6.5.1)
        self._phase, self._since, self._bytes = _Phase.body, self.loop.time(), 0
        self._all.works(self)

    def _start_asgi_task(self, cycle: "RequestResponseCycle", app: "ASGI3Application") -> None:
        """Begin to answer, in a task of the application or without one."""
        taken = (
            self._direct is not None
            and not self.flow.write_paused
            and self._direct.take(cycle.scope, partial(self._answer, cycle, app))  # type: ignore[arg-type] # any scope
        )
        if not taken:
            super()._start_asgi_task(cycle, app)

    def _answer(self, cycle: "RequestResponseCycle", app: "ASGI3Application", answer: Answer | None) -> None:
        """Send an answer that was made without a task; None: begin one after all."""
        if cycle.disconnected or self.transport.is_closing():
            return
        if answer is None:
            super()._start_asgi_task(cycle, app)
            return
        headers, body = answer
        lines = [STATUS_LINE[200]]
        lines += [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        lines += [headers, b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body]
        self.transport.write(b"".join(lines))
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()

    def _refuse(self, error: KeyrackError) -> None:
        """Stop the parser from inside."""
        self._refusal = error
        raise error

    def on_message_complete(self) -> None:
        """End a request; the parser calls this."""
        super().on_message_complete()
        self._phase, self._bytes = _Phase.idle, 0
        if self.cycle.response_complete:
            self._all.waits(self)

    def on_response_complete(self) -> None:
        """Go on after an answer, or end if it was the last."""
        last = not self.pipeline
        super().on_response_complete()
        if not last or self.transport.is_closing():
            return
        if self._phase is _Phase.ending:
            self.transport.close()
        elif self._phase is not _Phase.body:
            self._all.waits(self)

    def judge(self, now: float) -> None:
        """End what has taken too long; `now` is the event loop's time."""
        if self._is_unread(now):
            self._all.refused(self, "unread")
            self.abort()
        elif self._phase is _Phase.body and self.flow.read_paused:
            self._since = now  # nobody can send then
        elif now - self._since <= self._patience():
            return
        elif self._phase in (_Phase.over, _Phase.refused):
            self.abort()
        elif self._phase is _Phase.head and not self._bytes:
            self._all.refused(self, "silent")
            self._phase, self._since = _Phase.over, now
            self.transport.close()
        else:
            self._fail(RequestTimeout())

    def _patience(self) -> float:
        if self._phase is _Phase.head:
            return self._limits.header_seconds
        if self._phase is _Phase.body:
            return self._limits.body_seconds + _BACKSTOP_SECONDS
        return _LINGER_SECONDS if self._phase in (_Phase.over, _Phase.refused) else float("inf")

    def _is_unread(self, now: float) -> bool:
        """Tell whether too little of an answer was taken off our hands for too long."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent or unsent > self._unsent:
            self._unsent, self._unsent_since = unsent, now
        elif now - self._unsent_since >= self._limits.write_seconds:
            if self._unsent - unsent < _LEAST_RATE * self._limits.write_seconds:
                return True
            self._unsent, self._unsent_since = unsent, now
        return False

    def give_way(self) -> None:
        """End a connection that waits for a request, for another one."""
        if self._bytes and self._phase is _Phase.head:
            self._fail(TooManyConnections())
        else:
            self._phase, self._since = _Phase.over, self.loop.time()
            self.transport.close()

    def abort(self) -> None:
        """End it at once, without sending what is left."""
        self.transport.abort()

    def _begin_head(self) -> None:
        self._phase, self._since, self._bytes = _Phase.head, self.loop.time(), 0

    def _throw_away(self, count: int) -> None:
        self._bytes += count
        if self._bytes > _MAX_BODY_ON_THE_WIRE and self._phase is _Phase.over:
            self.abort()

    def _fail(self, error: KeyrackError) -> None:
        """End the connection with an error document, as far as one can be sent."""
        if self.transport.is_closing():
            return
        self._all.refused(self, status_and_code(error)[1])
        cycle = self.cycle
        if self._phase is _Phase.body and self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline.popleft()  # its turn has not come, and it will not
            self._phase = _Phase.ending
        elif self._phase is _Phase.body:
            if cycle.response_started:
                self._end(lambda: None)
                return
            cycle.disconnected = True
            cycle.message_event.set()
            self._end(lambda: self._write(error))
        elif cycle is not None and not cycle.response_complete:
            self._phase = _Phase.ending
        else:
            self._end(lambda: self._write(error))

    def _end(self, last_words: Callable[[], None]) -> None:
        self._phase, self._since, self._bytes = _Phase.over, self.loop.time(), 0
        self._unset_keepalive_if_required()
        self.flow.resume_reading()
        last_words()
        self._all.linger(self)
        if self.transport.can_write_eof():
            self.transport.write_eof()

    def _write(self, error: KeyrackError) -> None:
        status, body, more = error_document(error)
        headers = [*self.server_state.default_headers]
        headers += [(name.encode(), value.encode()) for name, value in ({"connection": "close"} | dict(more)).items()]
        headers += [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            *answer_headers(new_id(), over_tls=self._limits.over_tls),
        ]
        lines = [STATUS_LINE[status], *(name + b": " + value + b"\r\n" for name, value in headers)]
        self.transport.write(b"".join([*lines, b"\r\n", body]))
