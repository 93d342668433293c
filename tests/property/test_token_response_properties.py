"""Whatever a token endpoint answers, it is a token or one of two errors, and nothing of it shows."""

import json
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth.authorization_code import build_authorization_url, process_callback
from keyrack.oauth.failure_classes import classify_failure
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.token_response import MAX_LIFETIME, process_token_response
from keyrack.oauth.wire import RawResponse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
NAMES = ("access_token", "refresh_token", "expires_in", "scope", "error", "error_description", "other")
MEMBERS = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, JSON))
BODIES = st.binary(max_size=200) | (MEMBERS | JSON).map(lambda value: json.dumps(value).encode())
STATUSES = st.sampled_from([200, 201, 204, 302, 400, 401, 403, 429, 500, 503]) | st.integers(100, 599)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date", "content-type"]), st.text(max_size=30))


@settings(max_examples=400, deadline=None)
@given(BODIES, STATUSES, HEADERS, st.none() | st.text(max_size=10))
def test_an_answer_is_a_token_or_one_of_two_errors(
    body: bytes, status: int, headers: dict[str, str], path: str | None
) -> None:
    meta: object = None
    try:
        token = process_token_response(RawResponse(status, headers, body), token_path=path)
    except (ProviderError, ProviderUnavailable) as error:
        classify_failure(error)
        meta = error.meta
    else:
        assert 200 <= status < 300
        assert token.access_token
        assert token.expires_in is None or 1 <= token.expires_in <= MAX_LIFETIME
        meta = dict(token.members)
    json.dumps(meta, allow_nan=False, ensure_ascii=False).encode()


@settings(max_examples=200, deadline=None)
@given(st.text("abcdefghijklmnop0123456789", min_size=12, max_size=40), st.text(max_size=50), st.text(max_size=600))
def test_a_sent_secret_is_never_echoed(secret: str, before: str, after: str) -> None:
    body = json.dumps({"error": before + secret + after, "error_description": after + secret + before}).encode()
    with pytest.raises(ProviderError) as caught:
        process_token_response(RawResponse(400, {}, body), sent=[Secret(secret)])
    assert secret not in str(caught.value.meta) + str(caught.value)


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["code", "error", "error_description", "error_uri", "iss"]), st.text(st.characters())
    )
)
def test_a_callback_is_a_code_or_a_provider_error(params: dict[str, str]) -> None:
    with suppress(ProviderError):
        assert process_callback(params, "https://as.example").reveal() == params["code"]


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(st.characters(), max_size=12), st.text(st.characters(), max_size=12), max_size=5))
def test_extras_never_change_what_is_ours(extra: dict[str, str]) -> None:
    profile = ClientProfile("id", Secret("s"), "https://as.example/authorize?own=1", "https://as.example/token")
    ours = build_authorization_url(profile, redirect_uri="https://app.example/cb", state="st", scope="sc")
    url = build_authorization_url(profile, redirect_uri="https://app.example/cb", state="st", scope="sc", extra=extra)
    assert url == ours or url.startswith(ours + "&")
    assert url.isascii()
    assert not any(char in url for char in "#\r\n \\")
