"""Issues tokens: which, for how long, with or without a refresh token."""

import secrets

import msgspec
from aiohttp import web

from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.config import Client
from keyrack.simulator.reply import token_reply
from keyrack.simulator.state import State
from keyrack.simulator.tokens import Grant, Token
from keyrack.simulator.wire import Refusal


def granted_scope(client: Client, asked: str) -> str:
    """Return the scope a client gets.

    Raises:
        Refusal: it asks for more than it may.
    """
    if client.scopes is None:
        return " ".join(asked.split())
    if not set(asked.split()) <= set(client.scopes):
        raise Refusal("invalid_scope", "this client may not ask for this scope")
    return " ".join(asked.split() or client.scopes)


def issue_access(state: State, behaviour: Behaviour, grant: Grant, scope: str, jkt: str = "") -> Token:
    """Issue an access token, opaque or a JWT (RFC 9068 section 2.2), bound to a key if there is one (RFC 9449)."""
    lifetime = behaviour.access_token_lifetime
    value = None
    if behaviour.access_token_format == "jwt":  # noqa: S105 - a format, not a secret
        issued_at = int(state.book.now())
        claims: dict[str, object] = {
            "iss": state.issuer,
            "sub": grant.login or grant.client_id,
            "aud": state.issuer,
            "client_id": grant.client_id,
            "iat": issued_at,
            "exp": issued_at + lifetime,
            "jti": secrets.token_hex(8),
        }
        if jkt:
            claims["cnf"] = {"jkt": jkt}
        value = state.signer.sign(claims | ({"scope": scope} if scope else {}))
    token = state.book.issue("access", grant, scope, lifetime, value)
    token.jkt = jkt
    return token


def issue_refresh(state: State, behaviour: Behaviour, grant: Grant, scope: str, jkt: str = "") -> Token:
    """Issue a refresh token; a public client's is bound to the client's key, if there is one (RFC 9449 section 5)."""
    token = state.book.issue("refresh", grant, scope, behaviour.refresh_token_lifetime or None)
    client = state.clients.get(grant.client_id)
    token.jkt = jkt if client is not None and client.is_public else ""
    return token


def token_response(
    state: State, behaviour: Behaviour, grant: Grant, scope: str, jkt: str, refreshed: Token | None = None
) -> web.Response:
    """Issue tokens for a grant and build the answer.

    Args:
        state: the simulator's memory.
        behaviour: which tokens, and the answer's shape.
        grant: what was allowed.
        scope: scope of the access token.
        jkt: the key that the client has proved to hold; empty: none.
        refreshed: the refresh token that was used, None for a first issue.
    """
    access = issue_access(state, behaviour, grant, scope, jkt)
    refresh_token = None
    if refreshed is None:
        if _gives_refresh_token(behaviour, grant):
            refresh_token = issue_refresh(state, behaviour, grant, scope, jkt).value
    elif behaviour.rotation != "off":
        if behaviour.rotation != "overlap":
            state.book.rotate(refreshed)
        refresh_token = issue_refresh(state, behaviour, grant, refreshed.scope, jkt).value
    elif behaviour.repeat_refresh_token:
        refresh_token = refreshed.value
    if jkt:
        behaviour = msgspec.structs.replace(behaviour, token_type="DPoP")  # noqa: S106 - the name of a type
    return token_reply(behaviour, access.value, behaviour.access_token_lifetime, refresh_token, scope)


def _gives_refresh_token(behaviour: Behaviour, grant: Grant) -> bool:
    if behaviour.no_refresh_token or not grant.login:
        return False
    name, _, value = behaviour.refresh_only_with.partition("=")
    sent = grant.parameters.get(name, "")
    return value in sent.split() if name == "scope" else not name or sent == value
