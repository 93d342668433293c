"""Serves revocation, introspection, a protected resource and metadata."""

from typing import Any

from aiohttp import web
from aiohttp.hdrs import AUTHORIZATION

from keyrack.simulator import direct_grants
from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.client_endpoint import Asked, answer_client
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.device import GRANT_TYPE as DEVICE_CODE
from keyrack.simulator.dpop import proven, with_nonce
from keyrack.simulator.dpop_book import ALGORITHMS
from keyrack.simulator.faults import perform
from keyrack.simulator.state import Call, State
from keyrack.simulator.tokens import Token
from keyrack.simulator.wire import STATE, Refusal, sim_of


async def revoke(request: web.Request) -> web.StreamResponse:
    """Answer `POST /revoke` (RFC 7009); a refresh token takes its whole family with it."""
    return await answer_client(request, "revoke", _revoke)


async def introspect(request: web.Request) -> web.StreamResponse:
    """Answer `POST /introspect` (RFC 7662)."""
    return await answer_client(request, "introspect", _introspect)


async def me(request: web.Request) -> web.StreamResponse:
    """Answer `GET /api/me`, the protected resource: 200 only for a live access token (RFC 6750)."""
    state = request.app[STATE]
    sim = sim_of(request)
    scheme, _, value = request.headers.get(AUTHORIZATION, "").partition(" ")
    kind = scheme.lower()
    found = state.book.access(value.strip()) if kind in {"bearer", "dpop"} else None
    fits = found is not None and (kind == "dpop") is bool(found.jkt)
    live = found if found and fits and found.state(state.book.now()) == "active" else None
    client_id = found.grant.client_id if found else ""
    behaviour = state.behaviour("me", client_id, sim)

    def process() -> Processed:
        if live is None:
            name = "DPoP" if kind == "dpop" else "Bearer"
            challenge = f'{name} error="invalid_token"' if value else name
            return "invalid_token", _json({"error": "invalid_token"}, 401, {"WWW-Authenticate": challenge})
        reply = _json(_describe(state, live))
        try:
            _check_proof(request, behaviour, live)
        except Refusal as refusal:
            challenge = f'DPoP error="{refusal.code}", error_description="{refusal.description}"'
            reply = _json({"error": refusal.code}, 401, {"WWW-Authenticate": challenge})
            return refusal.code, with_nonce(request, reply, behaviour)
        return "ok", with_nonce(request, reply, behaviour)

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
        "device_authorization_endpoint": f"{issuer}/device_authorization",
        "pushed_authorization_request_endpoint": f"{issuer}/par",
        "require_pushed_authorization_requests": behaviour.require_pushed,
        "jwks_uri": f"{issuer}/jwks.json",
        "registration_endpoint": f"{issuer}/register",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": [
            *("authorization_code", "refresh_token", "client_credentials", DEVICE_CODE),
            *(direct_grants.PASSWORD, direct_grants.JWT_BEARER, direct_grants.TOKEN_EXCHANGE),
        ],
        "token_endpoint_auth_methods_supported": [*auth_methods, "none"],
        "revocation_endpoint_auth_methods_supported": [*auth_methods, "none"],
        "introspection_endpoint_auth_methods_supported": auth_methods,
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "authorization_response_iss_parameter_supported": behaviour.iss != "omit",
    }
    return await perform(request, behaviour, lambda: _json(document))


async def jwks(request: web.Request) -> web.Response:
    """Answer `GET /jwks.json`: the key that signs access tokens."""
    return _json(request.app[STATE].signer.jwks())


def _token(asked: Asked) -> str:
    if "token" not in asked.form:
        raise Refusal("invalid_request", "token is missing")
    return asked.form["token"]


def _revoke(asked: Asked) -> web.Response:
    found = asked.state.book.find(_token(asked))
    if found and found.grant.client_id != asked.client.client_id:
        raise Refusal("invalid_grant", "the token was issued to another client")
    if found and found.kind == "refresh":
        found.grant.revoked = found.grant.revoked or "revoked by the client"
    elif found:
        found.revoked = True
    return web.Response(status=200)


def _introspect(asked: Asked) -> web.Response:
    state, client = asked.state, asked.client
    found = state.book.find(_token(asked))
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
    if token.jkt:
        described |= {"cnf": {"jkt": token.jkt}, "token_type": "DPoP"}
    if token.expires_at is not None:
        described["exp"] = int(token.expires_at)
    if user:
        described |= {"username": user.login, "name": user.name, "email": user.email}
    return described


def _json(document: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(document, status=status, headers={"Cache-Control": "no-store", **(headers or {})})


def _check_proof(request: web.Request, behaviour: Behaviour, token: Token) -> None:
    """Insist that who sends a bound token holds its key (RFC 9449 section 7.1)."""
    target = f"{request.app[STATE].issuer}{request.path}"
    if token.jkt and proven(request, behaviour, target, token.value) != token.jkt:
        raise Refusal("invalid_dpop_proof", "no proof, or one of another key")
