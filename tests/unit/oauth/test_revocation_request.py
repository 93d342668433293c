"""Token revocation: what is sent (RFC 7009 section 2.1) and what an answer means (RFC 7009 section 2.2)."""

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth.client_auth import RequestAuthentication, TokenEndpointAuthMethod
from keyrack.oauth.profiles.kinds import TokenTypeHint
from keyrack.oauth.revocation import build_revocation_request, process_revocation_response
from keyrack.oauth.wire import AnswerFault, RawResponse

ENDPOINT = "https://as.example/revoke?tenant=a"


@pytest.mark.parametrize(
    ("method", "credentials", "header"),
    [
        (TokenEndpointAuthMethod.CLIENT_SECRET_POST, (("client_id", "me"), ("client_secret", "shh")), None),
        (TokenEndpointAuthMethod.CLIENT_SECRET_BASIC, (), "Basic bWU6c2ho"),
        (TokenEndpointAuthMethod.NONE, (("client_id", "me"),), None),
    ],
)
def test_the_client_authenticates_as_for_tokens(
    method: TokenEndpointAuthMethod, credentials: tuple[tuple[str, str], ...], header: str | None
) -> None:
    by = RequestAuthentication(method)
    request = build_revocation_request(ENDPOINT, Secret("t0ken"), TokenTypeHint.REFRESH_TOKEN, by, "me", Secret("shh"))
    assert request.url == ENDPOINT
    assert request.form == (("token", "t0ken"), ("token_type_hint", "refresh_token"), *credentials)
    assert request.authorization == (None if header is None else Secret(header))
    assert "t0ken" not in repr(request)


@pytest.mark.parametrize("status", [200, 204])
def test_success_needs_no_body(status: int) -> None:
    process_revocation_response(RawResponse(status, {}, b"<html>"))


def test_an_answer_that_says_success_and_breaks_off_is_a_success() -> None:
    process_revocation_response(RawResponse(200, {}, b"", AnswerFault.CLOSED, cut=True))


def test_an_answer_without_a_status_says_nothing() -> None:
    with pytest.raises(ProviderUnavailable) as raised:
        process_revocation_response(RawResponse(0, {}, b"SSH-2.0", AnswerFault.PROTOCOL, cut=True))
    assert raised.value.meta == {"reason": "protocol", "sent": True, "received": True}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 503])
def test_what_may_pass_is_unavailable(status: int) -> None:
    with pytest.raises(ProviderUnavailable) as raised:
        process_revocation_response(RawResponse(status, {"retry-after": "7"}, b""))
    assert raised.value.meta == {"status": status, "retry_after": 7}
    assert str(raised.value) == "The authorization server cannot revoke tokens now."


@pytest.mark.parametrize("code", ["invalid_token", "Token_Revoked", "token_expired"])
def test_a_token_that_is_not_valid_any_more_is_revoked(code: str) -> None:
    process_revocation_response(RawResponse(400, {}, b'{"error": "%s"}' % code.encode()))


@pytest.mark.parametrize("status", [199, 300])
def test_what_is_no_success_is_a_refusal_in_a_sentence(status: int) -> None:
    with pytest.raises(ProviderError, match=r"^The authorization server refused to revoke the token[.:]"):
        process_revocation_response(RawResponse(status, {}, b'{"error": "no"}'))


@pytest.mark.parametrize(
    ("status", "body", "meta"),
    [
        (400, b'{"error":"unsupported_token_type"}', {"error": "unsupported_token_type"}),
        (401, b'{"error":"invalid_client","error_description":"bad shh-secret"}', {
            "error": "invalid_client",
            "error_description": "bad ***",
        }),
        (404, b"<html>", {}),
        (302, b"", {}),
    ],
)  # fmt: skip
def test_everything_else_is_a_refusal(status: int, body: bytes, meta: dict[str, str]) -> None:
    with pytest.raises(ProviderError) as raised:
        process_revocation_response(RawResponse(status, {}, body), (Secret("shh-secret"),))
    assert raised.value.meta == {"status": status} | meta
