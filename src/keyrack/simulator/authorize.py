"""The authorization endpoint (RFC 6749 section 3.1): checks a request, then answers or asks the user."""

import re
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from keyrack.simulator.behaviour import TRAVELLING, Behaviour, Overrides
from keyrack.simulator.config import Client
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.interaction import ask
from keyrack.simulator.issue import granted_scope
from keyrack.simulator.pages import error_page
from keyrack.simulator.pending import Pending
from keyrack.simulator.state import Call, State
from keyrack.simulator.wire import STATE, Refusal, sim_of, single

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_WRONG_ISSUER = "https://someone-else.example"


async def authorize(request: web.Request) -> web.StreamResponse:
    """Answer `GET /authorize`."""
    state = request.app[STATE]
    sim = sim_of(request)
    try:
        parameters = single((name, value) for name, value in request.query.items() if name != "sim")
    except Refusal as refusal:
        return error_page(refusal.description)
    client_id = parameters.get("client_id", "")
    request_uri = parameters.get("request_uri")
    known = client_id if client_id in state.clients else ""
    behaviour = state.behaviour("authorize", known, sim)
    call = Call("authorize", known, "")

    def process() -> Processed:
        if request_uri is None and not behaviour.require_pushed:
            return _decide(request, parameters, behaviour, sim)
        pushed = state.pushed.take(known, request_uri or "")
        if pushed is None:
            said = "The request was not pushed before, was used already, or has expired (request_uri)."
            return "invalid_request_uri", error_page(said)
        # What the browser carries beside the reference counts for nothing (RFC 9126 section 4, RFC 9101 section 6.3).
        return _decide(request, {**pushed, "client_id": client_id}, behaviour, sim)

    return await counted(request, behaviour, call, process)


def _decide(request: web.Request, parameters: Mapping[str, str], behaviour: Behaviour, sim: Overrides) -> Processed:
    state = request.app[STATE]
    client = state.clients.get(parameters.get("client_id", ""))
    if client is None:
        return "unauthorized_client", error_page("The application that sent you here is not known (client_id).")
    pending = pending_for(client, parameters, behaviour, sim)
    if pending is None:
        # Never redirect to an address that is not the client's (RFC 6749 section 4.1.2.1).
        return "invalid_request", error_page("The redirect_uri is missing or is not one of this application's.")
    try:
        check(client, pending)
        if behaviour.approval == "page":
            return "ok", ask(request, pending)
    except Refusal as refusal:
        return refusal.code, refuse(state, pending, refusal, status=302)
    user = state.user(pending.login_hint) or state.config.users[0]
    return "ok", grant_code(state, pending, user.login, status=302)


def pending_for(client: Client, parameters: Mapping[str, str], behaviour: Behaviour, sim: Overrides) -> Pending | None:
    """Return an authorization request; None if its redirect URI is not the client's."""
    redirect_uri = parameters.get("redirect_uri", client.redirect_uris[0] if len(client.redirect_uris) == 1 else "")
    if not client.takes_redirect(redirect_uri):
        return None
    return Pending(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        redirect_uri_sent="redirect_uri" in parameters,
        state=parameters.get("state", ""),
        scope="",
        challenge=parameters.get("code_challenge", ""),
        prompt=frozenset(parameters.get("prompt", "").split()),
        login_hint=parameters.get("login_hint", ""),
        parameters=parameters,
        behaviour=behaviour,
        travelling={name: value for name, value in sim.items() if name in TRAVELLING},
    )


def check(client: Client, pending: Pending) -> None:
    """Judge what a client asks for, and note the scope that it gets.

    Raises:
        Refusal: it may not ask for that.
    """
    if pending.parameters.get("response_type") != "code":
        given = "response_type" in pending.parameters
        raise Refusal("unsupported_response_type" if given else "invalid_request", "response_type must be code")
    pending.scope = granted_scope(client, pending.parameters.get("scope", ""))
    method = pending.parameters.get("code_challenge_method", "")
    if (pending.challenge or method) and client.pkce == "refused":
        raise Refusal("invalid_request", "this client does not take PKCE parameters")
    if not pending.challenge and (method or client.pkce == "required"):
        raise Refusal("invalid_request", "code_challenge is missing")
    if pending.challenge and (method != "S256" or not _CHALLENGE.fullmatch(pending.challenge)):
        raise Refusal("invalid_request", "code_challenge must be of the method S256")
    if pending.behaviour.deny:
        raise Refusal(pending.behaviour.deny, "the simulator was told to deny")


def grant_code(state: State, pending: Pending, login: str, *, status: int) -> web.Response:
    """Send the user back with a code (RFC 6749 section 4.1.2)."""
    grant = state.book.open_grant(pending.client_id, login, pending.scope, pending.parameters, pending.travelling)
    code = state.book.issue_code(
        grant,
        pending.redirect_uri,
        sent=pending.redirect_uri_sent,
        challenge=pending.challenge,
        lifetime=pending.behaviour.code_lifetime,
    )
    return _redirect(state, pending, {"code": code}, status)


def refuse(state: State, pending: Pending, refusal: Refusal, *, status: int) -> web.Response:
    """Send the user back with an error (RFC 6749 section 4.1.2.1)."""
    answer = {"error": refusal.code, "error_description": refusal.description}
    return _redirect(state, pending, answer, status)


def _redirect(state: State, pending: Pending, answer: dict[str, str], status: int) -> web.Response:
    behaviour = pending.behaviour
    if pending.state and behaviour.state != "omit":
        answer["state"] = pending.state + ("-wrong" if behaviour.state == "wrong" else "")
    if behaviour.iss != "omit":
        answer["iss"] = _WRONG_ISSUER if behaviour.iss == "wrong" else state.issuer
    joint = "&" if urlsplit(pending.redirect_uri).query else "?"
    location = pending.redirect_uri.removesuffix("?") + joint + urlencode(answer)
    return web.Response(status=status, headers={"Location": location, "Cache-Control": "no-store"})
