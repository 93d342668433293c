"""RFC 6749 sections 5.1 and 5.2; contract sections 15.1, 15.3, 20.3, 20.4."""

import json
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth.failure_classes import FailureClass, classify_failure
from keyrack.oauth.token_response import MAX_LIFETIME, parse_lifetime, process_token_response
from keyrack.oauth.wire import RawResponse


def answer(body: Any, status: int = 200, **headers: str) -> RawResponse:
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return RawResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def failure(response: RawResponse, *sent: Secret) -> ProviderError | ProviderUnavailable:
    try:
        process_token_response(response, sent=sent)
    except (ProviderError, ProviderUnavailable) as error:
        return error
    return pytest.fail("taken for a success")


def test_a_full_answer() -> None:
    body = {
        "access_token": "at-1",
        "refresh_token": "rt-1",
        "expires_in": 3600,
        "scope": "a b",
        "token_type": "Bearer",
        "instance_url": "https://eu1.crm.example",
        "id": {"n": 1},
    }
    token = process_token_response(answer(body, content_type="application/json"))
    assert token.access_token.reveal() == "at-1"
    assert token.refresh_token is not None
    assert token.refresh_token.reveal() == "rt-1"
    assert (token.expires_in, token.scope, token.token_type) == (3600, "a b", "Bearer")
    assert token.members == body
    assert token.undefined_params == {"instance_url": "https://eu1.crm.example", "id": {"n": 1}}
    assert "at-1" not in repr(token)
    assert "rt-1" not in repr(token)
    assert "eu1" not in repr(token)


@pytest.mark.parametrize("media_type", ["text/html", "text/plain", "application/x-www-form-urlencoded", ""])
def test_json_is_read_whatever_it_is_called(media_type: str) -> None:
    assert process_token_response(answer({"access_token": "at"}, content_type=media_type)).access_token == Secret("at")


def test_a_form_encoded_answer() -> None:
    body = b"access_token=gho%5F1&scope=repo%2Cgist&token_type=bearer&expires_in=28800&extra="
    token = process_token_response(answer(body, content_type="text/plain"))
    assert token.access_token.reveal() == "gho_1"
    assert (token.scope, token.expires_in, token.refresh_token) == ("repo,gist", 28800, None)
    assert token.undefined_params == {"extra": ""}


def test_a_nested_token_is_found_only_where_the_profile_says() -> None:
    body = {"ok": True, "authed_user": {"access_token": "xoxp", "scope": "chat"}, "team": {"id": "T"}}
    assert isinstance(failure(answer(body)), ProviderError)
    token = process_token_response(answer(body), token_path="authed_user")
    assert token.access_token.reveal() == "xoxp"
    assert token.members == {"ok": True, "team": {"id": "T"}, "access_token": "xoxp", "scope": "chat"}
    with pytest.raises(ProviderError):
        process_token_response(answer(body), token_path="authed_user.access_token.deeper")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (3600, 3600),
        ("3600", 3600),
        (" 60 ", 60),
        (59.9, 59),
        ("59.9", 59),
        (0, None),
        (0.5, None),
        (-1, None),
        ("-1", None),
        (True, None),
        (None, None),
        ("", None),
        ("soon", None),
        ("1_000", None),
        ("١٢", None),
        ("1e9", None),
        ([1], None),
        (float("nan"), None),
        (float("inf"), MAX_LIFETIME),
        (float("-inf"), None),
        (10**400, MAX_LIFETIME),
        ("9" * 30, MAX_LIFETIME),
        ("9" * 5000, None),
    ],
)
def test_lifetimes(value: object, seconds: int | None) -> None:
    assert parse_lifetime(value) == seconds


def test_numbers_that_cannot_be_stored_become_null() -> None:
    body = b'{"access_token": "at", "expires_in": NaN, "a": Infinity, "b": 1e999, "c": "\\ud800", "d\\udfff": 1}'
    token = process_token_response(answer(body))
    assert token.expires_in is None
    assert token.undefined_params == {"a": None, "b": None, "c": "?", "d?": 1}
    json.dumps(dict(token.members), allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize("odd", [b"9" * 5000, b"[" * 40 + b"]" * 40, b'{"a":' * 40 + b"1" + b"}" * 40])
def test_an_odd_member_does_not_cost_the_token(odd: bytes) -> None:
    token = process_token_response(answer(b'{"access_token": "at", "expires_in": 60, "odd": ' + odd + b"}"))
    assert (token.access_token.reveal(), token.expires_in) == ("at", 60)
    assert len(json.dumps(token.undefined_params)) < 400


def test_of_duplicate_members_the_last_counts() -> None:
    token = process_token_response(answer(b'{"access_token": "one", "access_token": "two"}'))
    assert token.access_token.reveal() == "two"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"null",
        b"[]",
        b'["access_token"]',
        b'"access_token=x"',
        b"{}",
        b'{"access_token": ""}',
        b'{"access_token": "  "}',
        b'{"access_token": null}',
        b'{"access_token": 5}',
        b'{"access_token": ["x"]}',
        b'{"access_token": "a\\u0000b"}',
        b'{"access_token": "a\\r\\nX-Evil: 1"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"<html><a href='/?x=1&access_token=evil'>log in</a></html>",
        b'{"broken": 1&access_token=evil',
        b"&".join(b"a=1" for _ in range(2000)) + b"&access_token=evil",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf",
        b"access_token=",
        b"access_token",
    ],
)
def test_what_has_no_token_is_a_provider_error(body: bytes) -> None:
    error = failure(answer(body))
    assert isinstance(error, ProviderError)
    assert error.meta == {"status": 200}
    assert "evil" not in str(error)


@pytest.mark.parametrize("status", [300, 302, 400, 401, 403, 404, 418])
@pytest.mark.parametrize("body", [b"", b"<html>No</html>", b'{"access_token": "at"}', b"[" * 50_000])
def test_other_statuses_are_errors_with_and_without_a_body(status: int, body: bytes) -> None:
    error = failure(answer(body, status))
    assert isinstance(error, ProviderError)
    assert error.meta == {"status": status}


@pytest.mark.parametrize("status", [200, 400])
def test_an_error_member_is_a_failure_whatever_the_status(status: int) -> None:
    body = {
        "access_token": "at",
        "error": "invalid_grant",
        "error_description": "gone",
        "error_uri": "https://as.example/e",
    }
    assert failure(answer(body, status)).meta == {
        "status": status,
        "error": "invalid_grant",
        "error_description": "gone",
        "error_uri": "https://as.example/e",
    }


def test_an_empty_error_member_is_none() -> None:
    for nothing in (None, "", False, 0):
        assert process_token_response(answer({"access_token": "at", "error": nothing})).access_token == Secret("at")


def test_an_error_object_gives_its_code_and_message() -> None:
    body = {"error": {"code": 190, "type": "OAuthException", "message": "Session ended"}}
    meta = failure(answer(body, 400)).meta
    assert meta == {"status": 400, "error": "OAuthException", "error_description": "Session ended"}
    assert failure(answer({"error": [1, {}]}, 400)).meta == {"status": 400}


def test_error_texts_are_short_printable_and_never_echo_what_was_sent() -> None:
    body = {
        "error": "invalid\x1b[31m_client" + "x" * 500,
        "error_description": "secret hunter22\ud800\u0000\n is wrong, token rt-4711-rt-4711 too " + "y" * 5000,
        "debug": "leak",
    }
    error = failure(answer(json.dumps(body).encode(), 401), Secret("hunter22"), Secret("rt-4711-rt-4711"), Secret(""))
    assert error.meta is not None
    assert len(error.meta["error"]) == 100
    assert "\x1b" not in error.meta["error"]
    assert error.meta["error_description"].startswith("secret ***? is wrong, token *** too yyy")
    assert len(error.meta["error_description"]) == 500
    assert "leak" not in str(error) + str(error.meta)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 599])
def test_servers_in_trouble_are_unavailable(status: int) -> None:
    error = failure(answer({"error": "invalid_grant"}, status))
    assert isinstance(error, ProviderUnavailable)
    assert error.meta == {"status": status}
    assert classify_failure(error) is FailureClass.TEMPORARY


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        ("99999999999999999999", 86400),
        ("Tue, 24 Nov 2026 10:00:30 GMT", 30),
        ("Tue, 24 Nov 2026 09:00:00 GMT", 0),
        ("Tue, 24 Nov 2099 09:00:00 GMT", 86400),
        ("-5", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Tue, 99 Nov 99999 10:00:30 GMT", None),
    ],
)
def test_retry_after(value: str, seconds: int | None) -> None:
    error = failure(answer(b"", 503, retry_after=value, date="Tue, 24 Nov 2026 10:00:00 GMT"))
    assert error.meta == ({"status": 503} if seconds is None else {"status": 503, "retry_after": seconds})


def test_a_retry_date_without_the_servers_date_says_nothing() -> None:
    assert failure(answer(b"", 503, retry_after="Tue, 24 Nov 2026 10:00:30 GMT")).meta == {"status": 503}


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b'{"error": "invalid_grant"}', 400, FailureClass.GRANT_DEAD),
        (b'{"error": "bad_refresh_token"}', 200, FailureClass.GRANT_DEAD),
        (b'{"error": "invalid_client"}', 401, FailureClass.CLIENT_REJECTED),
        (b'{"error": "unauthorized_client"}', 400, FailureClass.CLIENT_REJECTED),
        (b"", 401, FailureClass.CLIENT_REJECTED),
        (b'{"error": "temporarily_unavailable"}', 400, FailureClass.TEMPORARY),
        (b'{"error": "invalid_request"}', 400, FailureClass.OTHER),
        (b"", 400, FailureClass.OTHER),
        (b"", 403, FailureClass.OTHER),
        (b"<html>", 200, FailureClass.OTHER),
    ],
)
def test_failure_classes(body: bytes, status: int, expected: FailureClass) -> None:
    assert classify_failure(failure(answer(body, status))) is expected
    assert classify_failure(ProviderUnavailable()) is FailureClass.TEMPORARY
    assert classify_failure(ProviderError()) is FailureClass.OTHER
