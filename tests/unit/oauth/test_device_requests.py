"""The device authorization grant as functions: RFC 8628 sections 3.1 to 3.5."""

import json
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.device import (
    DeviceAuthorization,
    build_device_authorization_request,
    build_device_token_request,
    interval_after,
    process_device_authorization_response,
    wait_after_failures,
)
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.reading import profile_of
from keyrack.oauth.token_response import process_token_response
from keyrack.oauth.wire import RawResponse

ENDPOINT = "https://as.example/device"
SECRET = Secret("a-long-secret")


def a_profile(method: str = "client_secret_post", **said: Any) -> ClientProfile:
    document = {
        "name": "tv",
        "grant": "device_code",
        "endpoints": {"device_authorization": ENDPOINT, "token": "https://as.example/token"},
        **said,
    }
    return ClientProfile(
        client_id="tv",
        client_secret=SECRET,
        authorization_endpoint="",
        token_endpoint="https://as.example/token",
        token_endpoint_auth_method=TokenEndpointAuthMethod(method),
        provider=profile_of(document) if said else None,
    )


def answer(members: Any, status: int = 200) -> RawResponse:
    return RawResponse(status, {"content-type": "application/json"}, json.dumps(members).encode())


GOOD: dict[str, Any] = {
    "device_code": "dc",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://as.example/activate",
    "verification_uri_complete": "https://as.example/activate?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 7,
}


def test_the_client_asks_for_codes_as_it_authenticates_elsewhere() -> None:  # RFC 8628 section 3.1
    posted = build_device_authorization_request(a_profile(), ENDPOINT, scope="a b", extra={"audience": "x"})
    assert (posted.url, posted.authorization) == (ENDPOINT, None)
    assert dict(posted.form) == {"scope": "a b", "audience": "x", "client_id": "tv", "client_secret": SECRET.reveal()}
    basic = build_device_authorization_request(a_profile("client_secret_basic"), ENDPOINT)
    assert basic.form == ()
    assert basic.authorization is not None
    public = build_device_authorization_request(a_profile("none"), ENDPOINT, extra={"state": "x", "client_id": "evil"})
    assert dict(public.form) == {"client_id": "tv"}


def test_a_profile_says_how_codes_are_asked_for() -> None:
    said: dict[str, Any] = {
        "authorization": {"parameters": {"client_secret": None, "audience": "api"}, "rename": {"scope": "scopes"}},
        "scopes": {"separator": ",", "default": ["a", "b"]},
    }
    request = build_device_authorization_request(a_profile(**said), ENDPOINT, extra={"audience": "evil"})
    assert dict(request.form) == {"client_id": "tv", "audience": "api", "scopes": "a,b"}


def test_the_codes_are_read() -> None:  # RFC 8628 section 3.2
    read = process_device_authorization_response(answer(GOOD))
    assert read == DeviceAuthorization(
        Secret("dc"), "WDJB-MJHT", GOOD["verification_uri"], GOOD["verification_uri_complete"], 1800, 7
    )
    early = {"device_code": "dc", "user_code": " AB ", "verification_url": "https://as.example/d", "interval": 0}
    read = process_device_authorization_response(answer(early))
    assert (read.user_code, read.verification_uri, read.expires_in, read.interval) == (
        "AB", "https://as.example/d", 600, 5,
    )  # fmt: skip
    assert process_device_authorization_response(answer({**GOOD, "interval": 10**9})).interval == 300
    assert "dc" not in repr(read).replace("DeviceAuthorization", "")


@pytest.mark.parametrize(
    "changed",
    [
        {"device_code": None}, {"device_code": "a\nb"}, {"user_code": ["x"]}, {"user_code": "x" * 101},
        {"user_code": "AB\u202eCD"}, {"user_code": "is a-long-secret"}, {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "https://me@evil.example/"}, {"verification_uri": "https://[/"},
        {"verification_uri": "/d"},
        {"verification_uri": "https://as.example/?s=a-long-secret"},
        {"verification_uri": "https://as.example/" + "\u0436" * 1500},  # no QR code has room for it
    ],
)  # fmt: skip
def test_codes_that_nobody_can_be_shown_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ProviderError, match="without usable codes"):
        process_device_authorization_response(answer({**GOOD, **changed}), (SECRET,))


def test_an_address_with_the_code_in_it_is_left_out_where_it_cannot_be_shown() -> None:
    odd = {**GOOD, "verification_uri_complete": "data:text/html,x"}
    assert process_device_authorization_response(answer(odd)).verification_uri_complete is None


def test_a_refusal_is_told_with_secrets_masked() -> None:
    said = {"error": "unauthorized_client", "error_description": "no a-long-secret here"}
    with pytest.raises(ProviderError, match="refused the device authorization request") as refused:
        process_device_authorization_response(answer(said, 400), (SECRET,))
    assert refused.value.failure.said == {"error": "unauthorized_client", "error_description": "no *** here"}
    with pytest.raises(ProviderUnavailable):
        process_device_authorization_response(answer({}, 503))


def test_the_token_request_names_the_device_code() -> None:  # RFC 8628 section 3.4
    request = build_device_token_request(a_profile("none"), Secret("dc"))
    assert dict(request.form) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "dc",
        "client_id": "tv",
    }


@pytest.mark.parametrize(
    ("code", "status", "interval"),
    [
        ("authorization_pending", 400, 5), ("slow_down", 400, 10), ("slow_down", 200, 10),
        ("Authorization_Pending", 428, 5), ("access_denied", 400, None), ("expired_token", 400, None),
        ("invalid_grant", 400, None), ("invalid_client", 401, None),
    ],
)  # fmt: skip
def test_what_a_refusal_asks_for(code: str, status: int, interval: int | None) -> None:  # RFC 8628 section 3.5
    with pytest.raises(ProviderError) as refused:
        process_token_response(answer({"error": code}, status))
    assert interval_after(refused.value, 5) == interval


def test_slow_down_lasts_and_waits_have_an_end() -> None:
    slow = ProviderError("x", ProviderFailure(codes=("slow_down",)))
    interval = 5
    for _ in range(100):
        interval = interval_after(slow, interval) or 0
    assert interval == 300
    assert [wait_after_failures(5, failures) for failures in (1, 2, 3, 4, 5, 1000)] == [10, 20, 40, 80, 120, 120]
    assert wait_after_failures(200, 3) == 200
