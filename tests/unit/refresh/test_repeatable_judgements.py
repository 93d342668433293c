"""What refusals mean where tokens are got without a person, and what is kept of what was filled in (decision 39)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, ErrorCode, SecretState
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.clients.connection_inputs import kept_apart, renews_itself
from keyrack.service.secrets.refresh.outcome import MOST_REFUSALS, REFUSED_FOR, RefreshOutcome, Sent, judge
from keyrack.service.secrets.refresh.repeatable_grants import asks_anew, may_ask_anew
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import refreshed
from keyrack.service.secrets.status import current_status

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
SCHEDULE = Schedule()
PASSWORD = {"username": {}, "password": {"secret": True}}


def client_of(grant: str, **members: Any) -> AuthClient:
    more: dict[str, Any] = {
        "password": {"inputs": PASSWORD},
        "token_exchange": {"token_exchange": {"subject_token": "{subject}"}, "inputs": {"subject": {"secret": True}}},
    }
    own = more.get(grant, {})
    profile = {"name": "p", "grant": grant, "endpoints": {"token": "https://p.example/token"}, **own, **members}
    credentials = {"client_id": "c", "token_uri": "https://p.example/token", "provider_profile": profile}
    return AuthClient("c", "t", None, None, "C", "oauth2", credentials, updated_at=LONG_AGO)


def secret_with(**credentials: Any) -> AuthSecret:
    return AuthSecret(
        "s", "t", "w", "u", "c", "S", "oauth2", {"access_token": "a", **credentials}, None, refreshable=True,
        state=SecretState.ready, error=None, error_code=None, error_at=None, issued_at=LONG_AGO, expires_at=NOW,
        generation=4, due_at=NOW, retry_at=None, refreshed_at=LONG_AGO, ambiguous_since=None, failure=None,
        failure_count=0, failed_at=None, last_used_at=None, created_at=LONG_AGO, updated_at=LONG_AGO,
    )  # fmt: skip


FILLED = {"secret_fields": {"password": "p", "subject": "st"}, "fields": {"username": "u"}}


def refused(error: str, status: int = 400) -> ProviderError:
    return ProviderError("It refused.", ProviderFailure(status=status, error=error, codes=(error,)))


def judged(grant: str, result: Any, secret: AuthSecret | None = None) -> RefreshOutcome:
    secret = secret or secret_with(**FILLED)
    return judge(secret, client_of(grant), result, SCHEDULE, Sent(NOW, scheduled=True, anew=True), NOW)


@pytest.mark.parametrize("grant", ["password", "token_exchange"])
def test_what_the_connection_has_is_not_sent_again_once_it_is_refused(grant: str) -> None:
    ended = judged(grant, refused("invalid_grant")).secret
    assert (ended.state, ended.error_code, ended.due_at) == (
        SecretState.error,
        ErrorCode.reauthorization_required,
        None,
    )
    assert "among the connection's fields" in (ended.error or "")
    odd = judged(grant, refused("odd")).secret
    assert odd.state is SecretState.ready
    before = odd.failure and replace(odd.failure, refusals=MOST_REFUSALS, refused_since=NOW - REFUSED_FOR)
    again = judged(grant, refused("odd"), replace(secret_with(**FILLED), failure=before)).secret
    assert again.error_code is ErrorCode.reauthorization_required


@pytest.mark.parametrize("grant", ["client_credentials", "jwt_bearer"])
def test_what_is_put_right_elsewhere_is_tried_again_for_a_day(grant: str) -> None:
    for error in ("invalid_grant", "invalid_scope", "odd"):
        tried = judged(grant, refused(error)).secret
        assert (tried.state, tried.due_at is not None) == (SecretState.ready, True), error
        said = current_status(tried, client_of(grant), NOW)
        assert said.error_code is ErrorCode.provider_refused
        assert "Check at the provider" in (said.error or "")
    late = replace(secret_with(), expires_at=NOW - SCHEDULE.give_up)
    ended = judged(grant, refused("invalid_grant"), late).secret
    assert ended.error_code is ErrorCode.reauthorization_required
    assert "Check at the provider" in (ended.error or "")


def test_no_fate_of_a_request_is_in_doubt() -> None:
    lost = ProviderUnavailable("Gone.", ProviderFailure(reason="timeout", sent=True))
    for result in (lost, ProviderError("Nothing in it.", ProviderFailure(status=200))):
        after = judged("client_credentials", result).secret
        assert (after.ambiguous_since, after.state) == (None, SecretState.ready)
    doubtful = replace(secret_with(**FILLED), ambiguous_since=LONG_AGO)
    ended = judged("password", refused("invalid_grant"), doubtful).secret
    assert ended.error_code is ErrorCode.reauthorization_required


def test_a_refresh_token_comes_first_and_is_no_matter_once_it_is_refused() -> None:
    client, with_token = client_of("client_credentials"), secret_with(refresh_token="r")
    assert not asks_anew(with_token, client)
    assert asks_anew(secret_with(), client)
    assert may_ask_anew(with_token, client, refused("invalid_grant"))
    assert may_ask_anew(with_token, client, refused("odd"))
    assert not may_ask_anew(with_token, client, refused("invalid_client", 401))
    assert not may_ask_anew(with_token, client, ProviderUnavailable("Later.", ProviderFailure(status=503)))
    assert not may_ask_anew(with_token, client_of("password"), refused("invalid_grant"))  # it was forgotten


def test_of_the_grant_before_nothing_is_left_but_what_was_filled_in() -> None:
    tokens = TokenResponse(Secret("b"), None, 60, None, None, {"access_token": "b", "now": 1})
    before = secret_with(refresh_token="r", scope="x", undefined_params={"then": 1}, fields={"company": "acme"})
    after = refreshed(before, client_of("client_credentials"), tokens, SCHEDULE, NOW, anew=True).credentials
    assert after == {
        "access_token": "b", "expires_in": 60, "undefined_params": {"now": 1}, "fields": {"company": "acme"},
    }  # fmt: skip


def test_secret_values_are_apart_and_what_is_needed_must_be_there() -> None:
    client = client_of("password")
    apart = kept_apart(client, {"fields": {"username": "u", "password": "p"}, "secret_fields": {"other": "o"}})
    assert apart == {"fields": {"username": "u"}, "secret_fields": {"other": "o", "password": "p"}}
    assert kept_apart(client, apart) == apart
    assert renews_itself(client, apart)
    assert not renews_itself(client, {"fields": {"username": "u"}})
    assert not renews_itself(client_of("authorization_code"), apart)
