"""What an issuer's metadata and keys say, each within bounds, and nothing that is another issuer's."""

import json
from typing import Any

import pytest

from keyrack.oauth.id_token import MAX_KEYS
from keyrack.oauth.issuer import IssuerMetadata, metadata_requests, process_keys, process_metadata
from keyrack.oauth.wire import RawResponse

ISSUER = "https://p.example"


def answer(value: Any, status: int = 200, *, cut: bool = False) -> RawResponse:
    return RawResponse(status, {"content-type": "application/json"}, json.dumps(value).encode(), cut=cut)


def test_the_addresses_are_those_of_both_standards() -> None:
    assert [each.url for each in metadata_requests("https://p.example/tenant/")] == [
        "https://p.example/tenant/.well-known/openid-configuration",
        "https://p.example/.well-known/oauth-authorization-server/tenant",
        "https://p.example/.well-known/openid-configuration/tenant",
    ]
    assert [each.url for each in metadata_requests("https://p.example:8443")] == [
        "https://p.example:8443/.well-known/openid-configuration",
        "https://p.example:8443/.well-known/oauth-authorization-server",
    ]
    assert all(each.query == () for each in metadata_requests(ISSUER))


def test_metadata_says_where_keys_are_and_whether_iss_is_sent() -> None:
    said = {
        "issuer": ISSUER,
        "jwks_uri": "https://p.example/keys",
        "authorization_response_iss_parameter_supported": True,
    }
    assert process_metadata(answer(said), ISSUER) == IssuerMetadata(sends_iss=True, jwks_uri="https://p.example/keys")
    for odd in (None, "", 7, ["https://p.example/keys"]):
        found = process_metadata(answer(said | {"jwks_uri": odd}), ISSUER)
        assert found == IssuerMetadata(sends_iss=True, jwks_uri=None)
    for word in ("true", 1, False, None):
        found = process_metadata(answer(said | {"authorization_response_iss_parameter_supported": word}), ISSUER)
        assert found is not None
        assert found.sends_iss is False
    assert process_metadata(answer({"issuer": ISSUER}), ISSUER) == IssuerMetadata(sends_iss=False, jwks_uri=None)


@pytest.mark.parametrize(
    "response",
    [answer({"issuer": "https://other.example"}), answer({"issuer": ISSUER + "/"}), answer({}), answer([ISSUER]),
     answer({"issuer": ISSUER}, 404), answer({"issuer": ISSUER}, 201), RawResponse(200, {}, b"<html>"),
     RawResponse(200, {}, b'{"issuer": "https://p.example", "jwks_uri": "https://p.exam', cut=True)],
)  # fmt: skip
def test_what_is_no_metadata_of_the_issuer_says_nothing(response: RawResponse) -> None:
    assert process_metadata(response, ISSUER) is None


def test_of_a_key_only_what_checks_signatures_is_kept() -> None:
    key = {"kty": "RSA", "use": "sig", "kid": "k", "n": "n", "e": "AQAB", "alg": "RS256", "x5c": ["c"], "d": "canary"}
    kept = {"kty": "RSA", "use": "sig", "kid": "k", "n": "n", "e": "AQAB"}
    assert process_keys(answer({"keys": [key]})) == [kept]
    long = {"kty": "EC", "crv": "P-256", "x": "x" * 3000, "y": "y" * 3001, "kid": 7}
    assert process_keys(answer({"keys": [long]})) == [{"kty": "EC", "crv": "P-256", "x": "x" * 3000}]


def test_only_public_keys_are_kept_and_only_so_many() -> None:
    keys = [{"kty": "oct", "k": "canary"}, "text", {"kid": "none"}, {"kty": "OKP", "x": "x"}]
    assert process_keys(answer({"keys": keys})) == [{"kty": "OKP", "x": "x"}]
    many = process_keys(answer({"keys": [{"kty": "EC", "kid": str(number)} for number in range(MAX_KEYS + 1)]}))
    assert many is not None
    assert [key["kid"] for key in many] == [str(number) for number in range(MAX_KEYS)]


@pytest.mark.parametrize("response", [answer({"keys": {}}), answer({}), answer({"keys": []}, 500), answer([])])
def test_what_is_no_set_of_keys_is_none(response: RawResponse) -> None:
    assert process_keys(response) is None
