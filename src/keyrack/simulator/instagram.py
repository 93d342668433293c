"""Long-lived tokens as Instagram gives them: for a short-lived one, and a fresh one for a long-lived one."""

from aiohttp import web

from keyrack.crypto.secret import Secret
from keyrack.simulator.behaviour import Behaviour, Endpoint
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.state import Call, State
from keyrack.simulator.tokens import Token
from keyrack.simulator.wire import STATE, Refusal, sim_of, single

LIFETIME = 60 * 24 * 3600
"""Seconds that a long-lived token works."""

_NO_STORE = {"Cache-Control": "no-store"}


async def exchange(request: web.Request) -> web.StreamResponse:
    """Answer `GET /instagram/access_token`: a long-lived token for a short-lived one."""
    return await _answer(request, "ig_exchange", "ig_exchange_token")


async def refresh(request: web.Request) -> web.StreamResponse:
    """Answer `GET /instagram/refresh_access_token`: a fresh long-lived token; the old one works on."""
    return await _answer(request, "ig_refresh", "ig_refresh_token")


async def _answer(request: web.Request, endpoint: Endpoint, grant_type: str) -> web.StreamResponse:
    state = request.app[STATE]
    sim = sim_of(request)
    found = state.book.access(request.query.get("access_token", ""))
    known = found.grant.client_id if found is not None and found.grant.client_id in state.clients else ""
    behaviour = state.behaviour(endpoint, known, sim)

    def process() -> Processed:
        try:
            return "ok", _issue(state, behaviour, request, grant_type)
        except Refusal as refusal:
            error = {"message": refusal.description, "type": "OAuthException", "code": 190}
            return refusal.code, web.json_response({"error": error}, status=400, headers=_NO_STORE)

    return await counted(request, behaviour, Call(endpoint, known, ""), process)


def _issue(state: State, behaviour: Behaviour, request: web.Request, grant_type: str) -> web.Response:
    if behaviour.fail:
        raise Refusal(behaviour.fail, "the simulator was told to fail")
    given = single((name, value) for name, value in request.query.items() if name != "sim")
    if given.get("grant_type") != grant_type:
        raise Refusal("unsupported_grant_type", f"grant_type must be {grant_type}")
    token = _live(state, given.get("access_token", ""), long_lived=grant_type == "ig_refresh_token")
    client = state.clients.get(token.grant.client_id)
    if not token.long_lived and (client is None or client.client_secret != Secret(given.get("client_secret", ""))):
        raise Refusal("invalid_client", "the client secret is missing or wrong")
    made = state.book.issue("access", token.grant, token.scope, LIFETIME)
    made.long_lived = True
    members = {"access_token": made.value, "token_type": "bearer", "expires_in": LIFETIME}
    return web.json_response(members | dict(behaviour.extra_members), headers=_NO_STORE)


def _live(state: State, value: str, *, long_lived: bool) -> Token:
    found = state.book.access(value)
    if found is None or found.state(state.book.now()) != "active":
        raise Refusal("invalid_grant", "the token is not known or has expired")
    if found.long_lived is not long_lived:
        raise Refusal("invalid_grant", "only short-lived tokens are exchanged, only long-lived ones refreshed")
    return found
