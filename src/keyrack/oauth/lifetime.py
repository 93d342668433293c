"""Computes how long an access token may be used (contract section 0.14)."""

import json
from base64 import urlsafe_b64decode
from datetime import datetime

from keyrack.crypto.secret import Secret
from keyrack.oauth.token_response import MAX_LIFETIME

DEFAULT_LIFETIME = 3600
"""Seconds assumed when nobody says anything."""

_JWT_PARTS = 3
_MAX_PAYLOAD = 64 * 1024


def known_lifetime(
    expires_in: int | None,
    *,
    token_expires_in: int | None = None,
    access_token: Secret,
    stated_before: int | None = None,
    now: datetime,
) -> int | None:
    """Return the lifetime of a fresh access token in seconds, 1 to `MAX_LIFETIME`, if anybody said it.

    The first that is given and positive counts: the response's `expires_in`, the client's `token_expires_in`,
    the `exp` of a JWT access token (RFC 7519 section 4.1.4), what was said of an earlier token of the same grant.

    Args:
        expires_in: from the token response, seconds.
        token_expires_in: explicit setting of the client, seconds.
        access_token: read only if it is a JWT, and then without verifying it: a wrong `exp` can only make us
            refresh too early or too late.
        stated_before: from an earlier response about this grant, seconds.
        now: the current time, aware.
    """
    for seconds in (expires_in, token_expires_in, _jwt_lifetime(access_token, now), stated_before):
        if seconds is not None and seconds > 0:
            return min(seconds, MAX_LIFETIME)
    return None


def token_lifetime(
    expires_in: int | None,
    *,
    token_expires_in: int | None = None,
    access_token: Secret,
    stated_before: int | None = None,
    learned: int | None = None,
    now: datetime,
) -> int:
    """Return the lifetime of a fresh access token in seconds, 1 to `MAX_LIFETIME`.

    What `known_lifetime` returns for the same arguments, else the learned lifetime, else an hour.

    Args:
        expires_in: from the token response, seconds.
        token_expires_in: explicit setting of the client, seconds.
        access_token: read only if it is a JWT.
        stated_before: from an earlier response about this grant, seconds.
        learned: how long earlier tokens of this client lived, seconds.
        now: the current time, aware.
    """
    known = known_lifetime(
        expires_in, token_expires_in=token_expires_in, access_token=access_token, stated_before=stated_before, now=now
    )
    if known is not None:
        return known
    return min(learned, MAX_LIFETIME) if learned is not None and learned > 0 else DEFAULT_LIFETIME


def _jwt_lifetime(token: Secret, now: datetime) -> int | None:
    """Return the seconds until a JWT's `exp`; None for what is no JWT or has no sensible `exp`."""
    parts = token.reveal().split(".")
    if len(parts) != _JWT_PARTS or len(parts[1]) > _MAX_PAYLOAD:
        return None
    try:
        payload = json.loads(urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    exp = payload.get("exp") if isinstance(payload, dict) else None
    if isinstance(exp, bool) or not isinstance(exp, int | float):
        return None
    issued = now.timestamp()
    # Compared before it is subtracted: a float cannot take every integer that JSON can hold.
    return int(exp - issued) if issued < exp <= issued + MAX_LIFETIME else None
