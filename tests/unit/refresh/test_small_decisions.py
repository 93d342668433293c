"""The small decisions around a refresh: who is given up, what an event tells, what is lost, who has to wait."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.oauth.token_response import TokenResponse
from keyrack.oauth.wire import AnswerFault, RawResponse
from keyrack.service.secrets.refresh.abandonment import Abandonment
from keyrack.service.secrets.refresh.finalizer import _called
from keyrack.service.secrets.refresh.leased_refresh import LeasedSecret, Timing, _interpret, _kept, _lost, busy
from keyrack.service.secrets.refresh.outcome import RefreshOutcome
from keyrack.service.secrets.refresh.refresh_by_hand import FreshTokens, needs_nothing
from keyrack.service.secrets.refresh.refresher import _is_better, _is_busy, _outcome
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.settlements import facts_of
from keyrack.store.attempts import Attempt, AttemptKind, AttemptResult
from keyrack.store.core.process_id import node_id
from keyrack.store.leases import Lease

NOW = datetime(2026, 10, 21, 12, tzinfo=UTC)
LATER, SECOND = NOW + timedelta(hours=1), timedelta(seconds=1)
SECRET = AuthSecret(
    "s", "t", "w", "u", "c", "S", "oauth2", {"access_token": "a-canary", "refresh_token": "r-canary"}, None,
    refreshable=True, state=SecretState.ready, error=None, error_code=None, error_at=None, issued_at=NOW,
    expires_at=LATER, generation=4, due_at=NOW, retry_at=None, refreshed_at=NOW, ambiguous_since=None, failure=None,
    failure_count=0, failed_at=None, last_used_at=None, created_at=NOW, updated_at=NOW, grant_generation=7,
)  # fmt: skip
TOKENS = TokenResponse(Secret("b"), None, None, None, None, {})


def an_attempt(number: int, owner: str = "elsewhere#1:1") -> Attempt:
    return Attempt(f"a{number}", "t", AttemptKind.refresh, "s", 1, 7, owner, NOW)


class Watch:
    """Seconds that go on when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_attempt_of_another_is_given_up_when_it_had_time_enough_to_bring_its_answer() -> None:
    watch = Watch()
    abandonment, old, new = Abandonment(30.0, watch), an_attempt(1), an_attempt(2)
    assert not abandonment.is_over(old), "the database was never seen"
    abandonment.database_is_up([old])
    watch.now += 29
    abandonment.database_is_up([old, new])
    assert not abandonment.is_over(old)
    watch.now += 1
    assert abandonment.is_over(old)
    assert not abandonment.is_over(new), "it was seen a moment ago"
    abandonment.database_is_down()
    assert not abandonment.is_over(old), "after an outage the time starts anew"
    abandonment.database_is_up([old, new])
    watch.now += 29
    assert not abandonment.is_over(old)
    watch.now += 1
    assert abandonment.is_over(old)
    assert abandonment.is_over(new)
    abandonment.database_is_up([new])
    assert not abandonment.is_over(old), "what is not open is forgotten"


def test_an_attempt_of_this_process_or_of_a_dead_one_need_not_be_waited_for() -> None:
    abandonment = Abandonment(30.0, Watch())
    assert abandonment.is_over(an_attempt(1, node_id()))
    machine, _, process = node_id().rpartition("#")
    pid, _, started = process.partition(":")
    assert abandonment.is_over(an_attempt(1, f"{machine}#{pid}:{int(started) + 1}"))


def test_an_event_tells_of_a_secret_what_is_not_secret() -> None:
    at = {"secret_id": "s", "workspace_id": "w", "auth_client_id": "c", "at": "2026-10-21T12:00:00.000Z"}
    assert facts_of(replace(SECRET, expires_at=None), NOW) == at
    failed = replace(
        SECRET,
        error_code=ErrorCode.reauthorization_required,
        failure=Failure("grant_dead", "It refused.", "invalid_grant", status=400),
    )
    assert facts_of(failed, NOW) == at | {
        "expires_at": "2026-10-21T13:00:00.000Z",
        "error_code": "reauthorization_required",
        "failure": {"class": "grant_dead", "error": "invalid_grant", "text": "It refused."},
    }


def away(**known: Any) -> ProviderUnavailable:
    return ProviderUnavailable("The authorization server cannot answer now.", ProviderFailure(**known))


@pytest.mark.parametrize(
    ("fate", "result", "called"),
    [
        (None, TOKENS, "landed"),
        (AttemptResult.failed, away(sent=False), "unsent"),
        (AttemptResult.ambiguous, away(sent=True), "ambiguous"),
        (AttemptResult.failed, away(status=503), "failed"),
        (AttemptResult.refused, ProviderError("It refused."), "refused"),
    ],
)
def test_the_end_of_a_refresh_is_counted_by_what_it_was(fate: AttemptResult | None, result: Any, called: str) -> None:
    assert _called(RefreshOutcome(SECRET, fate), result) == called


@pytest.mark.parametrize(
    ("result", "lost"),
    [
        (away(sent=True), True), (away(), True), (away(sent=False), False), (away(sent=True, received=True), False),
        (away(status=502), False), (ProviderError("no", ProviderFailure(status=200)), False), (TOKENS, False),
    ],
)  # fmt: skip
def test_only_a_request_that_was_sent_and_brought_nothing_back_is_lost(result: Any, lost: bool) -> None:
    assert _lost(result) is lost


def test_what_a_provider_said_of_a_client_is_told_again_as_it_was_kept() -> None:
    kept = _kept({"error": "invalid_client", "status": 401, "error_description": None})
    assert (kept.error, kept.status, kept.error_description) == ("invalid_client", 401, None)
    assert kept.null_members == ("error_description",)
    assert _kept({}) == ProviderFailure()


def test_an_answer_is_read_without_showing_what_was_sent() -> None:
    client = AuthClient("c", "t", None, None, "C", "oauth2", {"client_secret": "cs-canary"})
    held = LeasedSecret(Lease("t", "s", 1, SECRET), client, ())
    body = b'{"error": "e", "error_description": "a-canary r-canary cs-canary"}'
    told = _interpret(RawResponse(400, {}, body), held)
    assert isinstance(told, ProviderError)
    assert told.failure.error_description == "*** *** ***"
    without = replace(SECRET, credentials={"refresh_token": "r-canary"})
    bare = LeasedSecret(Lease("t", "s", 1, without), replace(client, credentials={}), ())
    told = _interpret(RawResponse(400, {}, b'{"error": "None of these"}'), bare)
    assert isinstance(told, ProviderError)
    assert told.failure.error == "None of these"
    assert isinstance(_interpret(RawResponse(200, {}, b"", AnswerFault.CLOSED, cut=True), held), ProviderUnavailable)
    assert isinstance(_interpret(RawResponse(200, {}, b'{"access_token": "b"}'), held), TokenResponse)


def test_a_lease_is_longer_than_all_that_is_done_under_it() -> None:
    assert Timing(call=10.0).lease_ms == 20_000
    assert Timing(call=2.5).lease_ms == 12_500
    assert (Timing().call, Timing().wait) == (10.0, 20.0)


def test_somebody_else_at_it_is_known_from_other_failures() -> None:
    assert _is_busy(busy("Wait."))
    assert str(busy("Wait.")) == "Wait."
    assert not _is_busy(away(reason="timeout"))


def test_a_failure_that_was_written_down_is_told_to_who_waited() -> None:
    assert _outcome(SECRET) is SECRET
    with pytest.raises(ProviderError, match="It refused"):
        _outcome(replace(SECRET, failure=Failure("other", "It refused.")))


@pytest.mark.parametrize(
    ("changes", "better"),
    [
        ({}, False), ({"grant_generation": 8}, True), ({"grant_generation": 6}, True), ({"generation": 9}, False),
        ({"credentials": {"access_token": "b"}}, True), ({"credentials": {"access_token": "a-canary"}}, False),
        ({"expires_at": LATER + SECOND}, True), ({"expires_at": LATER - SECOND}, False), ({"expires_at": None}, False),
    ],
)  # fmt: skip
def test_who_waits_for_a_token_goes_on_waiting_for_other_changes(changes: dict[str, Any], better: bool) -> None:
    assert _is_better(replace(SECRET, **changes), SECRET) is better
    assert _is_better(SECRET, replace(SECRET, expires_at=None)) is False


@pytest.mark.parametrize(
    ("changes", "at", "nothing"),
    [
        ({}, NOW, True), ({}, LATER - timedelta(seconds=31), True), ({}, LATER - timedelta(seconds=30), False),
        ({"state": SecretState.error}, NOW, False), ({"refreshable": False}, LATER, True),
        ({"expires_at": None}, LATER, True), ({"issued_at": None}, NOW, False),
        ({"refreshable": False, "state": SecretState.error}, NOW, False),
    ],
)  # fmt: skip
def test_a_secret_that_is_well_and_not_due_needs_nothing(changes: dict[str, Any], at: datetime, nothing: bool) -> None:
    assert needs_nothing(replace(SECRET, **changes), Schedule(), at) is nothing


@pytest.mark.parametrize(
    ("changes", "worth"),
    [
        ({}, True), ({"retry_at": NOW}, True), ({"retry_at": NOW + SECOND}, False),
        ({"state": SecretState.error, "error_code": ErrorCode.refresh_interrupted}, False),
        ({"state": SecretState.error}, True), ({"error_code": ErrorCode.refresh_interrupted}, True),
    ],
)  # fmt: skip
def test_a_dead_grant_and_one_that_must_wait_are_not_tried(changes: dict[str, Any], worth: bool) -> None:
    assert FreshTokens._is_worth_trying(replace(SECRET, **changes), NOW) is worth
