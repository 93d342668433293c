"""Grants of the token endpoint that need no browser: password, JWT bearer, token exchange.

They are as strict as the RFCs let a server be: RFC 6749 section 4.3, RFC 7523 section 3, RFC 8693 section 2.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from joserfc import jwk, jws, jwt
from joserfc.errors import JoseError

from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.config import Client
from keyrack.simulator.issue import granted_scope, token_response
from keyrack.simulator.state import State
from keyrack.simulator.tokens import Token
from keyrack.simulator.wire import Refusal

PASSWORD = "password"  # noqa: S105 - the name of a grant
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - the name of a grant
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519"]
_LONGEST = 3600
"""Seconds that an assertion may be good for from now on."""
_SKEW = 60


def password(state: State, behaviour: Behaviour, client: Client, form: Mapping[str, str], jkt: str) -> web.Response:
    """RFC 6749 section 4.3: name and password of a user."""
    user = state.user(_required(form, "username"))
    if user is None or user.password.reveal() != _required(form, "password"):
        raise Refusal("invalid_grant", "there is no such user with this password")
    grant = state.book.open_grant(client.client_id, user.login, granted_scope(client, form.get("scope", "")))
    return token_response(state, behaviour, grant, grant.scope, jkt)


def jwt_bearer(state: State, behaviour: Behaviour, client: Client, form: Mapping[str, str], jkt: str) -> web.Response:
    """RFC 7523 section 2.1: an assertion of the client about a user, or itself; no refresh token (RFC 7521 4.1)."""
    claims = _checked_claims(state, client, _required(form, "assertion"))
    subject = claims["sub"]
    if subject != client.client_id and state.user(subject) is None:
        raise Refusal("invalid_grant", "sub is neither a user nor the client")
    login = "" if subject == client.client_id else subject
    grant = state.book.open_grant(client.client_id, login, granted_scope(client, form.get("scope", "")))
    return token_response(state, msgspec.structs.replace(behaviour, no_refresh_token=True), grant, grant.scope, jkt)


def token_exchange(
    state: State, behaviour: Behaviour, client: Client, form: Mapping[str, str], jkt: str
) -> web.Response:
    """RFC 8693 section 2.1: a live access token of ours for another one, with no more scope than it has."""
    subject = _live(state, form, "subject_token")
    if "actor_token" in form:
        _live(state, form, "actor_token")
    elif "actor_token_type" in form:
        raise Refusal("invalid_request", "actor_token_type without an actor_token")
    if form.get("requested_token_type", _ACCESS_TOKEN) != _ACCESS_TOKEN:
        raise Refusal("invalid_request", "only access tokens are given")
    if form.get("audience", client.client_id) not in state.clients:
        raise Refusal("invalid_target", "audience is no client that is known here")
    if not _is_address(form.get("resource")):
        raise Refusal("invalid_target", "resource is no absolute address without a fragment")
    scope = granted_scope(client, form.get("scope", subject.scope))
    if not set(scope.split()) <= set(subject.scope.split()):
        raise Refusal("invalid_scope", "more scope than the subject token has")
    grant = state.book.open_grant(client.client_id, subject.grant.login, scope)
    said = {"issued_token_type": _ACCESS_TOKEN, **behaviour.extra_members}
    again = msgspec.structs.replace(behaviour, no_refresh_token=True, extra_members=said)
    return token_response(state, again, grant, scope, jkt)


def client_of_assertion(state: State, form: Mapping[str, str]) -> Client:
    """Return the client that an assertion says it is of, for who does not authenticate beside it (RFC 7521 4.1).

    Raises:
        Refusal: there is none.
    """
    try:
        claims = msgspec.json.decode(jws.extract_compact(form.get("assertion", "").encode()).payload)
    except (JoseError, ValueError):
        claims = None
    issuer = claims.get("iss") if isinstance(claims, dict) else None
    client = state.clients.get(issuer) if isinstance(issuer, str) else None
    if client is None or not client.jwks:
        raise Refusal("invalid_grant", "iss is no client with a key")
    return client


def _checked_claims(state: State, client: Client, assertion: str) -> dict[str, Any]:
    """Return the claims of an assertion, each judged as RFC 7523 section 3 has it."""
    try:
        keys = jwk.KeySet.import_key_set({"keys": list(client.jwks)})
        claims = jwt.decode(assertion, keys, algorithms=_ALGORITHMS).claims
    except (JoseError, ValueError, KeyError):
        raise Refusal("invalid_grant", "the assertion is not signed with a key of the client") from None
    now = state.book.now()
    if claims.get("iss") != client.client_id:
        raise Refusal("invalid_grant", "iss is not the client")
    if not isinstance(claims.get("sub"), str):
        raise Refusal("invalid_grant", "sub is missing")
    audience = claims.get("aud")
    wanted = {state.issuer, f"{state.issuer}/token"}
    if wanted.isdisjoint(audience if isinstance(audience, list) else [audience]):
        raise Refusal("invalid_grant", "aud is another server")
    expires = claims.get("exp")
    if not isinstance(expires, int | float) or not now < expires <= now + _LONGEST:
        raise Refusal("invalid_grant", "exp has passed, is too far away, or is missing")
    begins = [claims.get(name, now) for name in ("iat", "nbf")]
    if not all(isinstance(each, int | float) and each <= now + _SKEW for each in begins):
        raise Refusal("invalid_grant", "the assertion is not good yet")
    if not state.assertions.take(client.client_id, str(claims.get("jti", "")), expires):
        raise Refusal("invalid_grant", "the assertion was used before, or has no jti")
    return claims


def _live(state: State, form: Mapping[str, str], name: str) -> Token:
    found = state.book.access(_required(form, name))
    if form.get(f"{name}_type") != _ACCESS_TOKEN:
        raise Refusal("invalid_request", f"{name}_type is not that of an access token")
    if found is None or found.state(state.book.now()) != "active":
        raise Refusal("invalid_request", f"{name} is no live access token")
    return found


def _is_address(text: str | None) -> bool:
    try:
        parts = urlsplit(text or "https://none.example")
    except ValueError:
        return False
    return bool(parts.scheme and parts.netloc) and "#" not in (text or "")


def _required(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise Refusal("invalid_request", f"{name} is missing")
    return form[name]
