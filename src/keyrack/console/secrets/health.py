"""Says in plain words how a connection is, why, and what to do about it."""

from dataclasses import dataclass

from keyrack.model.secrets import ErrorCode, SecretState
from keyrack.service.secrets.connections import Connection

_RECONNECT = "Reconnect: the owner of the account has to agree at the provider again."
_REMEDIES = {
    ErrorCode.refresh_interrupted: _RECONNECT,
    ErrorCode.reauthorization_required: _RECONNECT,
    ErrorCode.token_expired: _RECONNECT,
    ErrorCode.client_rejected: (
        "Somebody who looks after the auth client has to correct its id and secret. It then goes on by itself."
    ),
    ErrorCode.provider_refused: "If the provider goes on refusing, reconnect.",
    ErrorCode.provider_unavailable: "Nothing for now: it is tried again by itself. If it goes on, test or reconnect.",
    ErrorCode.unsupported_token_type: "Set the client to Bearer tokens at the provider, then test this connection.",
    ErrorCode.awaiting_cutover: (
        "Whoever runs Keyrack brings newer tokens from the system it came from, or cuts its import over."
    ),
    ErrorCode.unreadable: "Whoever runs Keyrack has to restore the key that this was encrypted with, or reconnect.",
}
_NEW_VALUES = "Put right what the provider refuses, then get a new token; or set other values for the connection."
"""Where nobody has to agree anywhere."""
_DIRECT = {
    ErrorCode.reauthorization_required: _NEW_VALUES,
    ErrorCode.refresh_interrupted: _NEW_VALUES,
    ErrorCode.token_expired: _NEW_VALUES,
    ErrorCode.provider_refused: "It is tried again by itself once that is put right.",
    ErrorCode.provider_unavailable: "Nothing for now: it is tried again by itself.",
}
_BY_HAND = "Somebody has marked it so, or a program has. Reconnect, or set new tokens through the API."


@dataclass(frozen=True, slots=True)
class Health:
    """How a connection is.

    Attributes:
        word: for a badge.
        kind: of the badge: `good`, `warn` or `bad`.
        plain: what is wrong; empty if nothing is.
        said: what the provider said.
        remedy: what to do.
    """

    word: str
    kind: str
    plain: str = ""
    said: str = ""
    remedy: str = ""


def health_of(connection: Connection) -> Health:
    """Return how a connection is at this moment."""
    secret, status = connection.secret, connection.status
    if status.state is SecretState.error:
        known = _REMEDIES | _DIRECT if connection.needs_nobody else _REMEDIES
        remedy = _BY_HAND if status.error_code is None else known[status.error_code]
        return Health("Needs attention", "bad", status.error or "It cannot be used.", _said(connection), remedy)
    if connection.is_rejected:
        text = "The provider rejects the auth client itself. What is fresh works until it expires, and is not renewed."
        return Health("Not renewed", "warn", text, _said(connection), _REMEDIES[ErrorCode.client_rejected])
    if secret.failure is not None:
        text = f"The token still works, but could not be renewed. {secret.failure.text}"
        over = _NEW_VALUES if connection.needs_nobody else _RECONNECT
        remedy = "Nothing for now: it is tried again by itself." if secret.due_at else over
        return Health("Renewal fails", "warn", text, _said(connection), remedy)
    if status.ends_soon:
        text = "Its grant ends at the provider within a week, and nothing but a new consent puts that off."
        return Health("Ends soon", "warn", text, remedy=_RECONNECT)
    if secret.missing_scopes:
        text = "The provider granted less than was asked for."
        remedy = "Reconnect, and agree to everything, if something does not work."
        if connection.needs_nobody:
            remedy = "If something does not work, let the provider allow the client what is missing."
        return Health("Scopes missing", "warn", text, remedy=remedy)
    return Health("Works", "good")


def _said(connection: Connection) -> str:
    failure = connection.secret.failure
    if failure is None:
        return ""
    return ": ".join(text for text in (failure.error, failure.error_description) if text)
