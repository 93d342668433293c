"""Computes a secret's `ready` or `error` state as of now (contract 0.12, 0.13, 0.24, 15.4)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.oauth.failure_classes import FailureClass
from keyrack.service.secrets.refresh.outcome import said
from keyrack.service.secrets.refresh.repeatable_grants import RECONNECT, advice

_CLIENT_REJECTED = "The provider rejects the auth client; its secrets wait until the client is changed."
_EXPIRED = (
    "The token has expired, and there is no refresh token to renew it with. Connect again, asking for offline access"
    " if the provider knows it, or set new tokens."
)
_AWAITING_CUTOVER = (
    "The token has expired. It was imported, and Keyrack does not renew it before its import is cut over: until then"
    " the system that it came from does."
)
_NOT_RENEWED = "The token has expired and could not be renewed."
_REFUSED = "The token has expired and the provider refused to renew it"
_ADVICE = {
    FailureClass.CLIENT_REJECTED.value: " Check id and secret of the auth client; if they are right, connect again.",
    FailureClass.OTHER.value: " If it goes on refusing, connect again.",
}
_IF_NOTHING_COMES = " If this goes on, check the addresses of the auth client, or connect again."
_REFUSALS = frozenset(FailureClass) - {FailureClass.TEMPORARY}
_SOON = timedelta(days=7)
_SUCCESS = range(200, 300)
_TRIED_AGAIN, _GIVEN_UP = " It is tried again.", " It is not tried again by itself any more."


@dataclass(frozen=True, slots=True)
class SecretStatus:
    """State, readable error, its cause and since when."""

    state: SecretState
    error: str | None = None
    error_code: ErrorCode | None = None
    error_at: datetime | None = None
    ends_soon: bool = False
    """A new consent is needed within a week, although nothing is wrong."""


def current_status(secret: AuthSecret, client: AuthClient | None, now: datetime) -> SecretStatus:
    """Return what is true of a secret now.

    What is stored is the last definite word: a first cause stays until a refresh, PATCH or consent succeeds. A secret
    that could not be refreshed is `ready` as long as its token is valid, and `error` from the token's expiry on. So is
    one that cannot be refreshed at all; one whose token has no known expiry never is for that.

    Args:
        secret: as stored.
        client: its auth client; None when it is not known, which is taken as well.
        now: the current time.
    """
    if secret.state is SecretState.error:
        return SecretStatus(SecretState.error, secret.error, secret.error_code, secret.error_at)
    unknown = not secret.refreshable and secret.lifetime_guessed
    if unknown or secret.expires_at is None or now < secret.expires_at:
        return SecretStatus(SecretState.ready, ends_soon=_ends_soon(secret, now))
    if not secret.may_be_renewed:
        waits = secret.cutover_batch_id is not None
        why = (_AWAITING_CUTOVER, ErrorCode.awaiting_cutover) if waits else (_EXPIRED, ErrorCode.token_expired)
        return SecretStatus(SecretState.error, *why, secret.expires_at)
    if client is not None and client.rejected_at is not None:
        since = max(client.rejected_at, secret.expires_at)
        return SecretStatus(SecretState.error, _CLIENT_REJECTED, ErrorCode.client_rejected, since)
    if secret.failure is not None and secret.failed_at is not None:
        since = max(secret.failed_at, secret.expires_at)
        code, text = _cause(secret.failure, advice(client))
        later = _GIVEN_UP if secret.due_at is None else _TRIED_AGAIN
        return SecretStatus(SecretState.error, text + later, code, since)
    return SecretStatus(SecretState.ready)


def depends_on_client(secret: AuthSecret, now: datetime) -> bool:
    """Tell whether `current_status` has to know a secret's auth client: most need not be looked up for a list."""
    expired = secret.expires_at is not None and secret.expires_at <= now
    return expired and secret.may_be_renewed and secret.state is not SecretState.error


def _ends_soon(secret: AuthSecret, now: datetime) -> bool:
    """Tell whether a grant is about to end; one that never lives for two weeks is used in full knowledge of that."""
    ends_at, begun = secret.grant_expires_at, secret.connected_at or secret.created_at
    return ends_at is not None and ends_at - now <= _SOON and ends_at - begun >= 2 * _SOON


def _cause(failure: Failure, helps: str) -> tuple[ErrorCode, str]:
    """Return why a refresh failed: the provider refused, sent nothing, or did not answer (contract 0.24)."""
    status = f" (status {failure.status})" if failure.status is not None else ""
    text, words = failure.text.removesuffix("."), _stop(said(failure))
    if failure.kind not in _REFUSALS or failure.status is None:
        return ErrorCode.provider_unavailable, f"{_NOT_RENEWED} {text}{status}.{words}"
    if failure.status in _SUCCESS and failure.error is None:  # it did not refuse
        return ErrorCode.provider_refused, f"{_NOT_RENEWED} {text}{status}.{words}{_IF_NOTHING_COMES}"
    where = f". {failure.text}" if failure.kind == FailureClass.NO_ENDPOINT.value else f"{status}."
    own = _ADVICE.get(failure.kind, "") if helps == RECONNECT else f" {helps}"
    return ErrorCode.provider_refused, f"{_REFUSED}{where}{words}{own}"


def _stop(words: str) -> str:
    return words if not words or words.endswith((".", "!", "?")) else f"{words}."
