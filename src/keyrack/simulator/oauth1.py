"""A provider of OAuth 1.0a (RFC 5849): temporary credentials, authorization, token credentials, a resource.

Signatures, timestamps, nonces and tokens are judged by oauthlib.
"""

import logging
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION
from oauthlib.oauth1 import AccessTokenEndpoint, RequestTokenEndpoint, ResourceEndpoint
from oauthlib.oauth1.rfc5849.utils import parse_authorization_header

from keyrack.simulator.behaviour import Behaviour, Endpoint
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.interaction import ask
from keyrack.simulator.oauth1_book import TemporaryToken, Validator
from keyrack.simulator.pages import error_page
from keyrack.simulator.pending import Pending
from keyrack.simulator.state import Call, State
from keyrack.simulator.wire import FORM, STATE, sim_of

logging.getLogger("oauthlib").setLevel(logging.WARNING)  # below that it logs secrets

_NO_STORE = {"Cache-Control": "no-store"}
_UNAUTHORIZED = 401
_DENIED = "access_denied"

_Judged = tuple[Mapping[str, str], str | None, int]
"""Headers, body and status."""
_Judge = Callable[[Validator, Behaviour, "_Signed"], _Judged]


class _Signed:
    """A signed request as oauthlib wants it."""

    def __init__(self, request: web.Request, issuer: str) -> None:
        base = urlsplit(issuer)
        self.uri = f"{base.scheme}://{base.netloc}{request.raw_path}"
        self.method = request.method
        self.headers = {AUTHORIZATION: request.headers.get(AUTHORIZATION, "")}

    @property
    def client_id(self) -> str:
        """The client it names; not believed yet."""
        try:
            return str(dict(parse_authorization_header(self.headers[AUTHORIZATION])).get("oauth_consumer_key", ""))
        except ValueError:
            return ""


async def request_token(request: web.Request) -> web.StreamResponse:
    """Answer `POST /oauth1/request_token` (RFC 5849 section 2.1)."""

    def judge(validator: Validator, _behaviour: Behaviour, signed: _Signed) -> _Judged:
        made: _Judged = RequestTokenEndpoint(validator).create_request_token_response(
            signed.uri, signed.method, "", signed.headers
        )
        return made

    return await _answer(request, "oauth1_request", judge)


async def access_token(request: web.Request) -> web.StreamResponse:
    """Answer `POST /oauth1/access_token` (RFC 5849 section 2.3)."""

    def judge(validator: Validator, behaviour: Behaviour, signed: _Signed) -> _Judged:
        more = {name: str(value) for name, value in behaviour.extra_members.items()}
        made: _Judged = AccessTokenEndpoint(validator).create_access_token_response(
            signed.uri, signed.method, "", signed.headers, more
        )
        return made

    return await _answer(request, "oauth1_token", judge)


async def me(request: web.Request) -> web.StreamResponse:
    """Answer `GET /oauth1/me`, a protected resource (RFC 5849 section 3)."""
    state = request.app[STATE]

    def judge(validator: Validator, _behaviour: Behaviour, signed: _Signed) -> _Judged:
        valid, judged = ResourceEndpoint(validator).validate_protected_resource_request(
            signed.uri, signed.method, "", signed.headers
        )
        found = state.oauth1.granted(judged.resource_owner_key) if valid else None
        return ({}, None, _UNAUTHORIZED) if found is None else ({}, urlencode({"login": found.login}), 200)

    return await _answer(request, "oauth1_me", judge)


async def authorize(request: web.Request) -> web.StreamResponse:
    """Answer `GET /oauth1/authorize` (RFC 5849 section 2.2)."""
    state = request.app[STATE]
    sim = sim_of(request)
    found = state.oauth1.temporary(request.query.get("oauth_token", ""))
    known = found.client_id if found is not None and found.client_id in state.clients else ""
    behaviour = state.behaviour("oauth1_authorize", known, sim)

    def process() -> Processed:
        if found is None or not known:
            said = "The application's request is not known, or it has expired (oauth_token)."
            return "invalid_token", error_page(said)
        pending = Pending(
            client_id=known,
            redirect_uri=found.callback,
            redirect_uri_sent=True,
            state="",
            scope="",
            challenge="",
            prompt=frozenset(),
            login_hint="",
            parameters={},
            behaviour=behaviour,
            travelling={},
            temporary=found,
        )
        if behaviour.deny:
            return behaviour.deny, refuse(pending, found, behaviour.deny, status=302)
        if behaviour.approval == "page":
            return "ok", ask(request, pending)
        return "ok", approve(state, pending, found, state.config.users[0].login, status=302)

    return await counted(request, behaviour, Call("oauth1_authorize", known, ""), process)


def approve(state: State, pending: Pending, temporary: TemporaryToken, login: str, *, status: int) -> web.Response:
    """Send the user back with a verifier."""
    verifier = state.oauth1.authorize(temporary, login)
    return _back(pending, {"oauth_token": temporary.token, "oauth_verifier": verifier}, status)


def refuse(pending: Pending, temporary: TemporaryToken, code: str, *, status: int) -> web.Response:
    """Send the user back without one, in either way that providers have: `denied`, or `oauth_problem`."""
    if code == _DENIED:
        return _back(pending, {"denied": temporary.token}, status)
    return _back(pending, {"oauth_token": temporary.token, "oauth_problem": code}, status)


def _back(pending: Pending, answer: Mapping[str, str], status: int) -> web.Response:
    joint = "&" if urlsplit(pending.redirect_uri).query else "?"
    location = pending.redirect_uri.removesuffix("?") + joint + urlencode(answer)
    return web.Response(status=status, headers={"Location": location, **_NO_STORE})


async def _answer(request: web.Request, endpoint: Endpoint, judge: _Judge) -> web.StreamResponse:
    state = request.app[STATE]
    sim = sim_of(request)
    signed = _Signed(request, state.issuer)
    known = signed.client_id if signed.client_id in state.clients else ""
    behaviour = state.behaviour(endpoint, known, sim)

    def reply(text: str, status: int) -> web.Response:
        return web.Response(text=text, status=status, content_type=FORM, headers=_NO_STORE)

    def process() -> Processed:
        if behaviour.fail:
            said = {"oauth_problem": behaviour.fail, "oauth_problem_advice": "the simulator was told to fail"}
            return behaviour.fail, reply(urlencode(said), _UNAUTHORIZED)
        validator = Validator(state.clients, state.oauth1, behaviour.code_lifetime)
        try:
            _, text, status = judge(validator, behaviour, signed)
        except ValueError:  # oauthlib does not answer a header or query that it cannot read
            text, status = urlencode({"error": "invalid_request"}), 400
        outcome = {200: "ok", _UNAUTHORIZED: "unauthorized"}.get(status, "invalid_request")
        return outcome, reply(text or "", status)

    return await counted(request, behaviour, Call(endpoint, known, ""), process)
