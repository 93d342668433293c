"""Proofs of possession (RFC 9449), and keys that they are signed with."""

import json
from datetime import UTC, datetime

import pytest
from joserfc import jwk, jwt

from keyrack.crypto.secret import Secret
from keyrack.oauth.authorization_code import build_authorization_url
from keyrack.oauth.dpop import (
    asks_for_nonce,
    is_proof_key,
    new_proof,
    new_proof_key,
    nonce_of,
    target_of,
    thumbprint,
    token_hash,
)
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.kinds import ProofAlgorithm
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.request_parts import Endpoints
from keyrack.oauth.token_response import process_token_response
from keyrack.oauth.wire import RawResponse

AT = datetime(2026, 3, 1, 12, 0, 0, 900_000, tzinfo=UTC)
BOUND = ProviderProfile(name="x", endpoints=Endpoints(issuer="https://as.example"), dpop=ProofAlgorithm.ES256)


def test_thumbprint_and_token_hash_are_those_of_the_examples() -> None:
    public = {  # of a proof in RFC 9449 section 4.1, whose thumbprint RFC 9449 section 6.1 has
        "kty": "EC",
        "x": "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
        "y": "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        "crv": "P-256",
    }
    assert thumbprint(Secret(json.dumps(public))) == "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
    token = Secret("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU")  # RFC 9449 section 7.1
    assert token_hash(token) == "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"


@pytest.mark.parametrize("algorithm", ProofAlgorithm)
def test_a_proof_says_what_it_is_for_and_verifies_with_the_public_key_in_it(algorithm: ProofAlgorithm) -> None:
    key = new_proof_key(algorithm)
    assert is_proof_key(key)
    assert thumbprint(key) != thumbprint(new_proof_key(algorithm))
    proof = new_proof(key, "post", "https://AS.example:443/token?x=1#y", AT, nonce="n1", access_token=Secret("at"))
    header = json.loads(jwt_part(proof, 0))
    assert (header["typ"], header["alg"]) == ("dpop+jwt", algorithm.value)
    assert not {"d", "alg", "kid"} & header["jwk"].keys(), "only the public key itself"
    claims = jwt.decode(proof, jwk.import_key(header["jwk"]), algorithms=[algorithm.value]).claims
    first, second = (new_proof(key, "GET", "https://as.example", AT) for _ in range(2))
    assert json.loads(jwt_part(first, 1))["jti"] != json.loads(jwt_part(second, 1))["jti"]
    assert json.loads(jwt_part(first, 1)).keys() == {"jti", "htm", "htu", "iat"}
    assert claims.pop("jti")
    assert claims == {
        "htm": "POST",
        "htu": "https://as.example/token",
        "iat": int(AT.timestamp()) - 5,
        "nonce": "n1",
        "ath": token_hash(Secret("at")),
    }
    assert json.loads(key.reveal())["d"] not in repr(key) + proof


def jwt_part(token: str, number: int) -> bytes:
    from base64 import urlsafe_b64decode  # noqa: PLC0415

    part = token.split(".")[number]
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


@pytest.mark.parametrize(
    ("url", "htu"),
    [
        ("https://a.example", "https://a.example/"),
        ("http://A.example:80/Token", "http://a.example/Token"),
        ("https://a.example:8443/%2F;x?q#f", "https://a.example:8443/%2F;x"),
        ("https://[2001:DB8::1]:443/t", "https://[2001:db8::1]/t"),
    ],
)
def test_the_target_is_the_address_as_servers_compare_it(url: str, htu: str) -> None:
    assert target_of(url) == htu


def answer(status: int, error: str = "", **headers: str) -> RawResponse:
    body = json.dumps({"error": error}).encode()
    return RawResponse(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("came", "asks"),
    [
        (answer(400, "use_dpop_nonce", dpop_nonce="n"), True),
        (answer(401, dpop_nonce="n", www_authenticate='DPoP error="use_dpop_nonce", algs="ES256"'), True),
        (answer(400, "use_dpop_nonce"), False),
        (answer(400, "use_dpop_nonce", dpop_nonce='quote"'), False),
        (answer(400, "use_dpop_nonce", dpop_nonce="n" * 1001), False),
        (answer(400, "invalid_grant", dpop_nonce="n"), False),
        (answer(200, "use_dpop_nonce", dpop_nonce="n"), False),
        (RawResponse(400, {"dpop-nonce": "n"}, b"\xff\x00"), False),
    ],
)
def test_a_nonce_is_asked_for_by_error_and_header_together(came: RawResponse, asks: bool) -> None:
    assert asks_for_nonce(came) is asks


def test_a_success_may_bring_the_next_nonce() -> None:
    assert nonce_of(answer(200, dpop_nonce="next~1")) == "next~1"


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "{}",
        json.dumps(jwk.generate_key("EC", "P-256").as_dict(private=False) | {"alg": "ES256"}),
        json.dumps(jwk.generate_key("EC", "P-384").as_dict(private=True) | {"alg": "ES256"}),
        json.dumps(jwk.generate_key("EC", "P-256").as_dict(private=True)),
        json.dumps(jwk.generate_key("RSA", 2048).as_dict(private=True) | {"alg": "RS256"}),
    ],
)
def test_what_is_no_key_for_proofs_is_told_from_one(text: str) -> None:
    assert not is_proof_key(Secret(text))


def test_the_authorization_request_binds_the_code_to_the_key() -> None:
    key = new_proof_key(ProofAlgorithm.ES256)
    profile = ClientProfile("c", Secret("s"), "https://as.example/a", "https://as.example/t", proof_key=key)
    url = build_authorization_url(
        profile, redirect_uri="https://k.example/cb", state="s", extra={"dpop_jkt": "another"}
    )
    assert url.count("dpop_jkt") == 1
    assert f"dpop_jkt={thumbprint(key)}" in url


@pytest.mark.parametrize(
    ("kind", "provider", "why"),
    [
        ("DPoP", BOUND, None),
        ("dpop", BOUND, None),
        ("Bearer", BOUND, "sent a token of the type Bearer, which is not bound"),
        (None, BOUND, "sent a token of the type Bearer, which is not bound"),
        ("mac", BOUND, "sent a token of the type mac, which is not bound"),
        ("DPoP", None, "sent a token of the type DPoP, which can only be used with a key"),
        ("Bearer", None, None),
    ],
)
def test_a_token_is_bound_where_that_was_asked_for_and_not_elsewhere(
    kind: str | None, provider: ProviderProfile | None, why: str | None
) -> None:
    body = json.dumps({"access_token": "at", "token_type": kind}).encode()
    tokens = process_token_response(RawResponse(200, {}, body), provider=provider)
    assert (tokens.unusable or "").startswith(why or "")
    assert (tokens.unusable is None) is (why is None)
