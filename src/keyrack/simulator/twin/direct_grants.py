"""Says what a request must be that gets tokens with nobody in a browser, by a profile and the RFC of its grant."""

from collections.abc import Callable
from time import time
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError

from keyrack.oauth.profiles.kinds import Grant
from keyrack.oauth.profiles.request_parts import Sent, Template
from keyrack.simulator.twin.expectation import Expected, Order
from keyrack.simulator.twin.orders import RFC, Reading, request_order, with_own
from keyrack.simulator.twin.templates import chosen, written

GRANT_TYPES = {
    Grant.CLIENT_CREDENTIALS: "client_credentials",
    Grant.PASSWORD: "password",
    Grant.JWT_BEARER: "urn:ietf:params:oauth:grant-type:jwt-bearer",
    Grant.TOKEN_EXCHANGE: "urn:ietf:params:oauth:grant-type:token-exchange",
}
"""`grant_type` of the grants of this module."""
_CLOCKS = 60
"""Seconds by which clocks may differ."""


def direct_order(reading: Reading) -> Order:
    """Return what the request for tokens must be."""
    profile = reading.profile
    usual = {"grant_type": Expected(RFC, GRANT_TYPES[profile.grant])}
    in_assertion = profile.grant is Grant.JWT_BEARER and profile.assertion.sends_scope
    if reading.scopes and not in_assertion:
        usual["scope"] = Expected("/scopes", profile.scopes.separator.join(reading.scopes))
    usual |= _OF_GRANT[profile.grant](reading)
    return request_order(reading, "token", profile.token, usual, "/token")


def _password(reading: Reading) -> dict[str, Expected]:
    """RFC 6749 section 4.3.2."""
    values = reading.registered.values
    return {name: Expected(f"/inputs/{name}", values.get(name), secret=True) for name in ("username", "password")}


def _token_exchange(reading: Reading) -> dict[str, Expected]:
    """RFC 8693 section 2.1; of audiences and resources one each, as a parameter is never sent twice here."""
    said = reading.profile.token_exchange
    if said is None:
        return {}
    found: dict[str, str | None] = {
        "subject_token": _filled(said.subject_token, reading),
        "subject_token_type": said.subject_token_type,
        "actor_token": None if said.actor_token is None else _filled(said.actor_token, reading),
        "requested_token_type": said.requested_token_type,
        "audience": next((text for each in said.audience if (text := _filled(each, reading))), None),
        "resource": next((text for each in said.resource if (text := _filled(each, reading))), None),
    }
    if found["actor_token"] is not None:
        found["actor_token_type"] = said.actor_token_type
    return {
        name: Expected(f"/token_exchange/{name}", text, secret=name in {"subject_token", "actor_token"})
        for name, text in found.items()
        if text is not None
    }


def _jwt_bearer(reading: Reading) -> dict[str, Expected]:
    """RFC 7523 section 2.1."""
    return {"assertion": Expected("/assertion", fits=_assertion(reading), secret=True)}


def _assertion(reading: Reading) -> Callable[[Any], str | None]:
    """Return what judges an assertion (RFC 7523 section 3), each claim by what the profile says of it."""
    profile, registered, said = reading.profile, reading.registered, reading.profile.assertion
    endpoint = reading.endpoint("token")
    issuer = registered.client_id if said.issuer is None else _filled(said.issuer, reading)
    usual: dict[str, Sent] = {
        "iss": issuer,
        "sub": issuer if said.subject is None else _filled(said.subject, reading),
        "aud": (endpoint[0] if endpoint else None) if said.audience is None else _filled(said.audience, reading),
    }
    if said.sends_scope and reading.scopes:
        usual["scope"] = profile.scopes.separator.join(reading.scopes)
    known = {name: Expected("/assertion", text) for name, text in usual.items() if text is not None}
    expected = with_own(known, said.claims, {}, reading.public, "/assertion", typed=True)
    key_id = registered.key_id if said.key_id is None else _filled(said.key_id, reading)

    def judge(value: Any) -> str | None:
        try:
            decoded = jwt.decode(str(value), registered.public_key, algorithms=[said.algorithm])
        except (JoseError, ValueError):
            return f"is no JWT that the key has signed with {said.algorithm}"
        claims, now = decoded.claims, time()
        wrong = [name for name, each in expected.items() if each.problem(_plain(claims.get(name), each.value))]
        wrong += sorted(set(claims) - set(expected) - {"exp", "iat", "jti", "nbf"})
        life = claims.get("exp", 0) - claims.get("iat", 0)
        if not (now < claims.get("exp", 0) and 0 < life <= said.lifetime + _CLOCKS):
            wrong.append("exp")
        if key_id and decoded.header.get("kid") != key_id:
            wrong.append("kid")
        return f"is a JWT with other claims than the profile says: {', '.join(wrong)}" if wrong else None

    return judge


def _plain(claim: Any, expected: Any) -> Any:
    """Return a claim as it is compared: a number that the profile has may come as its text."""
    return expected if not isinstance(expected, str) and str(claim) == str(expected) else claim


def _filled(template: Template, reading: Reading) -> str | None:
    text = chosen(template, reading.public)
    return None if text is None else written(text, reading.public)


_OF_GRANT: dict[Grant, Callable[[Reading], dict[str, Expected]]] = {
    Grant.CLIENT_CREDENTIALS: lambda _: {},
    Grant.PASSWORD: _password,
    Grant.JWT_BEARER: _jwt_bearer,
    Grant.TOKEN_EXCHANGE: _token_exchange,
}
