"""What a failed token request means for the grant behind it (contract section 0.13)."""

from enum import StrEnum

from keyrack.errors import ProviderError, ProviderUnavailable


class FailureClass(StrEnum):
    """What has to happen before the request can succeed."""

    GRANT_DEAD = "grant_dead"
    """The user must authorize again; trying on is pointless."""

    CLIENT_REJECTED = "client_rejected"
    """The client's id or secret must be put right; the grant itself may be well."""

    TEMPORARY = "temporary"
    """Trying again later may help."""

    OTHER = "other"
    """The provider does not say; neither the grant nor the client is given up for it."""


_BY_CODE = {
    "invalid_grant": FailureClass.GRANT_DEAD,
    "bad_refresh_token": FailureClass.GRANT_DEAD,
    "invalid_refresh_token": FailureClass.GRANT_DEAD,
    "token_revoked": FailureClass.GRANT_DEAD,
    "interaction_required": FailureClass.GRANT_DEAD,
    "consent_required": FailureClass.GRANT_DEAD,
    "login_required": FailureClass.GRANT_DEAD,
    "invalid_scope": FailureClass.GRANT_DEAD,
    "invalid_client": FailureClass.CLIENT_REJECTED,
    "unauthorized_client": FailureClass.CLIENT_REJECTED,
    "unsupported_grant_type": FailureClass.CLIENT_REJECTED,
    "incorrect_client_credentials": FailureClass.CLIENT_REJECTED,
    "invalid_client_id": FailureClass.CLIENT_REJECTED,
    "bad_client_secret": FailureClass.CLIENT_REJECTED,
    "temporarily_unavailable": FailureClass.TEMPORARY,
    "server_error": FailureClass.TEMPORARY,
    "slow_down": FailureClass.TEMPORARY,
}
_CLIENT_ALONE = frozenset({"invalid_client", "incorrect_client_credentials", "invalid_client_id", "bad_client_secret"})
_UNAUTHORIZED = 401


def classify(error: ProviderError | ProviderUnavailable) -> FailureClass:
    """Return the class of a failure that `process_token_response` reported.

    RFC 6749 section 5.2 keeps status 401 for rejected clients, so a 401 without a code is one. A bare 400 or 403,
    and `invalid_request`, are ambiguous in the wild (dead refresh token, bad secret or a firewall) and stay
    `OTHER`.
    """
    if isinstance(error, ProviderUnavailable):
        return FailureClass.TEMPORARY
    meta = error.meta or {}
    code = meta.get("error")
    if isinstance(code, str):
        return _BY_CODE.get(code.lower(), FailureClass.OTHER)
    return FailureClass.CLIENT_REJECTED if meta.get("status") == _UNAUTHORIZED else FailureClass.OTHER


def blames_client_alone(error: ProviderError) -> bool:
    """Tell whether a rejected client (`CLIENT_REJECTED`) is at fault whichever grant it was sent with.

    A bare 401, and `unauthorized_client`, are also what some servers say of a single refresh token, for instance of
    one that was issued to another client.
    """
    code = (error.meta or {}).get("error")
    return isinstance(code, str) and code.lower() in _CLIENT_ALONE
