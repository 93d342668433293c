"""Decides what a refresh's answer means for the secret (contract 0.13, 0.24, 15.3). Pure functions."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.model.clients import AuthClient
from keyrack.model.events import EventType
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.oauth.failure_classes import FailureClass, classify_failure
from keyrack.oauth.token_response import TokenResponse
from keyrack.provider.faults import may_have_been_sent
from keyrack.service.clients.auth_client_profile import (
    final_errors,
    refresh_host,
    refresh_token_grace,
    spends_refresh_tokens,
)
from keyrack.service.secrets.refresh.repeatable_grants import advice, refusals_end
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import refreshed
from keyrack.store.attempts import AttemptResult

Result = TokenResponse | ProviderError | ProviderUnavailable

MOST_REFUSALS = 3
REFUSED_FOR = timedelta(minutes=5)
"""So many refusals without a known meaning, over at least so long, end a grant that worked before (decision 19)."""

_NOT_PROCESSED = frozenset({408, 425, 429, 503})
_SUCCESS = range(200, 300)
_PROMPT_RETRY = timedelta(seconds=1)
_DEFINITE = frozenset({FailureClass.GRANT_DEAD, FailureClass.CLIENT_REJECTED})
_INTERRUPTED = (
    "A refresh was interrupted: no new tokens reached us, and the provider does not take the old refresh token any"
    " more."
)
_REFUSED = "The provider refuses the refresh token."
_REFUSED_ANEW = "The provider refuses to give another token."
_REFUSED_AGAIN = "The provider refuses to renew the token, again and again."
_UNUSABLE = "The provider {}; the next refresh then puts this right."


@dataclass(frozen=True, slots=True)
class RefreshOutcome:
    """What to write down.

    Attributes:
        secret: as it is to be stored.
        fate: of the attempt; None if it brought tokens.
        event: what to tell, if anything.
    """

    secret: AuthSecret
    fate: AttemptResult | None
    event: EventType | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """A request for tokens that has come to its end.

    Attributes:
        at: when it was sent.
        scheduled: the background tried by itself; what readers and callers cause is no reason for it to back off.
        anew: the grant itself was asked for, and not a refresh: whatever happened to the request, it can be repeated.
    """

    at: datetime
    scheduled: bool = False
    anew: bool = False


def judge(
    secret: AuthSecret,
    client: AuthClient,
    result: Result,
    schedule: Schedule,
    sent: Sent,
    now: datetime,
    *,
    doubted: bool = False,
) -> RefreshOutcome:
    """Work out what becomes of a secret.

    Args:
        secret: as it is stored now.
        client: the auth client the request was made with.
        result: tokens, or why there are none.
        schedule: when to refresh next or to try again.
        sent: the request.
        now: when its answer came.
        doubted: a rejection of the client may be the grant's own fault, so that the client goes on.
    """
    anew = sent.anew
    if isinstance(result, TokenResponse):
        fresh = refreshed(secret, client, result, schedule, now, anew=anew)
        if result.unusable is not None:
            return _unusable(secret, fresh, result.unusable, now)
        return RefreshOutcome(fresh, None, EventType.secret_refreshed)
    kind = FailureClass.OTHER if doubted else classify_failure(result, refresh_host(client), final_errors(client))
    if anew and kind is FailureClass.GRANT_DEAD and not refusals_end(client):
        kind = FailureClass.OTHER
    unknown = kind not in _DEFINITE and is_ambiguous(result) and not anew
    failure = failure_of(result, client)
    if kind is FailureClass.OTHER and not doubted and not unknown and failure.status is not None:
        failure = _counted(failure, secret.failure, now)
    elif secret.failure is not None:  # what says nothing of the grant does not make a refusal unsaid
        failure = replace(failure, refusals=secret.failure.refusals, refused_since=secret.failure.refused_since)
    failed = replace(
        secret,
        failure=failure,
        failure_count=secret.failure_count + 1,
        failed_at=now,
        ambiguous_since=secret.ambiguous_since or (sent.at if unknown and spends_refresh_tokens(client) else None),
    )
    if kind is FailureClass.CLIENT_REJECTED:
        return RefreshOutcome(replace(failed, due_at=None, retry_at=None), AttemptResult.refused)
    if kind is FailureClass.GRANT_DEAD:
        return _dead(secret, failed, client, now, _REFUSED_ANEW if anew else _REFUSED, anew=anew)
    final = kind is FailureClass.OTHER and not unknown and (not anew or refusals_end(client))
    if final and _is_final(secret, client, failure, now, doubted=doubted, anew=anew):
        return _dead(secret, failed, client, now, _REFUSED_AGAIN, anew=anew)
    fate = AttemptResult.ambiguous if unknown else AttemptResult.failed
    return _tried_again(secret, failed, client, kind, schedule, fate, now, sent)


def is_ambiguous(error: ProviderError | ProviderUnavailable) -> bool:
    """Tell whether the provider may have acted on a request although it brought no tokens.

    So it is with a request that was sent and not answered, with errors of gateways in front of the provider, and with
    a success that cannot be read.
    """
    status = error.failure.status
    if isinstance(error, ProviderError):
        return status in _SUCCESS and not error.failure.error
    return may_have_been_sent(error) if status is None else status not in _NOT_PROCESSED


def failure_of(error: ProviderError | ProviderUnavailable, client: AuthClient) -> Failure:
    """Return a failure as it is kept and shown; there is nothing secret in it."""
    told = error.failure
    return Failure(
        kind=classify_failure(error, refresh_host(client), final_errors(client)).value,
        text=error.problem.detail,
        error=told.error,
        error_description=told.error_description,
        status=told.status,
        reason=told.reason,
        retry_after=told.retry_after,
    )


def error_of(failure: Failure) -> ProviderError | ProviderUnavailable:
    """Return the error that tells a caller of a failure that was kept (contract 15.3)."""
    answered = failure.error is not None or failure.error_description is not None
    temporary = failure.kind == FailureClass.TEMPORARY.value and not answered
    known = ProviderFailure(
        status=failure.status,
        error=failure.error,
        error_description=failure.error_description,
        reason=failure.reason,
        retry_after=failure.retry_after,
    )
    return (ProviderUnavailable if temporary else ProviderError)(failure.text, known)


def _unusable(before: AuthSecret, fresh: AuthSecret, why: str, now: datetime) -> RefreshOutcome:
    """The tokens are kept, a rotated refresh token above all, but must not be used (RFC 6749 section 7.1)."""
    code = ErrorCode.unsupported_token_type
    known = before.error_code is code
    since = before.error_at if known else now  # the first cause stays (contract 0.13)
    text = _UNUSABLE.format(why)
    ended = replace(fresh, state=SecretState.error, error=text, error_code=code, error_at=since)
    return RefreshOutcome(ended, None, None if known else EventType.secret_failed)


def said(failure: Failure) -> str:
    """Return what a provider said when it refused, as a sentence to add; empty if it said nothing."""
    words = failure.error_description or failure.error
    return f" It said: {words}" if words else ""


def _counted(failure: Failure, before: Failure | None, now: datetime) -> Failure:
    """Count a refusal whose meaning is not known."""
    refusals, since = (0, None) if before is None else (before.refusals, before.refused_since)
    return replace(failure, refusals=refusals + 1, refused_since=since or now)


def _is_final(
    secret: AuthSecret, client: AuthClient, failure: Failure, now: datetime, *, doubted: bool, anew: bool
) -> bool:
    """Tell whether a refusal that says nothing of its reason ends the grant (contract 0.24, decision 19).

    At once, where an earlier request with the same token may have used it up. Else when it repeats, for a grant that
    this client has worked with as it is now: what never worked may be asked for wrongly. Where the client may be at
    fault instead, only what worked is given up, and only in doubt.
    """
    works = _has_worked(secret, client)
    if failure.status is None:
        return False
    if secret.ambiguous_since is not None and not anew:
        return works or not doubted
    since = failure.refused_since
    repeated = failure.refusals >= MOST_REFUSALS and since is not None and now - since >= REFUSED_FOR
    return repeated and works and not doubted


def _has_worked(secret: AuthSecret, client: AuthClient) -> bool:
    """Tell whether the tokens came from a refresh or a consent with the client as it is now."""
    last = max((at for at in (secret.refreshed_at, secret.connected_at) if at is not None), default=None)
    if last is None or (secret.issued_at is not None and last < secret.issued_at):
        return False
    return client.updated_at is None or client.updated_at <= last


def _dead(
    before: AuthSecret, failed: AuthSecret, client: AuthClient, now: datetime, text: str, *, anew: bool
) -> RefreshOutcome:
    """The grant is gone: for good, or because of a request whose answer never reached us."""
    interrupted = None if anew else failed.ambiguous_since
    ended = replace(failed, due_at=None, retry_at=None)
    if before.error_code is not None:  # the first cause stays (contract 0.13), and was told
        return RefreshOutcome(ended, AttemptResult.refused)
    code = ErrorCode.reauthorization_required if interrupted is None else ErrorCode.refresh_interrupted
    words = said(failed.failure) if failed.failure else ""
    text = f"{text if interrupted is None else _INTERRUPTED} {advice(client)}{words}"
    ended = replace(ended, state=SecretState.error, error=text, error_code=code, error_at=interrupted or now)
    return RefreshOutcome(ended, AttemptResult.refused, EventType.secret_reauthorization_required)


def _tried_again(
    before: AuthSecret,
    secret: AuthSecret,
    client: AuthClient,
    kind: FailureClass,
    schedule: Schedule,
    fate: AttemptResult,
    now: datetime,
    sent: Sent,
) -> RefreshOutcome:
    """Say when the background tries again, and readers; past the time to give up, a refusal ends the grant.

    Only the background's own tries make it back off, and not those that it makes promptly while the provider's grace
    for refresh tokens that were used lasts. While the provider does not answer, readers get a try every few seconds.
    All wait for as long as the provider asked for.
    """
    retry_after = secret.failure.retry_after if secret.failure else None
    grace = refresh_token_grace(client)
    doubt = secret.ambiguous_since if fate is AttemptResult.ambiguous else None
    retry_at = schedule.retry(1, now, retry_after)
    if doubt is not None and now - doubt < grace and retry_after is None:
        retry_at = due_at = min(retry_at, now + _PROMPT_RETRY)
    else:
        secret = replace(secret, backoff_count=secret.backoff_count + sent.scheduled)
        due_at = _next_try(secret, schedule, retry_at, retry_after, now, scheduled=sent.scheduled)
        if kind is not FailureClass.TEMPORARY:  # it answered: asking it every few seconds is no help
            retry_at = due_at
    over = secret.expires_at is not None and due_at > secret.expires_at + schedule.give_up
    refused = fate is not AttemptResult.ambiguous and secret.failure is not None and secret.failure.status is not None
    if over and kind is FailureClass.OTHER and refused:
        return _dead(before, secret, client, now, _REFUSED_AGAIN, anew=sent.anew)
    event = EventType.secret_failed if before.failure is None else None
    return RefreshOutcome(replace(secret, retry_at=retry_at, due_at=None if over else due_at), fate, event)


def _next_try(
    secret: AuthSecret,
    schedule: Schedule,
    soon: datetime,
    retry_after: int | None,
    now: datetime,
    *,
    scheduled: bool,
) -> datetime:
    """Return when the background tries next: what others tried neither hastens nor delays what it has planned."""
    if scheduled and secret.backoff_count > 1:
        return schedule.retry(secret.backoff_count, now, retry_after)
    planned = secret.due_at if secret.failure_count > 1 and not scheduled else None
    if planned is None or planned <= now:
        return soon
    return max(planned, soon) if retry_after is not None else planned
