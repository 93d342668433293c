"""What is due when, after tokens came and after a refresh failed, at given times (contract 0.12, 0.13, 0.14, 0.24)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.model.clients import AuthClient
from keyrack.model.events import EventType
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.service.secrets.refresh.outcome import RefreshOutcome, Result, Sent, judge
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import with_tokens

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
SCHEDULE = Schedule()
CLIENT = AuthClient(
    id="1" * 24, tenant_id="2" * 24, contract_id=None, workspace_id=None, name="Client", type="oauth2",
    credentials={"token_uri": "https://provider.example/token"},
)  # fmt: skip
EMPTY = AuthSecret(
    id="3" * 24, tenant_id="2" * 24, workspace_id="4" * 24, user_id="5" * 24, auth_client_id=CLIENT.id, name="Secret",
    type="oauth2", credentials={}, auth_method=None, refreshable=False, state=SecretState.ready, error=None,
    error_code=None, error_at=None, issued_at=None, expires_at=None, generation=0, due_at=None, retry_at=None,
    refreshed_at=None, ambiguous_since=None, failure=None, failure_count=0, failed_at=None, last_used_at=None,
    created_at=NOW, updated_at=NOW,
)  # fmt: skip
DOWN = ProviderUnavailable("down", ProviderFailure(status=503))
UNSENT = ProviderUnavailable("no route", ProviderFailure(reason="connect_failed", sent=False))
REFUSED = ProviderError("no", ProviderFailure(status=400, error="something_else"))


def with_(**credentials: Any) -> AuthSecret:
    return with_tokens(EMPTY, CLIENT, {"access_token": "at-1", **credentials}, SCHEDULE, NOW)


def failed(secret: AuthSecret, result: Result, at: datetime) -> RefreshOutcome:
    return judge(secret, CLIENT, result, SCHEDULE, Sent(at, scheduled=True), at)


def test_a_token_without_a_lifetime_is_due_within_the_hour_that_is_guessed() -> None:
    secret = with_(refresh_token="rt-1")
    assert secret.lifetime_guessed
    assert secret.expires_at == NOW + HOUR
    assert secret.due_at is not None
    assert NOW + 0.8 * HOUR <= secret.due_at <= NOW + HOUR - 30 * SECOND


def test_a_token_that_cannot_be_renewed_is_due_at_its_expiry_if_that_is_known() -> None:
    assert with_(expires_in=600).due_at == NOW + 600 * SECOND
    assert with_().due_at is None, "a guess is nothing to tell anybody of"


@pytest.mark.parametrize("result", [DOWN, UNSENT, REFUSED])
def test_the_background_goes_on_for_a_day_past_the_expiry_and_no_longer(result: Result) -> None:
    secret = with_(refresh_token="rt-1", expires_in=3600)
    assert secret.expires_at is not None
    over = secret.expires_at + SCHEDULE.give_up
    last = failed(secret, result, over - 6 * SECOND).secret
    assert last.due_at is not None
    assert over - 6 * SECOND < last.due_at <= over
    assert last.error_code is None
    assert failed(secret, result, over - 2 * SECOND).secret.due_at is None, "the next try would be too late"


def test_only_a_refusal_ends_the_grant_when_the_background_gives_up() -> None:
    secret = with_(refresh_token="rt-1", expires_in=3600)
    assert secret.expires_at is not None
    late = secret.expires_at + 25 * HOUR
    for silent in (DOWN, UNSENT):
        left = failed(secret, silent, late)
        assert (left.secret.state, left.secret.error_code, left.secret.due_at) == (SecretState.ready, None, None)
        assert left.secret.retry_at is not None
        assert late < left.secret.retry_at <= late + 5 * SECOND, "a reader may still try"
        assert left.event is EventType.secret_failed
    ended = failed(secret, REFUSED, late)
    assert (ended.secret.state, ended.secret.error_code) == (SecretState.error, ErrorCode.reauthorization_required)
    assert (ended.secret.due_at, ended.secret.retry_at) == (None, None)
    assert ended.event is EventType.secret_reauthorization_required


def test_a_secret_whose_expiry_is_not_known_is_never_given_up() -> None:
    secret = with_(refresh_token="rt-1")
    unknown = failed(replace(secret, expires_at=None), DOWN, NOW + 9000 * HOUR)
    assert unknown.secret.due_at is not None


def test_the_background_waits_longer_with_every_failure_of_its_own() -> None:
    secret, at = with_(refresh_token="rt-1", expires_in=3600), NOW + HOUR
    waits = []
    for _ in range(10):
        secret = failed(secret, DOWN, at).secret
        assert secret.due_at is not None
        waits.append((secret.due_at - at) / SECOND)
        at = secret.due_at
    for wait, longest in zip(waits, (5, 10, 20, 40, 80, 160, 320, 640, 900, 900), strict=True):
        assert longest / 2 <= wait <= longest


def test_what_the_provider_asks_for_is_the_least_that_all_wait() -> None:
    asked = ProviderUnavailable("later", ProviderFailure(status=429, retry_after=3600))
    secret, at = with_(refresh_token="rt-1", expires_in=3600), NOW
    for _ in range(3):
        secret = failed(secret, asked, at).secret
        assert (secret.due_at, secret.retry_at) == (at + HOUR, at + HOUR)
        at += HOUR
