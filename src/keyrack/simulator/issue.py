"""Issues tokens: which, for how long, with or without a refresh token."""

import secrets

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


def issue_access(state: State, behaviour: Behaviour, grant: Grant, scope: str) -> Token:
    """Issue an access token, opaque or a JWT (RFC 9068 section 2.2)."""
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
        value = state.signer.sign(claims | ({"scope": scope} if scope else {}))
    return state.book.issue("access", grant, scope, lifetime, value)


def issue_refresh(state: State, behaviour: Behaviour, grant: Grant, scope: str) -> Token:
    """Issue a refresh token."""
    return state.book.issue("refresh", grant, scope, behaviour.refresh_token_lifetime or None)


def token_response(
    state: State, behaviour: Behaviour, grant: Grant, scope: str, refreshed: Token | None = None
) -> web.Response:
    """Issue tokens for a grant and build the answer.

    Args:
        state: the simulator's memory.
        behaviour: which tokens, and the answer's shape.
        grant: what was allowed.
        scope: scope of the access token.
        refreshed: the refresh token that was used, None for a first issue.
    """
    access = issue_access(state, behaviour, grant, scope)
    refresh_token = None
    if refreshed is None:
        if _gives_refresh_token(behaviour, grant):
            refresh_token = issue_refresh(state, behaviour, grant, scope).value
    elif behaviour.rotation != "off":
        if behaviour.rotation != "overlap":
            state.book.rotate(refreshed)
        refresh_token = issue_refresh(state, behaviour, grant, refreshed.scope).value
    elif behaviour.repeat_refresh_token:
        refresh_token = refreshed.value
    return token_reply(behaviour, access.value, behaviour.access_token_lifetime, refresh_token, scope)


def _gives_refresh_token(behaviour: Behaviour, grant: Grant) -> bool:
    if behaviour.no_refresh_token or not grant.login:
        return False
    name, _, value = behaviour.refresh_only_with.partition("=")
    sent = grant.parameters.get(name, "")
    return value in sent.split() if name == "scope" else not name or sent == value
