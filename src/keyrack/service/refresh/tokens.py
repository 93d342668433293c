"""New tokens in an auth secret: what changes with them, wherever they come from (contract 15.1, 15.2, 0.14)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from keyrack.crypto.secret import Secret
from keyrack.grants import AuthClient, AuthSecret, SecretState
from keyrack.model import Json
from keyrack.oauth.lifetime import known_lifetime, token_lifetime
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.refresh.schedule import Schedule

OAUTH2_TYPES = frozenset({"oauth2", "oauth2_instagram"})
"""Types of auth clients whose secrets hold tokens (contract section 14)."""


def is_oauth2(kind: str) -> bool:
    """Tell whether secrets of a type hold OAuth 2.0 tokens."""
    return kind in OAUTH2_TYPES


def with_tokens(
    secret: AuthSecret, client: AuthClient, credentials: Json, schedule: Schedule, now: datetime
) -> AuthSecret:
    """Return an oauth2 secret with other tokens: fresh, ready, and without a memory of failures.

    Args:
        secret: as stored.
        client: the auth client behind it.
        credentials: the whole new credentials (contract 15.1); `expires_in`, in seconds, may be missing.
        schedule: when tokens are due.
        now: when the tokens were issued.

    Returns:
        The secret with `expires_in` filled in, times of expiry and next refresh, and the next generation.
    """
    token = Secret(str(credentials.get("access_token", "")))
    known = known_lifetime(
        credentials.get("expires_in"),
        token_expires_in=client.credentials.get("token_expires_in"),
        access_token=token,
        now=now,
    )
    lifetime = known or token_lifetime(None, access_token=token, learned=client.learned_lifetime, now=now)
    expires_at = now + timedelta(seconds=lifetime)
    refreshable = bool(credentials.get("refresh_token"))
    # one that cannot be refreshed is due when it expires, to tell of it, if that is known
    expiry = None if known is None else expires_at
    return replace(
        secret,
        credentials={**credentials, "expires_in": lifetime},
        refreshable=refreshable,
        issued_at=now,
        expires_at=expires_at,
        due_at=schedule.background_due(secret.id, now, expires_at) if refreshable else expiry,
        generation=secret.generation + 1,
        lifetime_guessed=known is None,
        **_well(),
    )


def well(secret: AuthSecret) -> AuthSecret:
    """Return a secret that is ready, without a memory of failures."""
    return replace(secret, **_well())


def merged(credentials: Mapping[str, Any], tokens: TokenResponse) -> Json:
    """Return credentials with what a token response brings (contract 15.3).

    A missing refresh token or scope keeps the old one, unknown members are merged into `undefined_params`, and the
    lifetime is the response's alone: `with_tokens` fills in what it does not say.
    """
    fresh: Json = {**credentials, "access_token": tokens.access_token.reveal(), "expires_in": tokens.expires_in}
    if tokens.refresh_token is not None:
        fresh["refresh_token"] = tokens.refresh_token.reveal()
    if tokens.scope is not None:
        fresh["scope"] = tokens.scope
    known = credentials.get("undefined_params")
    fresh["undefined_params"] = {**(known if isinstance(known, Mapping) else {}), **tokens.undefined_params}
    return fresh


def _well() -> Json:
    return {
        "state": SecretState.ready,
        "error": None,
        "error_code": None,
        "error_at": None,
        "retry_at": None,
        "ambiguous_since": None,
        "failure": None,
        "failure_count": 0,
        "failed_at": None,
    }
