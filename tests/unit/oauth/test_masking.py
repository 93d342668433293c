"""Secrets are found in whatever encoding a provider shows them back (design, invariant 4)."""

import base64
import html
import json
import re
import time
from urllib.parse import quote, quote_plus, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyrack.crypto.secret import Secret
from keyrack.oauth.masking import masked

SECRET = "sec/ret+1=&<ö'\"~ x"
PLAIN = "1a2b3c4d5e6f"


def basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()


@pytest.mark.parametrize("secret", [SECRET, PLAIN])
@pytest.mark.parametrize("name", ["", "a", "ab", "abc", "app:1"])
def test_every_encoding(secret: str, name: str) -> None:
    shown = [
        secret,
        urlencode({"client_secret": secret}),
        urlencode({"client_secret": secret}, quote_via=quote),
        quote(quote(secret, safe=""), safe=""),
        re.sub("%..", lambda match: match[0].lower(), quote(secret, safe="")),
        json.dumps({"client_secret": secret}),
        secret.replace("/", "\\/"),
        html.escape(secret),
        basic(name, secret),
        base64.b64encode(f"{name}:{secret}".encode()).decode(),
        base64.urlsafe_b64encode(f"{name}:{secret}:and more".encode()).decode(),
    ]
    for text in shown:
        found = masked(f"you sent [{text}], which is wrong", [Secret(secret)])
        assert found.startswith("you sent [")
        assert found.endswith("], which is wrong")
        assert "***" in found, text
        left = found.removeprefix("you sent [").removesuffix("], which is wrong")
        for part in (secret[:6], quote(secret, safe="")[:8], base64.b64encode(secret.encode()).decode()[:6]):
            assert part not in left, (text, found)


@given(before=st.binary(max_size=8), secret=st.text(min_size=6, max_size=40), after=st.binary(max_size=8))
def test_nothing_is_left_of_base64_with_a_secret_in_it(before: bytes, secret: str, after: bytes) -> None:
    run = base64.b64encode(before + secret.encode() + after).decode()
    assert masked(f"<{run}>", [Secret(secret)]) == "<***>"


def test_the_shortest_secret_has_four_characters() -> None:
    assert masked("[abcd] [abc]", [Secret("abcd"), Secret("abc")]) == "[***] [abc]"


def test_a_secret_with_lone_surrogates_is_masked_too() -> None:
    assert masked("[a\ud800bc] [a%3Fbc] [a?bc]", [Secret("a\ud800bc")]) == "[***] [***] [a?bc]"


def test_a_secret_in_json_is_found_with_and_without_escapes() -> None:
    for ascii_only in (True, False):
        assert masked(json.dumps(SECRET, ensure_ascii=ascii_only), [Secret(SECRET)]) == '"***"'


def test_what_is_not_secret_stays() -> None:
    text = "invalid_grant: aGVsbG8gd29ybGQ= has expired at 2026-11-24T20:50:00Z (abc)"
    assert masked(text, [Secret("abc"), Secret(""), Secret(PLAIN)]) == text


def test_a_hostile_text_takes_no_long_time() -> None:
    run = base64.b64encode(PLAIN.encode()).decode()
    started = time.process_time()
    for text in ("A" * (1 << 20), f"{run} " * 60_000, run * 60_000, PLAIN * 80_000):
        masked(text, [Secret(PLAIN)])
    assert time.process_time() - started < 10
