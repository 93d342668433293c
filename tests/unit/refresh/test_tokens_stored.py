"""What new tokens change in a secret, what stays, and how long they are taken to live."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, ErrorCode, Failure, SecretState
from keyrack.oauth.token_response import TokenResponse
from keyrack.service.secrets.refresh.lifetimes import (
    BELIEVED_FOR,
    SHORTEST_LEARNED,
    Lifetime,
    believed,
    learned_from,
    lifetime_of,
)
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import merged, refreshed, with_granted, with_tokens

NOW = datetime(2026, 10, 21, 12, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=1)
SCHEDULE = Schedule()
CLIENT = AuthClient("c", "t", None, None, "C", "oauth2", {"token_uri": "https://p.example/token"})
SECRET = AuthSecret(
    "s", "t", "w", "u", "c", "S", "oauth2", {"access_token": "a", "refresh_token": "r", "scope": "x y"}, None,
    refreshable=True, state=SecretState.error, error="E", error_code=ErrorCode.refresh_interrupted, error_at=LONG_AGO,
    issued_at=LONG_AGO, expires_at=NOW, generation=4, due_at=None, retry_at=NOW, refreshed_at=None,
    ambiguous_since=LONG_AGO, failure=Failure("other", "t"), failure_count=2, failed_at=LONG_AGO, last_used_at=None,
    created_at=LONG_AGO, updated_at=LONG_AGO, requested_scopes=("x", "y"), grant_generation=7, stated_lifetime=500,
    backoff_count=3,
)  # fmt: skip


def tokens(**members: Any) -> TokenResponse:
    answer: dict[str, Any] = {"access_token": "b", **members}
    refresh = answer.get("refresh_token")
    return TokenResponse(
        Secret("b"), Secret(refresh) if refresh else None, answer.get("expires_in"), answer.get("scope"), None, answer
    )


def test_other_tokens_make_a_secret_well_and_count_on() -> None:
    fresh = with_tokens(SECRET, CLIENT, {"access_token": "b", "refresh_token": "q", "expires_in": 600}, SCHEDULE, NOW)
    assert fresh.credentials == {"access_token": "b", "refresh_token": "q", "expires_in": 600}
    assert (fresh.state, fresh.error, fresh.error_code, fresh.error_at) == (SecretState.ready, None, None, None)
    assert (fresh.retry_at, fresh.failure, fresh.failure_count, fresh.failed_at) == (None, None, 0, None)
    assert (fresh.backoff_count, fresh.generation, fresh.grant_generation) == (0, 5, 8)
    assert (fresh.issued_at, fresh.expires_at) == (NOW, NOW + timedelta(seconds=600))
    assert fresh.due_at == SCHEDULE.background_due("s", NOW, NOW + timedelta(seconds=600))
    assert (fresh.refreshable, fresh.ambiguous_since) == (True, None)
    assert (fresh.stated_lifetime, fresh.lifetime_guessed) == (600, False)


def test_what_is_in_doubt_of_a_refresh_token_stays_with_it() -> None:
    same = with_tokens(SECRET, CLIENT, {"access_token": "b", "refresh_token": "r"}, SCHEDULE, NOW)
    assert (same.ambiguous_since, same.grant_generation, same.generation) == (LONG_AGO, 7, 5)
    assert same.stated_lifetime == 500
    assert same.credentials["expires_in"] == 500


def test_what_cannot_be_refreshed_is_due_when_it_expires_if_that_is_known() -> None:
    known = with_tokens(SECRET, CLIENT, {"access_token": "b", "expires_in": 60}, SCHEDULE, NOW)
    assert (known.refreshable, known.due_at) == (False, NOW + timedelta(seconds=60))
    guessed = with_tokens(replace(SECRET, stated_lifetime=None), CLIENT, {"access_token": "b"}, SCHEDULE, NOW)
    assert (guessed.refreshable, guessed.due_at, guessed.lifetime_guessed) == (False, None, True)
    assert guessed.expires_at == NOW + timedelta(hours=1)
    assert guessed.stated_lifetime is None
    assert with_tokens(SECRET, CLIENT, {"refresh_token": ""}, SCHEDULE, NOW).refreshable is False


def test_an_answer_to_a_refresh_ends_every_doubt_and_older_answers() -> None:
    fresh = refreshed(SECRET, CLIENT, tokens(scope="x"), SCHEDULE, NOW)
    assert (fresh.refreshed_at, fresh.grant_generation, fresh.ambiguous_since) == (NOW, 8, None)
    assert fresh.missing_scopes == ("y",)
    assert fresh.credentials["refresh_token"] == "r"
    rotated = refreshed(SECRET, CLIENT, tokens(refresh_token="q"), SCHEDULE, NOW)
    assert (rotated.grant_generation, rotated.credentials["refresh_token"]) == (8, "q")


def test_scopes_that_are_not_mentioned_stay_as_they_were() -> None:
    narrowed = replace(SECRET, missing_scopes=("y",))
    assert with_granted(narrowed, tokens()) is narrowed
    assert with_granted(narrowed, tokens(scope="x y")).missing_scopes == ()


def test_an_answer_is_merged_into_what_is_stored() -> None:
    stored = {"access_token": "a", "refresh_token": "r", "scope": "x y", "expires_in": 9, "token_type": "bearer"}
    params = {"instance_url": "u", "id_token": "old", "refresh_token_expires_at": 5}
    found = merged({**stored, "undefined_params": params}, tokens(expires_in=60, scope="x", extra=1))
    assert found == {
        "access_token": "b", "refresh_token": "r", "scope": "x", "expires_in": 60, "token_type": "bearer",
        "undefined_params": {"instance_url": "u", "refresh_token_expires_at": 5, "extra": 1},
    }  # fmt: skip
    replaced = merged({**stored, "undefined_params": params}, tokens(refresh_token="q", instance_url="v"))
    assert replaced["refresh_token"] == "q"
    assert (replaced["scope"], replaced["expires_in"]) == ("x y", None)
    assert replaced["undefined_params"] == {"instance_url": "v"}
    for odd in (None, "text", [1]):
        assert merged({**stored, "undefined_params": odd}, tokens())["undefined_params"] == {}


@pytest.mark.parametrize(
    ("credentials", "configured", "stated", "learned", "lifetime"),
    [
        ({"expires_in": 60}, 70, 80, 90, Lifetime(60, guessed=False)),
        ({}, 70, 80, 90, Lifetime(70, guessed=False)),
        ({}, None, 80, 90, Lifetime(80, guessed=False)),
        ({}, None, None, 90, Lifetime(90, guessed=True)),
        ({}, None, None, None, Lifetime(3600, guessed=True)),
        ({"access_token": "e30.eyJleHAiOiAxNzkyNTg0MTAwfQ.x"}, None, 80, 90, Lifetime(100, guessed=False)),
    ],
)
def test_what_somebody_said_beats_what_was_learned(
    credentials: dict[str, Any], configured: int | None, stated: int | None, learned: int | None, lifetime: Lifetime
) -> None:
    client = replace(
        CLIENT,
        credentials={**CLIENT.credentials, "token_expires_in": configured},
        learned_lifetime=learned,
        learned_at=NOW,
    )
    assert lifetime_of(client, credentials, stated, NOW) == lifetime


def test_what_was_learned_is_believed_for_a_week() -> None:
    client = replace(CLIENT, learned_lifetime=400, learned_at=NOW - BELIEVED_FOR)
    second = timedelta(seconds=1)
    assert believed(client, NOW - second) == 400
    assert believed(client, NOW + second) is None
    assert believed(replace(client, learned_at=None), NOW) is None
    assert believed(replace(client, learned_lifetime=None), NOW - second) is None


def test_a_forced_refresh_teaches_how_long_tokens_live() -> None:
    guessed = replace(SECRET, lifetime_guessed=True, issued_at=NOW, expires_at=NOW + timedelta(seconds=3600))
    after = replace(guessed, credentials={"access_token": "b"})

    def learned(seconds: float, before: AuthSecret = guessed, then: AuthSecret = after) -> int | None:
        return learned_from(before, then, SCHEDULE, NOW + timedelta(seconds=seconds))

    assert learned(1800) == 1800
    assert learned(2000.9) == 2000
    assert learned(1799) is None, "impatient"
    assert learned(3569) == 3569
    assert learned(3570) is None, "it was due"
    assert learned(1800, replace(guessed, lifetime_guessed=False)) is None
    assert learned(1800, replace(guessed, issued_at=None)) is None
    assert learned(1800, replace(guessed, expires_at=None)) is None
    assert learned(1800, then=guessed) is None, "the provider gave the same again"
    short = replace(guessed, expires_at=NOW + timedelta(seconds=400))
    assert learned(250, short) == SHORTEST_LEARNED == 300
    assert learned(350, short) == 350
