"""Contract section 0.14."""

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import pytest

from keyrack.crypto.secret import Secret
from keyrack.oauth.lifetime import DEFAULT_LIFETIME, known_lifetime, token_lifetime
from keyrack.oauth.token_response import MAX_LIFETIME

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
OPAQUE = Secret("opaque")


def a_jwt(payload: object) -> Secret:
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Secret("e30." + urlsafe_b64encode(body).rstrip(b"=").decode() + ".c2ln")


def test_the_order_of_the_contract() -> None:
    token = a_jwt({"exp": NOW.timestamp() + 400})
    assert token_lifetime(100, token_expires_in=200, access_token=token, learned=300, now=NOW) == 100
    assert token_lifetime(None, token_expires_in=200, access_token=token, learned=300, now=NOW) == 200
    assert token_lifetime(None, access_token=token, learned=300, now=NOW) == 400
    assert token_lifetime(None, access_token=OPAQUE, learned=300, now=NOW) == 300
    assert token_lifetime(None, access_token=OPAQUE, now=NOW) == DEFAULT_LIFETIME == 3600


@pytest.mark.parametrize(
    "token",
    [
        Secret(""),
        Secret("a.b"),
        Secret("a.b.c.d.e"),
        Secret("a.!!!.c"),
        Secret("a.é.c"),
        Secret("..."),
        Secret("a." + "x" * 100_000 + ".c"),
        a_jwt(b"\xff"),
        a_jwt(b"[" * 20_000),
        a_jwt(b'{"exp": ' + b"9" * 5000 + b"}"),
        a_jwt([1]),
        a_jwt({}),
        a_jwt({"exp": "2000000000"}),
        a_jwt({"exp": True}),
        a_jwt({"exp": None}),
        a_jwt({"exp": NOW.timestamp()}),
        a_jwt({"exp": NOW.timestamp() * 1000}),
        a_jwt({"exp": -1}),
        a_jwt({"exp": 10**400}),
        a_jwt(b'{"exp": NaN}'),
        a_jwt(b'{"exp": 1e999}'),
    ],
)
def test_what_is_no_jwt_with_a_sensible_exp_falls_through(token: Secret) -> None:
    assert token_lifetime(None, access_token=token, learned=77, now=NOW) == 77


def test_the_exp_of_a_jwt_counts_up_to_the_longest_lifetime() -> None:
    for seconds in (1, MAX_LIFETIME):
        token = a_jwt({"exp": int(NOW.timestamp()) + seconds})
        assert token_lifetime(None, access_token=token, learned=77, now=NOW) == seconds
    assert token_lifetime(None, access_token=a_jwt({"exp": NOW.timestamp() + MAX_LIFETIME + 1}), now=NOW) == 3600
    assert token_lifetime(None, access_token=a_jwt({"exp": NOW.timestamp() + 5.9}), now=NOW) == 5


def test_what_was_said_of_an_earlier_token_counts_before_what_was_learned() -> None:
    assert token_lifetime(None, access_token=OPAQUE, stated_before=50, learned=70, now=NOW) == 50
    assert token_lifetime(None, access_token=OPAQUE, stated_before=0, learned=MAX_LIFETIME + 1, now=NOW) == MAX_LIFETIME
    assert token_lifetime(None, access_token=OPAQUE, learned=1, now=NOW) == 1
    assert known_lifetime(None, access_token=OPAQUE, now=NOW) is None
    assert known_lifetime(1, access_token=OPAQUE, now=NOW) == 1


def test_senseless_settings_are_passed_over_and_long_ones_are_cut() -> None:
    assert token_lifetime(0, token_expires_in=-5, access_token=OPAQUE, learned=0, now=NOW) == 3600
    assert token_lifetime(10**20, access_token=OPAQUE, now=NOW) == MAX_LIFETIME
