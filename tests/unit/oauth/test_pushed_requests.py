"""Pushed authorization requests as functions: RFC 9126 sections 2 to 4."""

import json
from base64 import b64decode
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth.authorization_code import authorization_parameters
from keyrack.oauth.client_assertion import AssertionSigner
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.pushed_authorization import (
    PushedRequest,
    build_pushed_request,
    process_pushed_response,
    pushed_authorization_url,
)
from keyrack.oauth.wire import AnswerFault, RawResponse

ENDPOINT = "https://as.example/par"
SECRET = Secret("a-long-secret")


def a_profile(method: str, signer: AssertionSigner | None = None) -> ClientProfile:
    return ClientProfile(
        client_id="app",
        client_secret=SECRET,
        authorization_endpoint="https://as.example/authorize?tenant=x",
        token_endpoint="https://as.example/token",
        token_endpoint_auth_method=TokenEndpointAuthMethod(method),
        signer=signer,
    )


def pushed(method: str, signer: AssertionSigner | None = None) -> tuple[dict[str, str], str | None]:
    profile = a_profile(method, signer)
    parameters = authorization_parameters(
        profile, redirect_uri="https://us.example/cb", state="st", code_challenge="cc", extra={"request_uri": "evil"}
    )
    request = build_pushed_request(profile, ENDPOINT, parameters)
    assert request.url == ENDPOINT
    assert len(dict(request.form)) == len(request.form), "nothing is sent twice"
    return dict(request.form), None if request.authorization is None else request.authorization.reveal()


ASKED = {
    "response_type": "code", "client_id": "app", "redirect_uri": "https://us.example/cb", "state": "st",
    "code_challenge": "cc", "code_challenge_method": "S256",
}  # fmt: skip


def test_all_parameters_are_pushed_by_an_authenticated_client() -> None:  # RFC 9126 section 2.1
    assert pushed("client_secret_post") == ({**ASKED, "client_secret": SECRET.reveal()}, None)
    assert pushed("none") == (ASKED, None)
    form, header = pushed("client_secret_basic")
    assert form == ASKED
    assert header is not None
    assert b64decode(header.removeprefix("Basic ")) == b"app:a-long-secret"


def test_a_client_that_signs_names_the_token_endpoint() -> None:  # RFC 9126 section 2
    form, _ = pushed("client_secret_jwt", AssertionSigner("HS256", Secret("k" * 32)))
    claims = form.pop("client_assertion").split(".")[1]
    form.pop("client_assertion_type")
    assert form == ASKED
    assert json.loads(b64decode(claims + "=="))["aud"] == "https://as.example/token"


def test_the_browser_carries_only_the_reference() -> None:  # RFC 9126 section 4
    url = urlsplit(pushed_authorization_url(a_profile("none"), "urn:ietf:params:oauth:request_uri:6esc&x"))
    assert parse_qsl(url.query) == [
        ("tenant", "x"), ("client_id", "app"), ("request_uri", "urn:ietf:params:oauth:request_uri:6esc&x"),
    ]  # fmt: skip


def answer(members: Any, status: int = 201) -> RawResponse:
    return RawResponse(status, {"content-type": "application/json"}, json.dumps(members).encode())


def test_the_reference_is_read() -> None:  # RFC 9126 section 2.2
    assert process_pushed_response(answer({"request_uri": "urn:x", "expires_in": 90})) == PushedRequest("urn:x", 90)
    assert process_pushed_response(answer({"request_uri": "urn:x"}, 200)) == PushedRequest("urn:x", 60)


@pytest.mark.parametrize(
    "members", [{}, [], {"request_uri": 5}, {"request_uri": "a\nb"}, {"request_uri": "x" * 2001},
                {"request_uri": "urn:a-long-secret"}]
)  # fmt: skip
def test_a_reference_that_no_browser_can_carry_is_refused(members: Any) -> None:
    with pytest.raises(ProviderError, match="without a usable request_uri"):
        process_pushed_response(answer(members), (SECRET,))


def test_a_refusal_is_told_with_secrets_masked() -> None:  # RFC 9126 section 2.3
    said = {"error": "invalid_request", "error_description": "bad a-long-secret"}
    with pytest.raises(ProviderError, match="refused the pushed authorization request") as refused:
        process_pushed_response(answer(said, 400), (SECRET,))
    assert refused.value.failure.said == {"error": "invalid_request", "error_description": "bad ***"}
    torn = RawResponse(201, {"content-type": "application/json"}, b'{"request_uri": "ur', AnswerFault.CLOSED, cut=True)
    for broken in (answer(said, 503), torn):
        with pytest.raises(ProviderUnavailable):
            process_pushed_response(broken, (SECRET,))
