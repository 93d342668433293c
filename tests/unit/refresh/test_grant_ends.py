"""When a grant ends, and when a token is renewed so that it does not, by what provider and profile say."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret, SecretState
from keyrack.service.secrets.changes import SecretOwner, bare
from keyrack.service.secrets.refresh.grant_ends import GrantEnds, grant_ends, next_refresh
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.tokens import with_tokens
from keyrack.service.secrets.status import current_status

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def client(**lifetimes: Any) -> AuthClient:
    profile = {"name": "p", "lifetimes": lifetimes}
    credentials = {"client_id": "c", "token_uri": "https://as.example/token", "provider_profile": profile}
    return AuthClient("c", "t", None, None, "C", "oauth2", credentials)


def secret(**members: Any) -> AuthSecret:
    made = bare(SecretOwner("t", "w", "u"), client(), "S", None, NOW - 10 * DAY)
    return replace(made, **members)


def days(count: int) -> int:
    return count * 24 * 3600


@pytest.mark.parametrize(
    ("lifetimes", "told", "stored", "ends"),
    [
        ({}, {}, {}, (None, None)),
        ({"refresh_token": days(30)}, {}, {}, (30, None)),
        ({"refresh_token": days(30)}, {"refresh_token_expires_in": days(7)}, {}, (7, None)),
        ({}, {"x_refresh_token_expires_in": str(days(7))}, {}, (7, None)),
        ({}, {"refresh_token_expires_in": 0}, {}, (None, None)),
        ({}, {"refresh_token_expires_in": "soon"}, {}, (None, None)),
        ({"rotates": False}, {"refresh_expires_in": days(7)}, {}, (7, 7)),
        ({"refresh_token_absolute": days(90)}, {}, {}, (None, 80)),
        ({"refresh_token_absolute": days(90)}, {}, {"connected_at": NOW}, (None, 90)),
        ({"refresh_token_absolute": days(20), "refresh_token": days(30)}, {}, {}, (30, 10)),
    ],
)
def test_a_grant_ends_as_the_provider_says_else_as_its_profile_does(
    lifetimes: dict[str, Any], told: dict[str, Any], stored: dict[str, Any], ends: tuple[int | None, int | None]
) -> None:
    credentials = {"refresh_token": "r", "undefined_params": told}
    found = grant_ends(secret(**stored), client(**lifetimes), credentials, NOW, another=True)
    unused, at_last = (None if count is None else NOW + count * DAY for count in ends)
    assert found == GrantEnds(unused, at_last)


def test_what_was_said_of_a_refresh_token_holds_until_another_comes() -> None:
    known = secret(refresh_token_expires_at=NOW + 3 * DAY)
    credentials = {"refresh_token": "r"}
    assert grant_ends(known, client(), credentials, NOW, another=False).unused == NOW + 3 * DAY
    assert grant_ends(known, client(), credentials, NOW, another=True) == GrantEnds()
    assert grant_ends(known, client(), {}, NOW, another=False) == GrantEnds()


def due(ends: GrantEnds, expires: timedelta = 3650 * DAY, **lifetimes: Any) -> timedelta:
    return next_refresh("id", client(**lifetimes), Schedule(), NOW, NOW + expires, ends) - NOW


def test_a_refresh_token_that_ends_unused_is_used_well_before() -> None:
    assert 24 * DAY <= due(GrantEnds(NOW + 30 * DAY)) <= 27 * DAY
    assert 351 * DAY <= due(GrantEnds(NOW + 365 * DAY)) <= 358 * DAY, "a week or two are enough"
    assert due(GrantEnds(NOW + 30 * DAY), HOUR) < HOUR, "an access token that ends sooner is renewed sooner"
    assert due(GrantEnds(NOW + 30 * DAY, NOW + 30 * DAY)) > 3000 * DAY, "a refresh would put nothing off"
    assert due(GrantEnds(NOW + 30 * DAY, NOW + 31 * DAY)) < 28 * DAY


def test_a_provider_s_time_to_renew_is_kept_and_never_at_once() -> None:
    minutes = timedelta(minutes=10)
    assert due(GrantEnds(), minutes, refresh_before=30) == minutes - timedelta(seconds=30)
    assert due(GrantEnds(), 60 * DAY, refresh_before=days(10)) == 50 * DAY
    assert due(GrantEnds(), minutes, refresh_before=days(10)) == minutes / 2


def test_a_token_that_nothing_renews_ends_its_grant() -> None:
    ending = with_tokens(secret(), client(), {"access_token": "a", "expires_in": days(60)}, Schedule(), NOW)
    assert ending.grant_expires_at == NOW + 60 * DAY
    guessed = with_tokens(secret(), client(), {"access_token": "a"}, Schedule(), NOW)
    assert guessed.grant_expires_at is None


@pytest.mark.parametrize(
    ("ends_in", "begun_ago", "soon"), [(6, 60, True), (8, 60, False), (6, 7, False), (None, 60, False)]
)
def test_an_end_is_warned_of_a_week_before(ends_in: int | None, begun_ago: int, soon: bool) -> None:
    ends_at = None if ends_in is None else NOW + ends_in * DAY
    known = secret(grant_expires_at=ends_at, connected_at=NOW - begun_ago * DAY, expires_at=NOW + HOUR)
    status = current_status(replace(known, state=SecretState.ready), client(), NOW)
    assert (status.state, status.ends_soon) == (SecretState.ready, soon)
