"""What a caller is told of a secret's state: the truth at this moment (contract 0.12, 0.13, 15.4)."""

from dataclasses import dataclass
from datetime import datetime

from keyrack.grants import AuthClient, AuthSecret, ErrorCode, SecretState

_TEXTS = {
    ErrorCode.client_rejected: "The provider rejects the auth client; its secrets wait until the client is changed.",
    ErrorCode.provider_unavailable: "The token has expired and the provider cannot be reached or does not answer well.",
}


@dataclass(frozen=True, slots=True)
class Told:
    """State, readable error, its cause and since when."""

    state: SecretState
    error: str | None = None
    error_code: ErrorCode | None = None
    error_at: datetime | None = None


def told(secret: AuthSecret, client: AuthClient | None, now: datetime) -> Told:
    """Return what is true of a secret now.

    What is stored is the last definite word: a first cause stays until a refresh, PATCH or consent succeeds. A secret
    that could not be refreshed is `ready` as long as its token is valid, and `error` from the token's expiry on.

    Args:
        secret: as stored.
        client: its auth client; None when it is not known, which is taken as well.
        now: the current time.
    """
    if secret.state is SecretState.error:
        return Told(SecretState.error, secret.error, secret.error_code, secret.error_at)
    if not secret.refreshable or secret.expires_at is None or now < secret.expires_at:
        return Told(SecretState.ready)
    if client is not None and client.rejected_at is not None:
        code = ErrorCode.client_rejected
        return Told(SecretState.error, _TEXTS[code], code, max(client.rejected_at, secret.expires_at))
    if secret.failure is not None and secret.failed_at is not None:
        code = ErrorCode.provider_unavailable
        return Told(SecretState.error, _TEXTS[code], code, max(secret.failed_at, secret.expires_at))
    return Told(SecretState.ready)
