"""Keeps a secret as a request header until shortly before it expires."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from keyrack.client.bound_tokens import SCHEME
from keyrack.client.errors import Unexpected
from keyrack.client.results import AuthSecret
from keyrack.crypto.secret import Secret

LONGEST_HELD = 300.0
"""Seconds: what is stored without an expiry may be changed by somebody."""

Clock = Callable[[], float]
"""Seconds that never go back, as `time.monotonic`."""


@dataclass(frozen=True, slots=True)
class Held:
    """What is sent to the third party.

    Attributes:
        name: of the header.
        value: of the header.
        until: the clock's time until which it is used without asking Keyrack again.
        bound: whether a proof of its key goes with each request (RFC 9449).
    """

    name: str
    value: Secret
    until: float
    bound: bool = False


def held(secret: AuthSecret, min_validity: float, now: float) -> Held:
    """Return a secret as a header, by its type (contract section 14).

    Args:
        secret: as just read.
        min_validity: seconds before its end that it is no longer used.
        now: the clock's time.

    Raises:
        Unexpected: the caller may not see the credentials, or they make no header.
    """
    name, value = _header(secret)
    left = LONGEST_HELD if secret.seconds_left is None else secret.seconds_left - min_validity
    return Held(name, Secret(value), now + left, bound=value.startswith(f"{SCHEME} "))


def _header(secret: AuthSecret) -> tuple[str, str]:
    if secret.credentials is None:
        raise Unexpected("Keyrack does not show this caller the secret's credentials")
    its = secret.credentials
    try:
        if secret.type == "basic":
            pair = f"{its['username']}:{its['password']}".encode()
            return "Authorization", f"Basic {base64.b64encode(pair).decode()}"
        if secret.type == "api_key":
            return str(its["headerName"]), str(its["headerValue"])
        scheme = SCHEME if str(its.get("token_type", "")).lower() == SCHEME.lower() else "Bearer"
        return "Authorization", f"{scheme} {its['access_token']}"
    except KeyError as missing:
        raise Unexpected(f"a secret of type {secret.type} without {missing}") from None
