"""Opens and keeps connections to providers and webhooks with aiohttp; reads their answers itself.

What arrives is kept before it is looked at, and looked at in small pieces between which other tasks have their turn:
nothing that a peer sends keeps the event loop busy.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import HttpVersion11, RawResponseMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from multidict import CIMultiDict, CIMultiDictProxy

from keyrack.oauth.wire import AnswerFault, RawResponse
from keyrack.provider.answer import AnswerReader
from keyrack.provider.egress import Egress

PIECE_BYTES = 8 * 1024
"""What is looked at in one go: milliseconds at most, also where every byte is a chunk of its own."""

_MAX_WAITING = 64 * 1024

_ANSWERED = RawResponseMessage(
    HttpVersion11, 200, "", CIMultiDictProxy(CIMultiDict()), (), should_close=False, compression=None, upgrade=False,
    chunked=False,
)  # fmt: skip
"""What aiohttp is told of every answer, so that it does nothing with it."""

BeforeSending = Callable[[], Awaitable[None]]
"""Called once a connection is there and before a byte of the request is written; raising a `KeyrackError` calls the
request off."""


class Call:
    """One call, and how far it has come.

    Attributes:
        may_have_been_sent: a byte of the request may have been written.
    """

    def __init__(self, before_sending: BeforeSending | None) -> None:
        self._before_sending = before_sending
        self._protocol: AnswerProtocol | None = None
        self.may_have_been_sent = False

    async def connected(self) -> None:
        """Do what is to be done before the request is written, once."""
        before, self._before_sending = self._before_sending, None
        if before is not None:
            await before()

    def uses(self, protocol: "AnswerProtocol") -> None:
        """Note where the answer comes from."""
        self._protocol = protocol

    async def answer(self, fault: AnswerFault | None = None) -> RawResponse | None:
        """Return what came back; None if that is nothing.

        Args:
            fault: why no more comes, if the answer is not complete.
        """
        return None if self._protocol is None else await self._protocol.answer(fault)


call: ContextVar[Call | None] = ContextVar("call", default=None)
"""The call of the current task."""


class AnswerProtocol(ResponseHandler):
    """Keeps what arrives and reads it in the task that waits for it.

    Takes the place of aiohttp's handler, whose parser refuses and drops answers, and works through whatever has
    arrived in one go.

    Args:
        loop: where it runs.
        max_body_bytes: what is kept of a body.
        turn: who holds it looks at a piece: one in each round of the loop, however many connections there are.

    Attributes:
        used: a request was sent over this connection before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, max_body_bytes: int, turn: asyncio.Lock) -> None:
        super().__init__(loop)
        self.used = False
        self._turn = turn
        self._max_body_bytes = max_body_bytes
        self._reader = AnswerReader(max_body_bytes)
        self._waiting = bytearray()
        self._news = asyncio.Event()
        self._held = False
        self._lost = False
        self._lost_cleanly = True

    @property
    def usable(self) -> bool:
        """Nothing has come since the last answer that could be taken for the next one, not even the end."""
        return not (self.should_close or self._lost) and self.is_connected()

    @property
    def should_close(self) -> bool:
        """Whether the connection cannot carry another request."""
        return super().should_close or bool(self._waiting) or (self.used and not self._reader.reusable)

    def set_response_params(self, **_: Any) -> None:
        """Begin a request; what comes from now on, and on a new connection what has come, is its answer."""
        self.used = True
        self._reader = AnswerReader(self._max_body_bytes)
        current = call.get()
        if current is not None:
            current.uses(self)

    def data_received(self, data: bytes) -> None:
        """Keep what arrives; what nobody asked for ends the connection."""
        if self._reader.over:
            self.force_close()
            if self.transport is not None:
                self.transport.close()
            return
        self._waiting += data
        if len(self._waiting) >= _MAX_WAITING:
            self._hold(wanted=True)
        self._news.set()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Wake up who waits for the answer: no more comes."""
        self._lost, self._lost_cleanly = True, exc is None
        super().connection_lost(exc)
        self._news.set()

    def set_exception(self, exc: BaseException, *cause: BaseException) -> None:
        """Wake up who waits for the answer: the connection is broken."""
        super().set_exception(exc, *cause)
        self._news.set()

    async def read(self) -> tuple[RawResponseMessage, StreamReader]:
        """Read the answer to its end; aiohttp learns of it that there is one.

        Raises:
            aiohttp.ClientConnectionError: the connection ended before anything came.
        """
        while not self._reader.over:
            if self._waiting:
                await self._read_piece()
            elif self._lost or self.exception() is not None:
                if not self._reader.received:
                    raise self.exception() or aiohttp.ServerDisconnectedError
                self._reader.end(cleanly=self._lost and self._lost_cleanly)
            else:
                self._news.clear()
                await self._news.wait()
        if self._waiting:
            await self._read_piece()
        return _ANSWERED, EMPTY_PAYLOAD

    async def answer(self, fault: AnswerFault | None) -> RawResponse | None:
        """Return what has come of the answer, None if that is nothing."""
        while self._waiting and not self._reader.over:
            await self._read_piece()
        return self._reader.answer(fault)

    async def _read_piece(self) -> None:
        async with self._turn:
            piece = bytes(self._waiting[:PIECE_BYTES])
            del self._waiting[:PIECE_BYTES]
            self._reader.feed(piece)
            if len(self._waiting) < _MAX_WAITING:
                self._hold(wanted=False)
            await asyncio.sleep(0)

    def _hold(self, *, wanted: bool) -> None:
        """Stop or go on reading from the network."""
        if wanted == self._held or self.transport is None:
            return
        self._held = wanted
        with suppress(NotImplementedError, RuntimeError):  # a transport that is closed by now, or cannot pause
            if wanted:
                self.transport.pause_reading()
            else:
                self.transport.resume_reading()


class AnswerConnector(aiohttp.TCPConnector):
    """Tells the call of the current task when its connection is there: no byte of it is written before that.

    Args:
        egress: how servers are reached.
        max_body_bytes: what is kept of a body.
        more: see `aiohttp.TCPConnector`.
    """

    def __init__(self, egress: Egress, *, max_body_bytes: int, **more: Any) -> None:
        super().__init__(**more)
        self._egress = egress
        self._factory = partial(AnswerProtocol, self._loop, max_body_bytes, asyncio.Lock())  # type: ignore[assignment]  # a kind of it

    async def connect(self, *args: Any, **more: Any) -> Connection:
        """Return a connection over which nothing has come that could be taken for the answer."""
        current = call.get()
        while True:
            connection = await super().connect(*args, **more)
            protocol = connection.protocol
            try:
                if current is not None:
                    await current.connected()
                if not isinstance(protocol, AnswerProtocol) or not protocol.used:
                    break
                for _ in range(3):  # let the loop see what has come over the network meanwhile
                    await asyncio.sleep(0)
            except BaseException:
                connection.close()
                raise
            if protocol.usable:
                break
            connection.close()
        if current is not None:
            current.may_have_been_sent = True
        return connection

    async def _create_connection(
        self,
        req: aiohttp.ClientRequest,
        traces: Any,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's own method has it
    ) -> ResponseHandler:
        """Make a new connection, through the operator's proxy where there is one; aiohttp's own way leads around it.

        Raises:
            aiohttp.ClientConnectorError: there is none; `os_error` says why.
        """
        if self._egress.is_direct(req.url):
            return await super()._create_connection(req, traces, timeout)
        try:
            _, protocol = await self._egress.tunnel(req.url, self._factory, self._get_ssl_context(req))
        except ssl.SSLError as error:
            raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
        except TimeoutError:
            raise
        except OSError as error:
            raise aiohttp.ClientConnectorError(req.connection_key, error) from error
        return protocol
