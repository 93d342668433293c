"""One-time codes by time: the vectors of RFC 6238 and RFC 4226, clocks that are wrong, what apps read."""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from keyrack.crypto.secret import Secret
from keyrack.crypto.totp import (
    PERIOD,
    code_at,
    matching_step,
    new_recovery_code,
    new_totp_secret,
    otpauth_uri,
    recovery_hash,
    step_at,
)

SEED = b"1234567890" * 2
VECTORS = [  # RFC 6238 appendix B, of SHA-1
    (59, "94287082"),
    (1111111109, "07081804"),
    (1111111111, "14050471"),
    (1234567890, "89005924"),
    (2000000000, "69279037"),
    (20000000000, "65353130"),
]
NOW = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(("seconds", "code"), VECTORS)
def test_codes_are_those_of_rfc_6238(seconds: int, code: str) -> None:
    assert code_at(SEED, step_at(datetime.fromtimestamp(seconds, UTC)), digits=8) == code


def test_codes_of_six_digits_are_those_of_rfc_4226() -> None:
    codes = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
    assert [code_at(SEED, count) for count in range(10)] == codes


def test_a_code_is_taken_one_step_early_or_late_and_no_more() -> None:
    secret = new_totp_secret()
    key, current = base64.b32decode(secret.reveal()), step_at(NOW)
    for off in range(-3, 4):
        found = matching_step(secret, code_at(key, current + off), NOW)
        assert found == (current + off if abs(off) <= 1 else None), off
    assert matching_step(secret, code_at(key, current), NOW + timedelta(seconds=3 * PERIOD)) is None
    for nonsense in ("", "abcdef", "\u0661\u0662\u0663\u0664\u0665\u0666", "1" * 1000):
        assert matching_step(secret, nonsense, NOW) is None


def test_apps_are_told_all_they_need() -> None:
    secret = new_totp_secret()
    assert len(base64.b32decode(secret.reveal())) == 20
    uri = urlsplit(otpauth_uri(secret, "Keyrack keys.example", "n\u00f6ra:<b>@acme.example?&"))
    assert (uri.scheme, uri.netloc) == ("otpauth", "totp")
    assert unquote(uri.path) == "/Keyrack keys.example:n\u00f6ra <b>@acme.example?&"
    assert parse_qs(uri.query) == {
        "secret": [secret.reveal()],
        "issuer": ["Keyrack keys.example"],
        "algorithm": ["SHA1"],
        "digits": ["6"],
        "period": ["30"],
    }
    assert len(otpauth_uri(secret, "x" * 5000, "\U0001f511" * 5000)) < 2300  # what a QR code holds


def test_recovery_codes_are_known_however_they_are_written() -> None:
    code = new_recovery_code().reveal()
    assert len(code.replace("-", "")) == 16
    assert recovery_hash(code) == recovery_hash(f" {code.upper().replace('-', ' ')} ")
    assert recovery_hash(code) != recovery_hash(new_recovery_code().reveal())
    assert code.replace("-", "") not in recovery_hash(code)
    assert recovery_hash(Secret("\ud800").reveal())
