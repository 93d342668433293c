"""What a client signs of itself (RFC 7523 section 3)."""

from datetime import UTC, datetime

import pytest
from joserfc import jwk, jwt
from joserfc.jwk import OctKey

from keyrack.crypto.secret import Secret
from keyrack.oauth.client_assertion import AssertionSigner, UnusableKeyError, client_assertion
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.refresh_token import build_refresh_request

SECRET = "a-client-secret-of-more-than-thirty-two-bytes"


def test_a_client_signs_with_its_secret_and_sends_it_not() -> None:
    profile = ClientProfile(
        client_id="me",
        client_secret=Secret(SECRET),
        authorization_endpoint="https://as.example/authorize",
        token_endpoint="https://as.example/token?x=1",
        token_endpoint_auth_method=TokenEndpointAuthMethod.CLIENT_SECRET_JWT,
        signer=AssertionSigner("HS256", Secret(SECRET)),
    )
    sent = [dict(build_refresh_request(profile, Secret("rt")).form) for _ in range(2)]
    second = sent[1].pop("client_assertion")
    assert sent[0].pop("client_assertion") != second
    assert sent[0] == {
        "grant_type": "refresh_token",
        "refresh_token": "rt",
        "client_id": "me",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }
    token = jwt.decode(second, jwk.import_key(SECRET, "oct"), algorithms=["HS256"])
    claims = token.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("me", "me", "https://as.example/token")
    now = datetime.now(UTC).timestamp()
    assert now - 60 < claims["iat"] <= now < claims["exp"] <= now + 300
    assert SECRET not in repr(profile)


def test_the_header_names_the_key_and_the_audience_can_be_another() -> None:
    key = jwk.generate_key("EC", "P-256", {"kid": "of the key"})
    text = Secret(key.as_pem(private=True).decode())
    said = client_assertion(
        "me", AssertionSigner("ES256", text, key_id="k1", audience="https://as"), "https://as/token"
    )
    token = jwt.decode(said.reveal(), key, algorithms=["ES256"])
    assert (token.header["kid"], token.claims["aud"]) == ("k1", "https://as")


@pytest.mark.parametrize(
    ("algorithm", "key"), [("none", "x"), ("XX256", "x"), ("RS256", "x"), ("ES256", "{}"), ("ES256", "{")]
)
def test_what_is_no_key_is_refused_without_being_shown(algorithm: str, key: str) -> None:
    with pytest.raises(UnusableKeyError) as refused:
        client_assertion("me", AssertionSigner(algorithm, Secret(key)), "https://as/token")
    assert refused.value.__cause__ is None


def test_a_secret_that_looks_like_a_jwk_is_the_text_that_it_is() -> None:
    secret = '{"a": 1}, and long enough to sign with'
    signed = client_assertion("me", AssertionSigner("HS256", Secret(secret)), "https://as.example/token")
    assert jwt.decode(signed.reveal(), OctKey.import_key(secret), algorithms=["HS256"]).claims["iss"] == "me"
