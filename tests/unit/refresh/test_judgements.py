"""What the answer to a refresh makes of a secret: each class of failure, each doubt, and when it is tried again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.model.clients import AuthClient
from keyrack.model.events import EventType
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.secrets.refresh.outcome import (
    MOST_REFUSALS,
    REFUSED_FOR,
    RefreshOutcome,
    Sent,
    error_of,
    failure_of,
    is_ambiguous,
    judge,
)
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.store.attempts import AttemptResult

NOW = datetime(2026, 10, 21, 12, tzinfo=UTC)
SENT = NOW - timedelta(seconds=3)
LONG_AGO = NOW - timedelta(days=1)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
SCHEDULE = Schedule(first_retry=timedelta(seconds=8), longest_retry=timedelta(seconds=64), give_up=HOUR)
CLIENT = AuthClient("c", "t", None, None, "C", "oauth2", {"token_uri": "https://p.example/token"}, updated_at=LONG_AGO)
SECRET = AuthSecret(
    "s", "t", "w", "u", "c", "S", "oauth2", {"access_token": "a", "refresh_token": "r"}, None, refreshable=True,
    state=SecretState.ready, error=None, error_code=None, error_at=None, issued_at=LONG_AGO, expires_at=NOW,
    generation=4, due_at=NOW, retry_at=None, refreshed_at=LONG_AGO, ambiguous_since=None, failure=None, failure_count=0,
    failed_at=None, last_used_at=None, created_at=LONG_AGO, updated_at=LONG_AGO, grant_generation=7,
)  # fmt: skip
TEXT = "The authorization server refused."


def refused(status: int | None = 400, error: str | None = None, words: str | None = None) -> ProviderError:
    codes = (error,) if error else ()
    return ProviderError(TEXT, ProviderFailure(status=status, error=error, error_description=words, codes=codes))


def away(status: int | None = None, **more: Any) -> ProviderUnavailable:
    return ProviderUnavailable("The authorization server cannot answer now.", ProviderFailure(status=status, **more))


DEAD, REJECTED, ODD = refused(400, "invalid_grant"), refused(401, "invalid_client"), refused(400, "odd")
NEVER_SENT = away(sent=False, reason="refused")


def judged(
    result: Any,
    secret: AuthSecret = SECRET,
    client: AuthClient = CLIENT,
    *,
    doubted: bool = False,
    scheduled: bool = False,
    anew: bool = False,
) -> RefreshOutcome:
    return judge(secret, client, result, SCHEDULE, Sent(SENT, scheduled, anew), NOW, doubted=doubted)


def within(moment: datetime | None, seconds: float) -> bool:
    """Tell whether a moment is a wait of so many seconds from now, of which half is a matter of chance."""
    assert moment is not None
    return timedelta(seconds=seconds / 2) <= moment - NOW <= timedelta(seconds=seconds)


def test_tokens_are_stored_and_told() -> None:
    answer = TokenResponse(Secret("b"), Secret("q"), 60, "x", "Bearer", {"access_token": "b"})
    found = judged(answer, replace(SECRET, failure=Failure("other", "t"), failure_count=3, ambiguous_since=SENT))
    assert (found.fate, found.event) == (None, EventType.secret_refreshed)
    assert found.secret.credentials["access_token"] == "b"
    assert found.secret.credentials["refresh_token"] == "q"
    assert (found.secret.failure, found.secret.failure_count, found.secret.ambiguous_since) == (None, 0, None)
    assert found.secret.refreshed_at == NOW


def test_a_token_that_cannot_be_used_is_kept_and_told_once() -> None:
    answer = TokenResponse(Secret("b"), None, 60, None, " DPoP ", {"access_token": "b"})
    found = judged(answer)
    assert (found.fate, found.event) == (None, EventType.secret_failed)
    assert found.secret.credentials["access_token"] == "b"
    assert (found.secret.state, found.secret.error_code) == (SecretState.error, ErrorCode.unsupported_token_type)
    assert found.secret.error_at == NOW
    assert "of the type DPoP, which" in (found.secret.error or "")
    again = judged(answer, replace(SECRET, error_code=ErrorCode.unsupported_token_type, error_at=LONG_AGO))
    assert (again.event, again.secret.error_at) == (None, LONG_AGO)
    other = judged(answer, replace(SECRET, error_code=ErrorCode.reauthorization_required, error_at=LONG_AGO))
    assert (other.event, other.secret.error_at) == (EventType.secret_failed, NOW)


def test_a_dead_grant_ends_with_the_providers_words() -> None:
    found = judged(refused(400, "invalid_grant", "Token has been revoked."))
    assert (found.fate, found.event) == (AttemptResult.refused, EventType.secret_reauthorization_required)
    ended = found.secret
    assert (ended.state, ended.error_code, ended.error_at) == (
        SecretState.error,
        ErrorCode.reauthorization_required,
        NOW,
    )
    assert ended.error == "The provider refuses the refresh token. Connect again. It said: Token has been revoked."
    assert (ended.due_at, ended.retry_at, ended.failure_count, ended.failed_at) == (None, None, 1, NOW)
    assert judged(DEAD).secret.error == "The provider refuses the refresh token. Connect again. It said: invalid_grant"


def test_a_grant_that_died_after_an_interruption_is_told_as_that() -> None:
    found = judged(DEAD, replace(SECRET, ambiguous_since=LONG_AGO))
    ended = found.secret
    assert (ended.error_code, ended.error_at) == (ErrorCode.refresh_interrupted, LONG_AGO)
    assert (ended.error or "").startswith(
        "A refresh was interrupted: no new tokens reached us, and the provider does not"
    )
    assert (ended.error or "").endswith(" any more. Connect again. It said: invalid_grant")
    assert found.event is EventType.secret_reauthorization_required


def test_the_first_cause_of_an_end_stays_and_is_told_once() -> None:
    before = replace(SECRET, error_code=ErrorCode.refresh_interrupted, error="E", error_at=LONG_AGO)
    found = judged(DEAD, before)
    assert (found.fate, found.event) == (AttemptResult.refused, None)
    assert (found.secret.error_code, found.secret.error, found.secret.error_at) == (
        ErrorCode.refresh_interrupted, "E", LONG_AGO,
    )  # fmt: skip
    assert found.secret.due_at is None


def test_a_rejected_client_stops_the_secret_and_leaves_the_grant_alone() -> None:
    found = judged(REJECTED)
    assert (found.fate, found.event) == (AttemptResult.refused, None)
    assert (found.secret.state, found.secret.due_at, found.secret.retry_at) == (SecretState.ready, None, None)
    assert found.secret.failure is not None
    assert (found.secret.failure.kind, found.secret.failure.refusals) == ("client_rejected", 0)
    doubted = judged(REJECTED, doubted=True)
    assert doubted.fate is AttemptResult.failed
    assert doubted.secret.due_at is not None
    assert doubted.secret.failure is not None
    assert doubted.secret.failure.refusals == 0


@pytest.mark.parametrize(
    ("error", "ambiguous"),
    [
        (refused(400), False), (refused(200), True), (refused(299), True), (refused(300), False), (refused(199), False),
        (refused(200, "invalid_grant"), False), (refused(None), False), (away(), True), (away(sent=True), True),
        (away(sent=False), False), (away(500), True), (away(502, sent=False), True), (away(503), False),
        (away(429), False), (away(425), False), (away(408), False),
    ],
)  # fmt: skip
def test_what_the_provider_may_have_acted_on_is_in_doubt(error: ProviderError, ambiguous: bool) -> None:
    assert is_ambiguous(error) is ambiguous


def test_a_doubt_begins_when_the_request_was_sent_and_stays() -> None:
    found = judged(away(502))
    assert (found.fate, found.secret.ambiguous_since) == (AttemptResult.ambiguous, SENT)
    assert found.event is EventType.secret_failed
    later = judged(away(502), replace(SECRET, ambiguous_since=LONG_AGO, failure=Failure("temporary", "t")))
    assert (later.secret.ambiguous_since, later.event) == (LONG_AGO, None)
    well = judged(NEVER_SENT)
    assert (well.fate, well.secret.ambiguous_since) == (AttemptResult.failed, None)
    assert judged(NEVER_SENT, replace(SECRET, ambiguous_since=LONG_AGO)).secret.ambiguous_since == LONG_AGO


def test_a_definite_answer_leaves_no_doubt() -> None:
    assert judged(DEAD).secret.ambiguous_since is None
    assert judged(refused(200, "invalid_grant")).secret.ambiguous_since is None


def refusals(secret: AuthSecret = SECRET, client: AuthClient = CLIENT, **more: Any) -> RefreshOutcome:
    """Judge one refusal too many."""
    before = Failure("other", "t", refusals=MOST_REFUSALS - 1, refused_since=NOW - REFUSED_FOR)
    return judged(ODD, replace(secret, failure=before), client, **more)


def test_refusals_without_a_meaning_are_counted_and_end_a_grant_that_worked() -> None:
    first = judged(ODD).secret
    assert first.failure is not None
    assert (first.failure.refusals, first.failure.refused_since) == (1, NOW)
    found = refusals()
    assert found.event is EventType.secret_reauthorization_required
    assert found.secret.error == (
        "The provider refuses to renew the token, again and again. Connect again. It said: odd"
    )
    assert found.secret.failure is not None
    assert found.secret.failure.refusals == MOST_REFUSALS == 3
    assert timedelta(minutes=5) == REFUSED_FOR


@pytest.mark.parametrize(
    ("count", "since"), [(MOST_REFUSALS - 2, NOW - REFUSED_FOR), (MOST_REFUSALS, NOW - REFUSED_FOR + SECOND)]
)
def test_too_few_refusals_or_too_short_a_time_end_nothing(count: int, since: datetime) -> None:
    before = Failure("other", "t", refusals=count, refused_since=since)
    found = judged(ODD, replace(SECRET, failure=before))
    assert found.fate is AttemptResult.failed
    assert found.secret.failure is not None
    assert (found.secret.failure.refusals, found.secret.failure.refused_since) == (count + 1, since)


@pytest.mark.parametrize(
    "changes",
    [{"refreshed_at": None}, {"refreshed_at": None, "connected_at": None}, {"issued_at": NOW},
     {"refreshed_at": LONG_AGO - SECOND, "issued_at": LONG_AGO}],
)  # fmt: skip
def test_what_never_worked_is_not_given_up_for_refusals(changes: dict[str, Any]) -> None:
    assert refusals(replace(SECRET, **changes)).fate is AttemptResult.failed


def test_a_grant_worked_if_its_tokens_came_from_the_client_as_it_is_now() -> None:
    connected = replace(SECRET, refreshed_at=None, connected_at=LONG_AGO)
    for secret in (connected, replace(connected, issued_at=None), replace(SECRET, connected_at=LONG_AGO - HOUR)):
        assert refusals(secret).fate is AttemptResult.refused
    for updated_at, fate in (
        (None, AttemptResult.refused), (LONG_AGO - SECOND, AttemptResult.refused),
        (LONG_AGO + SECOND, AttemptResult.failed),
    ):  # fmt: skip
        assert refusals(client=replace(CLIENT, updated_at=updated_at)).fate is fate


def test_what_says_nothing_of_the_grant_does_not_make_a_refusal_unsaid() -> None:
    before = Failure("other", "t", refusals=2, refused_since=LONG_AGO)
    for result in (away(503), refused(200), away(502)):
        failure = judged(result, replace(SECRET, failure=before)).secret.failure
        assert failure is not None
        assert (failure.refusals, failure.refused_since) == (2, LONG_AGO)
    assert refusals(doubted=True).fate is AttemptResult.failed


def test_after_a_doubt_any_refusal_is_final() -> None:
    doubtful = replace(SECRET, ambiguous_since=LONG_AGO)
    assert judged(ODD, doubtful).secret.error_code is ErrorCode.refresh_interrupted
    never = replace(doubtful, refreshed_at=None)
    assert judged(ODD, never).fate is AttemptResult.refused
    assert judged(REJECTED, doubtful, doubted=True).fate is AttemptResult.refused
    assert judged(REJECTED, never, doubted=True).fate is AttemptResult.failed
    assert judged(refused(None, "odd"), doubtful).fate is AttemptResult.failed


def test_the_background_backs_off_by_its_own_tries_alone() -> None:
    found = judged(away(503), scheduled=True).secret
    assert (found.backoff_count, found.failure_count) == (1, 1)
    assert within(found.due_at, 8)
    third = judged(away(503), replace(SECRET, backoff_count=2, failure_count=5), scheduled=True).secret
    assert (third.backoff_count, third.failure_count) == (3, 6)
    assert within(third.due_at, 32)
    assert within(third.retry_at, 8), "readers get a try every few seconds"
    others = judged(away(503), replace(SECRET, backoff_count=2)).secret
    assert others.backoff_count == 2


def test_what_others_try_neither_hastens_nor_delays_the_background() -> None:
    planned = replace(SECRET, due_at=NOW + timedelta(seconds=500), failure_count=1)
    assert judged(away(503), planned).secret.due_at == planned.due_at
    assert within(judged(away(503), replace(planned, failure_count=0)).secret.due_at, 8)
    assert within(judged(away(503), replace(planned, due_at=NOW)).secret.due_at, 8)
    assert within(judged(away(503), replace(planned, due_at=None)).secret.due_at, 8)
    assert judged(away(503, retry_after=7), planned).secret.due_at == planned.due_at
    assert judged(away(503, retry_after=900), planned).secret.due_at == NOW + timedelta(seconds=900)


def test_a_provider_that_answers_is_not_asked_by_readers_before_the_background() -> None:
    found = judged(ODD, replace(SECRET, backoff_count=3), scheduled=True).secret
    assert found.retry_at == found.due_at
    assert within(found.due_at, 64)


def test_while_old_tokens_have_a_grace_a_doubt_is_tried_out_promptly() -> None:
    graceful = replace(CLIENT, credentials={**CLIENT.credentials, "refresh_token_grace": 10})
    for since, prompt in ((SENT, True), (NOW - timedelta(seconds=10), False), (NOW - timedelta(seconds=9), True)):
        found = judged(away(502), replace(SECRET, ambiguous_since=since), graceful, scheduled=True).secret
        assert (found.due_at == found.retry_at == NOW + SECOND) is prompt
        assert found.backoff_count == (0 if prompt else 1)
    assert judged(away(502), client=CLIENT, scheduled=True).secret.backoff_count == 1
    asked = judged(away(502, retry_after=30), client=graceful).secret
    assert asked.retry_at == NOW + timedelta(seconds=30)
    sure = judged(away(503), replace(SECRET, ambiguous_since=SENT), graceful, scheduled=True).secret
    assert sure.backoff_count == 1, "nothing new is in doubt"


def test_past_the_time_to_give_up_a_refusal_ends_the_grant_and_silence_only_the_tries() -> None:
    old = replace(SECRET, expires_at=NOW - HOUR)
    found = judged(ODD, old)
    assert (found.fate, found.event) == (AttemptResult.refused, EventType.secret_reauthorization_required)
    assert "again and again" in (found.secret.error or "")
    for result in (away(503), NEVER_SENT, refused(404), refused(200), away(502)):
        silent = judged(result, old)
        assert silent.secret.state is SecretState.ready
        assert silent.secret.due_at is None
        assert silent.secret.retry_at is not None
    assert judged(ODD, replace(SECRET, expires_at=NOW - HOUR + timedelta(seconds=9))).secret.due_at is not None
    assert judged(ODD, replace(SECRET, expires_at=None)).secret.due_at is not None


def test_a_failure_is_kept_as_it_was_told_and_told_again_as_it_is_kept() -> None:
    known = ProviderFailure(status=429, error="slow", error_description="Slow down.", retry_after=9, reason="busy")
    kept = failure_of(ProviderUnavailable(TEXT, known), CLIENT)
    assert kept == Failure("temporary", TEXT, "slow", "Slow down.", 429, "busy", 9)
    told = error_of(kept)
    assert isinstance(told, ProviderError)
    assert (told.failure, str(told)) == (known, TEXT)
    assert isinstance(error_of(replace(kept, error=None, error_description=None)), ProviderUnavailable)
    assert isinstance(error_of(replace(kept, error=None)), ProviderError)
    assert isinstance(error_of(replace(kept, error_description=None)), ProviderError)
    assert isinstance(error_of(Failure("other", TEXT)), ProviderError)
