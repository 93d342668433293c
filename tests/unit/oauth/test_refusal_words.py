"""The words of refusals: found wherever they stand, bounded and masked; codes that only one provider uses."""

import json
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.oauth.error_codes import AT_HOSTS, CLIENT_ALONE, EVERYWHERE
from keyrack.oauth.failure_classes import FailureClass, blames_client_alone, classify_failure
from keyrack.oauth.token_response import process_token_response
from keyrack.oauth.wire import RawResponse

DEAD, OTHER, LATER = FailureClass.GRANT_DEAD, FailureClass.OTHER, FailureClass.TEMPORARY


def refused(body: Any, status: int = 400, *sent: Secret, **headers: str) -> ProviderError:
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(ProviderError) as caught:
        process_token_response(RawResponse(status, named, body), sent=sent)
    return caught.value


@pytest.mark.parametrize(
    ("host", "body", "kind"),
    [
        (
            "www.deviantart.com",
            {"error": "invalid_request", "error_description": "The refresh_token is invalid."},
            DEAD,
        ),
        ("www.deviantart.com", {"error": "invalid_request", "error_description": "client_id is missing"}, OTHER),
        ("deviantart.com.evil.example", {"error": "invalid_request"}, OTHER),
        ("auth.atlassian.com", {"error": "unauthorized_client", "error_description": "refresh_token is invalid"}, DEAD),
        ("graph.facebook.com", {"error": {"message": "Session ended", "type": "OAuthException", "code": 190}}, DEAD),
        ("graph.instagram.com", {"error": {"message": "Too many", "type": "OAuthException", "code": 4}}, LATER),
        ("as.example", {"error": {"message": "Session ended", "type": "OAuthException", "code": 190}}, OTHER),
        ("open.feishu.cn", {"code": 20037, "msg": "refresh token expired"}, DEAD),
        ("api.weixin.qq.com", {"errcode": 40030, "errmsg": "invalid refresh_token"}, DEAD),
        (
            "login.salesforce.com",
            {"error": "invalid_grant", "error_description": "token request is already being processed"},
            LATER,
        ),
        ("login.salesforce.com", {"error": "invalid_grant", "error_description": "expired access/refresh token"}, DEAD),
        ("login.salesforce.com", {"error": "inactive_user", "error_description": "user is inactive"}, DEAD),
    ],
)
def test_what_a_code_means_at_one_provider(host: str, body: dict[str, Any], kind: FailureClass) -> None:
    for status in (400, 200) if host in ("open.feishu.cn", "api.weixin.qq.com") else (400,):
        assert classify_failure(refused(body, status), host) is kind


def test_the_data_is_in_the_form_that_is_looked_up() -> None:
    assert all(code == code.lower() and " " not in code for code in EVERYWHERE)
    assert all(host == host.lower() for host in AT_HOSTS)
    assert {code for code in CLIENT_ALONE if EVERYWHERE.get(code) is not FailureClass.CLIENT_REJECTED} == set()
    assert blames_client_alone(refused({"error": "InvalidClient"}, 400))
    assert not blames_client_alone(refused({"error": "unauthorized_client"}, 400))


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"access_token": "shh"}, "code": 10000, "type": "user", "status": "active", "reason": "fine"},
        b"access_token_v2: shh",
        b"<tokens><access>shh</access></tokens>",
        b"<html><title>Welcome</title><p>shh</p></html>",
        {"token": "shh"},
    ],
)
def test_a_success_that_cannot_be_read_is_no_refusal_and_shows_no_token(body: Any) -> None:
    error = refused(body, 200)
    assert "error" not in (error.meta or {})
    assert "shh" not in f"{error} {error.meta}"
    assert classify_failure(error) is OTHER


@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"<html><head><title>Sign &amp; in</title></head></html>", {}, "Sign & in"),
        (b"<!doctype html><style>p{}</style><h1>Blocked</h1>", {}, "Blocked"),
        (b"<Error><Code>Nope</Code><Message>It is &lt;over&gt;</Message></Error>", {}, "It is <over>"),
        (b"<a:fault xmlns:a='x'><b>Only this</b></a:fault>", {}, "Only this"),
        (b"Token   unknown\n", {"content_type": "text/plain"}, "Token unknown"),
        (b'"Token unknown"', {}, "Token unknown"),
        ({"error": True, "message": "No"}, {}, "No"),
        ({"detail": [{"loc": ["body"], "msg": "field required", "type": "value_error"}]}, {}, "field required"),
        ({"meta": {"error_type": "OAuthAccessTokenException", "error_message": "Invalid"}}, {}, "Invalid"),
        ({"errors": ["first", "second"]}, {}, "first"),
    ],
)
def test_words_are_found(body: Any, headers: dict[str, str], words: str) -> None:
    assert (refused(body, 400, **headers).meta or {})["error_description"] == words


def test_of_hostile_bodies_little_is_shown() -> None:
    bodies = (
        b"<title>" * 300_000,
        b"<" * 2_000_000,
        b"<title " + b"a " * 500_000,
        b"<!--" * 500_000,
        b"<script" * 300_000,
        b'error="' * 300_000,
        b"x" * 2_000_000,
        json.dumps({"errors": [{"errors": [{"message": "y" * 100_000}]}] * 1000}).encode(),
    )
    for body in bodies:
        error = refused(body, 400, Secret("rt-canary"), www_authenticate=body[:60_000].decode())
        assert all(len(str(value)) <= 500 for value in (error.meta or {}).values())
