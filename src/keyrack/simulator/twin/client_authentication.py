"""Says how a client must authenticate at a twin: in exactly one way, the one of the profile, and in no other."""

import base64
from collections.abc import Callable
from time import time
from typing import Any
from urllib.parse import quote_plus

from joserfc import jwt
from joserfc.errors import JoseError

from keyrack.oauth.profiles.kinds import AuthMethod
from keyrack.oauth.profiles.request_parts import ClientAuthentication
from keyrack.simulator.twin.expectation import Expected
from keyrack.simulator.twin.registration import Registration
from keyrack.simulator.twin.templates import chosen, written

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LONGEST = 600
"""Seconds for which an assertion may be good."""

_BY_CERTIFICATE = (AuthMethod.TLS_CLIENT_AUTH, AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH)

Credentials = tuple[dict[str, Expected], str | None]
"""Parameters, and the value of the `Authorization` header."""


def credentials(
    said: ClientAuthentication, registered: Registration, endpoint: str, seen: set[str], pointer: str
) -> Credentials:
    """Return what a request must have of its client's.

    Args:
        said: how it authenticates.
        registered: the client.
        endpoint: where the request goes, without its query.
        seen: `jti` of assertions that have come before; new ones are put there.
        pointer: where the profile says it.
    """
    own_id, own_secret = registered.client_id, registered.client_secret
    at = f"{pointer}/method"
    if said.method is AuthMethod.CLIENT_SECRET_BASIC:
        return {}, _basic(quote_plus(own_id), quote_plus(own_secret))
    if said.method is AuthMethod.CLIENT_SECRET_BASIC_RAW:
        return {}, _basic(own_id, own_secret)
    if said.method is AuthMethod.FIELDS:
        return {}, None
    named = {"client_id": Expected(at, own_id)}
    if said.method in {AuthMethod.NONE, *_BY_CERTIFICATE}:
        return named, None
    if said.method is AuthMethod.CLIENT_SECRET_POST:
        return {**named, "client_secret": Expected(at, own_secret, secret=True)}, None
    return {
        "client_id": Expected(at, own_id, optional=True),  # the assertion names it (RFC 7521 section 4.2)
        "client_assertion_type": Expected(at, _JWT_BEARER),
        "client_assertion": Expected(at, fits=_assertion(said, registered, endpoint, seen), secret=True),
    }, None


def shows_certificate(said: ClientAuthentication) -> bool:
    """Return whether a client shows its certificate in TLS (RFC 8705): instead of a secret, or beside it."""
    return said.mutual_tls or said.method in _BY_CERTIFICATE


def _basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"


def _assertion(
    said: ClientAuthentication, registered: Registration, endpoint: str, seen: set[str]
) -> Callable[[Any], str | None]:
    """Return what judges an assertion (RFC 7523 section 3)."""
    algorithm = said.algorithm or ("HS256" if said.method is AuthMethod.CLIENT_SECRET_JWT else "RS256")
    named = None if said.audience is None else chosen(said.audience, registered.values)
    audience = endpoint if named is None else written(named, registered.values)

    def judge(value: Any) -> str | None:
        try:
            decoded = jwt.decode(str(value), registered.public_key, algorithms=[algorithm])
        except (JoseError, ValueError):
            return f"is no JWT that the client's key has signed with {algorithm}"
        claims, now = decoded.claims, time()
        key_id = registered.key_id or said.key_id
        wrong = {
            "iss": claims.get("iss") != registered.client_id,
            "sub": claims.get("sub") != registered.client_id,
            "aud": claims.get("aud") not in (audience, [audience]),
            "exp": not now < claims.get("exp", 0) <= now + _LONGEST,
            "jti": not claims.get("jti") or claims["jti"] in seen,
            "kid": key_id is not None and decoded.header.get("kid") != key_id,
        }
        seen.add(str(claims.get("jti")))
        names = [name for name, is_wrong in wrong.items() if is_wrong]
        return f"is a JWT with another {', '.join(names)} than this client's" if names else None

    return judge
