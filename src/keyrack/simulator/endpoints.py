"""Serves revocation, introspection, a protected resource and metadata."""

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from keyrack.simulator.behaviour import Behaviour, Endpoint
from keyrack.simulator.client_auth import authenticate, read_claim
from keyrack.simulator.config import Client
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.faults import perform
from keyrack.simulator.reply import refusal_reply
from keyrack.simulator.state import Call, State
from keyrack.simulator.tokens import Token
from keyrack.simulator.wire import STATE, Refusal, read_form, sim_of

_Answer = Callable[[State, Client, str], web.Response]


async def revoke(request: web.Request) -> web.StreamResponse:
    """Answer `POST /revoke` (RFC 7009); a refresh token takes its whole family with it."""
    return await _with_token(request, "revoke", _revoke)


async def introspect(request: web.Request) -> web.StreamResponse:
    """Answer `POST /introspect` (RFC 7662)."""
    return await _with_token(request, "introspect", _introspect)


async def me(request: web.Request) -> web.StreamResponse:
    """Answer `GET /api/me`, the protected resource: 200 only for a live access token (RFC 6750)."""
    state = request.app[STATE]
    sim = sim_of(request)
    scheme, _, value = request.headers.get(AUTHORIZATION, "").partition(" ")
    found = state.book.access(value.strip()) if scheme.lower() == "bearer" else None
    live = found if found and found.state(state.book.now()) == "active" else None
    client_id = found.grant.client_id if found else ""
    behaviour = state.behaviour("me", client_id, sim)

    def process() -> Processed:
        if live is None:
            challenge = 'Bearer error="invalid_token"' if value else "Bearer"
            return "invalid_token", _json({"error": "invalid_token"}, 401, {"WWW-Authenticate": challenge})
        return "ok", _json(_describe(state, live))

    call = Call("me", client_id if client_id in state.clients else "", "")
    return await counted(request, behaviour, call, process)


async def metadata(request: web.Request) -> web.StreamResponse:
    """Answer `GET /.well-known/oauth-authorization-server` (RFC 8414)."""
    state = request.app[STATE]
    behaviour = state.behaviour("metadata", "", sim_of(request))
    issuer = state.issuer
    auth_methods = ["client_secret_basic", "client_secret_post"]
    document = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/token",
        "revocation_endpoint": f"{issuer}/revoke",
        "introspection_endpoint": f"{issuer}/introspect",
        "jwks_uri": f"{issuer}/jwks.json",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "token_endpoint_auth_methods_supported": [*auth_methods, "none"],
        "revocation_endpoint_auth_methods_supported": [*auth_methods, "none"],
        "introspection_endpoint_auth_methods_supported": auth_methods,
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": behaviour.iss != "omit",
    }
    return await perform(request, behaviour, lambda: _json(document))


async def jwks(request: web.Request) -> web.Response:
    """Answer `GET /jwks.json`: the key that signs access tokens."""
    return _json(request.app[STATE].signer.jwks())


async def _with_token(request: web.Request, endpoint: Endpoint, answer: _Answer) -> web.StreamResponse:
    state = request.app[STATE]
    sim = sim_of(request)
    try:
        form = await read_form(request)
    except Refusal as refusal:
        return refusal_reply(Behaviour(), refusal)
    claim = read_claim(request, form)
    known = claim.client_id if claim.client_id in state.clients else ""
    behaviour = state.behaviour(endpoint, known, sim)

    def process() -> Processed:
        try:
            client = authenticate(state, claim)
            return "ok", answer(state, client, _required(form, "token"))
        except Refusal as refusal:
            return refusal.code, refusal_reply(behaviour, refusal, claim.challenge)

    return await counted(request, behaviour, Call(endpoint, known, ""), process)


def _required(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise Refusal("invalid_request", f"{name} is missing")
    return form[name]


def _revoke(state: State, client: Client, value: str) -> web.Response:
    found = state.book.find(value)
    if found and found.grant.client_id != client.client_id:
        raise Refusal("invalid_grant", "the token was issued to another client")
    if found and found.kind == "refresh":
        found.grant.revoked = found.grant.revoked or "revoked by the client"
    elif found:
        found.revoked = True
    return web.Response(status=200)


def _introspect(state: State, client: Client, value: str) -> web.Response:
    found = state.book.find(value)
    if client.is_public:
        raise Refusal("invalid_client", "a public client cannot introspect", 401)
    if not found or found.grant.client_id != client.client_id or found.state(state.book.now()) != "active":
        return _json({"active": False})
    return _json({"active": True, **_describe(state, found)})


def _describe(state: State, token: Token) -> dict[str, Any]:
    user = state.user(token.grant.login)
    described: dict[str, Any] = {
        "sub": token.grant.login or token.grant.client_id,
        "client_id": token.grant.client_id,
        "scope": token.scope,
        "iat": int(token.issued_at),
        "iss": state.issuer,
    }
    if token.expires_at is not None:
        described["exp"] = int(token.expires_at)
    if user:
        described |= {"username": user.login, "name": user.name, "email": user.email}
    return described


def _json(document: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(document, status=status, headers={"Cache-Control": "no-store", **(headers or {})})
