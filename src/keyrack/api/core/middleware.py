"""Runs around every request before a route is found: request id, authentication, `Accept`, access log."""

import re
import time
from typing import Any

import structlog

from keyrack import tracing
from keyrack.api.core import arrival
from keyrack.api.core.account import METHODS, Account
from keyrack.api.core.arrival import basic_credentials
from keyrack.api.core.asgi import App, Message, Receive, Scope, Send
from keyrack.api.core.caller_address import CallerAddress
from keyrack.api.core.direct import COUNTED, DIRECT
from keyrack.api.core.errors import error_document
from keyrack.api.core.pages import is_for_a_person, refusal_page
from keyrack.api.core.rate_limits import Throttle
from keyrack.api.core.trace_parents import TraceParents
from keyrack.api.direct_read import DirectRead
from keyrack.api.fast_read import PATH_TEMPLATE, FastRead
from keyrack.errors import KeyrackError, NotFound, Unauthorized
from keyrack.fair_share import asked_by, asking_for
from keyrack.logs import log_fault
from keyrack.model.identity import Principal
from keyrack.service.identity.authentication import Authentication

PRINCIPAL = "keyrack.principal"
ADDRESS = "keyrack.address"
REQUEST_ID = "keyrack.request_id"
IS_HEAD = "keyrack.is_head"
ARRIVED = "keyrack.arrived"
_GUARDED = re.compile(r"/v[12](/|$)")
_METRICS = re.compile(r"/metrics/?$")
_SINGULAR = re.compile(r"/v2/workspace(?=/[^/]+/components(/|$))")
_SLASHES = re.compile("/{2,}")
HEALTH = frozenset({"/healthz", "/readyz"})
"""Asked by whoever keeps the server running; no rate holds."""
_TURNS_OF_AN_ADDRESS = 16
_NO_ROUTE_HAS = "TRACE"


class Middleware:
    """The outermost ASGI application.

    Order as in contract section 3: 401 first, then the framework's 404 and 405, then 406. HEAD is answered as GET is,
    without the body (contract 0.22, RFC 9110 section 9.3.2): everything behind this sees a GET.

    Args:
        app: the framework's application.
        authentication: checks who is calling.
        throttle: counts requests.
        address: finds out where requests come from.
        hot: answers what it can before the framework is asked; None where there is no API.
        metrics_open, trace_parents: the settings of these names.
        over_tls: whether callers come over https.
    """

    def __init__(
        self,
        app: App,
        authentication: Authentication,
        throttle: Throttle,
        address: CallerAddress,
        hot: FastRead | None,
        *,
        metrics_open: bool = False,
        trace_parents: str = "",
        over_tls: bool = False,
    ) -> None:
        self._app = app
        self._authentication = authentication
        self._throttle = throttle
        self._metrics_open = metrics_open
        self._hot = hot
        self._over_tls = over_tls
        self._address = address
        self._trace_parents = TraceParents(trace_parents)
        self._direct = None if hot is None else DirectRead(hot, throttle, address, over_tls=over_tls)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            if "state" in scope:
                scope["state"][DIRECT] = self._direct
            await self._app(scope, receive, send)
            return
        scope[ARRIVED] = time.monotonic()
        headers = dict(scope["headers"])
        request_id = arrival.request_id_of(headers)
        account = Account(scope, request_id)
        is_head = scope["method"] == "HEAD"
        if is_head:  # the server keeps its own scope, from which it knows that no body may be sent
            scope = account.scope = {**scope, "method": "GET", IS_HEAD: True}
        # as the router reads a path, so that none is guarded here and another one answered there
        scope["path"] = _SLASHES.sub("/", scope["path"])
        answer = _Answer(send, request_id, account, over_tls=self._over_tls, without_body=is_head)
        with structlog.contextvars.bound_contextvars(request_id=request_id), asked_by(""):
            try:
                await self._serve(scope, headers, request_id, receive, answer)
            except KeyrackError as error:
                await answer.refuse(error, scope)
            except Exception as error:
                log_fault(error)
                if answer.status:
                    raise
                await answer.refuse(KeyrackError(), scope)
            finally:
                answer.ended()
                tracing.served(answer.trace, account.method, account.route, answer.status)

    async def _serve(
        self, scope: Scope, headers: dict[bytes, bytes], request_id: str, receive: Receive, answer: "_Answer"
    ) -> None:
        scope[ADDRESS], scope[REQUEST_ID] = self._address.of(scope), request_id
        asking_for.set(_unknown(scope[ADDRESS], headers))
        done, counted = False, COUNTED in scope
        if counted and scope[COUNTED] is not None:
            raise scope[COUNTED]
        if not counted and scope["path"] not in HEALTH:
            self._throttle.arrived(scope[ADDRESS])
        if self._is_guarded(scope["path"]):
            if not counted:  # else the shortcut has been tried, before this was called
                done, counted = await self._shortcut(scope, headers, answer)
            if done:
                return
            # what is only remembered of the caller counts for nothing from here on
            principal = await self._authenticate(headers, scope[ADDRESS], request_id)
            if not counted:
                self._throttle.admit(principal)
            scope[PRINCIPAL] = principal
            self._trace(scope, headers, answer)  # not before: whoever is refused leaves no trace, so as to fill none
            asking_for.set(principal.tenant_id or principal.id)
            if "\0" in scope["path"]:
                raise NotFound  # a malformed id is an unknown one (contract section 1), but no database takes this one
            scope["path"] = _SINGULAR.sub("/v2/workspaces", scope["path"], count=1)
        elif scope["path"] not in HEALTH:
            self._trace(scope, headers, answer)
        if scope["method"] not in METHODS:
            scope["method"] = _NO_ROUTE_HAS  # so that the router answers 404 or 405 with Allow by itself
        await self._app(scope, receive, answer)

    def _trace(self, scope: Scope, headers: dict[bytes, bytes], answer: "_Answer") -> None:
        answer.trace = tracing.request(self._trace_parents.of(scope, headers), scope[ARRIVED])

    async def _shortcut(self, scope: Scope, headers: dict[bytes, bytes], answer: "_Answer") -> tuple[bool, bool]:
        """Answer before the framework, if possible; tell whether it was, and whether the request has been counted."""
        if self._hot is None or (ids := self._hot.asked(scope, headers)) is None:
            return False, False
        known = await self._hot.principal(*basic_credentials(headers.get(b"authorization")))
        if known is None:
            return False, False
        self._throttle.admit(known)
        scope["path_template"] = PATH_TEMPLATE
        return await self._hot.answer(known, scope[ADDRESS], *ids, answer), True

    def _is_guarded(self, path: str) -> bool:
        return _GUARDED.match(path) is not None or (not self._metrics_open and _METRICS.match(path) is not None)

    async def _authenticate(self, headers: dict[bytes, bytes], address: str | None, request_id: str) -> Principal:
        name, api_key = basic_credentials(headers.get(b"authorization"))
        try:
            return await self._authentication.authenticate(name, api_key, address, request_id)
        except Unauthorized:
            self._throttle.wrong_key(name, address)
            self._authentication.refused(name, address)
            raise


def _unknown(address: str | None, headers: dict[bytes, bytes]) -> str:
    """Return whose turn a request takes until its caller is known: its address's, of which there are a few.

    So one caller does not hold up those with other credentials behind the same proxy, nor does one that makes
    credentials up take more than these turns.
    """
    return f"{address} {hash(headers.get(b'authorization')) % _TURNS_OF_AN_ADDRESS}"


def caller_address(scope: Any) -> str | None:
    """Return the address a request came from, as `Middleware` found it."""
    address: str | None = scope.get(ADDRESS)
    return address


def arrived(scope: Any) -> float | None:
    """Return when a request came in, a reading of `time.monotonic`, as `Middleware` noted it first of all."""
    moment: float | None = scope.get(ARRIVED)
    return moment


def request_id_of(scope: Any) -> str | None:
    """Return a request's id, as `Middleware` found or made it."""
    request_id: str | None = scope.get(REQUEST_ID)
    return request_id


def is_head(scope: Any) -> bool:
    """Tell whether a request that is served as GET came as HEAD: one that must change nothing (RFC 9110 9.2.1)."""
    return IS_HEAD in scope


class _Answer:
    """Sends the response, adding what every response has; gives account of the request before the caller sees the end.

    Whoever has an answer finds its line in the log and its count in the metrics.

    Attributes:
        status: that was sent; 0: none yet.
        trace: the span of the request.
    """

    def __init__(self, send: Send, request_id: str, account: Account, *, over_tls: bool, without_body: bool) -> None:
        self._send = send
        self._request_id = request_id
        self._over_tls = over_tls
        self._account = account
        self._without_body = without_body
        self.status = 0
        self.trace = tracing.UNTRACED

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = message["headers"]
            message["headers"] = [*own, *arrival.answer_headers(self._request_id, own, over_tls=self._over_tls)]
        elif message["type"] == "http.response.body":
            if self._without_body:
                message = {**message, "body": b""}
            if not message.get("more_body", False):
                self.ended()
        await self._send(message)

    def ended(self) -> None:
        """Give account of the request, if that has not been done."""
        self._account.give(self.status)

    async def refuse(self, error: KeyrackError, scope: Scope) -> None:
        """Send an error document, or a page where a person is asking."""
        status, body, extra = error_document(error)
        media_type = b"application/json"
        if is_for_a_person(scope["path"]):
            page = refusal_page(scope["path"], status, request_id_of(scope), extra)
            media_type, body, extra = b"text/html; charset=utf-8", page.content.encode(), page.headers
        headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in extra.items()]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body, "more_body": False})
