"""Requests of grants without a browser: what goes where, and what stays away (RFC 6749, 7523, 8693)."""

import base64
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwk, jwt

from keyrack import clock
from keyrack.crypto.secret import Secret
from keyrack.oauth.client_assertion import AssertionSigner, UnusableKeyError
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.direct_grants import MissingValueError, build_direct_request, secrets_sent
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.reading import profile_of

TOKEN = "https://p.example/token?v=1"
RSA = jwk.generate_key("RSA", 2048)
EC = jwk.generate_key("EC", "P-256")
USER = {"username": {}, "password": {"secret": True}}
SUBJECT = {"subject_token": {"secret": True}, "actor": {"required": False, "secret": True}, "api": {"required": False}}


def profile(grant: str, values: dict[str, str] | None = None, **members: Any) -> ClientProfile:
    said = profile_of({"name": "p", "grant": grant, "endpoints": {"token": TOKEN}, **members})
    method = TokenEndpointAuthMethod(said.client_authentication.method)
    return ClientProfile(
        "the-id", Secret("the-secret"), "", TOKEN, token_endpoint_auth_method=method, provider=said, values=values or {}
    )


def signing(known: ClientProfile, key: Any, algorithm: str, **more: Any) -> ClientProfile:
    return replace(
        known, assertion_signer=AssertionSigner(algorithm, Secret(key.as_pem(private=True).decode()), **more)
    )


def claims_of(assertion: str, key: Any, algorithm: str) -> Any:
    return jwt.decode(assertion, key, algorithms=[algorithm])


def test_client_credentials_send_nothing_but_client_and_scope() -> None:
    request = build_direct_request(profile("client_credentials"), ("a", "b"))
    assert (request.url, request.method, request.body, request.authorization) == (TOKEN, "POST", "form", None)
    assert request.form == (
        ("grant_type", "client_credentials"), ("scope", "a b"),
        ("client_id", "the-id"), ("client_secret", "the-secret"),
    )  # fmt: skip
    basic = profile("client_credentials", client_authentication={"method": "client_secret_basic"})
    request = build_direct_request(basic)
    assert request.form == (("grant_type", "client_credentials"),)
    assert request.authorization is not None
    assert base64.b64decode(request.authorization.reveal().removeprefix("Basic ")) == b"the-id:the-secret"


def test_scopes_are_written_as_the_provider_has_them() -> None:
    known = profile("client_credentials", scopes={"separator": ",", "default": ["x", "y"]})
    assert dict(build_direct_request(known).form)["scope"] == "x,y"
    assert dict(build_direct_request(known, ("z",)).form)["scope"] == "z"
    without = profile("client_credentials", token={"parameters": {"scope": None}})
    assert "scope" not in dict(build_direct_request(without, ("z",)).form)


def test_a_provider_has_its_own_names_parameters_and_format() -> None:
    token = {
        "body": "json", "headers": {"x-app": "{client_id}"}, "rename": {"client_id": "app"},
        "parameters": {"grant_type": "account_credentials", "account_id": "{account}", "audience": "https://api"},
    }  # fmt: skip
    known = profile("client_credentials", {"account": "7"}, inputs={"account": {}}, token=token)
    request = build_direct_request(known)
    assert dict(request.form) == {
        "grant_type": "account_credentials", "app": "the-id", "client_secret": "the-secret", "account_id": "7",
        "audience": "https://api",
    }  # fmt: skip
    assert (request.body, request.headers) == ("json", (("x-app", "the-id"),))


def test_a_password_goes_with_its_user_and_needs_both() -> None:
    known = profile("password", {"username": "ada", "password": "{username}"}, inputs=USER)
    form = dict(build_direct_request(known, ("s",)).form)
    assert (form["grant_type"], form["username"], form["password"], form["scope"]) == (
        "password",
        "ada",
        "{username}",
        "s",
    )
    with pytest.raises(MissingValueError, match="no value for password"):
        build_direct_request(profile("password", {"username": "ada"}, inputs=USER))


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256")], ids=["RS256", "PS256", "ES256"]
)
def test_an_assertion_says_who_for_whom_and_where_and_is_good_once(key: Any, algorithm: str) -> None:
    bare = {"client_authentication": {"method": "fields"}, "assertion": {"algorithm": algorithm}}
    known = signing(profile("jwt_bearer", **bare), key, algorithm, key_id="k1")
    request = build_direct_request(known, ("a", "b"))
    sent = dict(request.form)
    assert sorted(sent) == ["assertion", "grant_type", "scope"]
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    token = claims_of(sent["assertion"], key, algorithm)
    assert token.header == {"alg": algorithm, "typ": "JWT", "kid": "k1"}
    claims = token.claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("the-id", "the-id", "https://p.example/token")
    assert claims["exp"] - claims["iat"] == 300
    assert abs(claims["iat"] - clock.now().timestamp()) < 60
    assert "scope" not in claims
    again = claims_of(dict(build_direct_request(known).form)["assertion"], key, algorithm)
    assert again.claims["jti"] != claims["jti"]


def test_what_an_assertion_says_is_filled_in_and_may_have_the_scope() -> None:
    said = {
        "issuer": "{account}", "subject": "{user}", "sends_scope": True, "lifetime": 60,
        "claims": {"box": "enterprise", "n": 7, "aud": ["{nothing}", "https://aud.example"]},
    }  # fmt: skip
    inputs = {"account": {}, "user": {"required": False}, "nothing": {"required": False}}
    known = profile("jwt_bearer", {"account": "bot@x"}, inputs=inputs, assertion=said)
    sent = dict(build_direct_request(signing(known, RSA, "RS256"), ("a", "b")).form)
    assert (sent["client_id"], sent["client_secret"]) == ("the-id", "the-secret")
    assert "scope" not in sent
    token = claims_of(sent["assertion"], RSA, "RS256")
    assert "kid" not in token.header  # a PEM has none
    claims = token.claims
    assert (claims["iss"], claims["scope"], claims["box"], claims["n"]) == ("bot@x", "a b", "enterprise", "7")
    assert (claims["aud"], claims["exp"] - claims["iat"]) == ("https://aud.example", 60)
    assert "sub" not in claims  # nobody is filled in


def test_an_assertion_needs_a_key_of_its_algorithm() -> None:
    with pytest.raises(MissingValueError, match="no private key"):
        build_direct_request(profile("jwt_bearer"))
    with pytest.raises(UnusableKeyError):
        build_direct_request(signing(profile("jwt_bearer"), EC, "RS256"))


def test_a_token_is_exchanged_with_all_that_is_known_of_it() -> None:
    exchange = {
        "subject_token": "{subject_token}", "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "actor_token": "{actor}", "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "audience": ["orders", "{api}"], "resource": ["https://a.example/", "https://b.example/"],
    }  # fmt: skip
    members = {"inputs": SUBJECT, "token_exchange": exchange}
    sent = build_direct_request(profile("token_exchange", {"subject_token": "st"}, **members), ("s",)).form
    assert sent[:3] == (
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("subject_token", "st"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
    )  # fmt: skip
    assert [value for name, value in sent if name == "resource"] == ["https://a.example/", "https://b.example/"]
    assert [value for name, value in sent if name == "audience"] == ["orders"]
    assert not [name for name, _ in sent if name.startswith("actor")]
    whole = {"subject_token": "st", "actor": "at", "api": "mail"}
    sent = build_direct_request(profile("token_exchange", whole, **members)).form
    assert ("actor_token", "at") in sent
    assert ("actor_token_type", "urn:ietf:params:oauth:token-type:access_token") in sent
    assert [value for name, value in sent if name == "audience"] == ["orders", "mail"]
    with pytest.raises(MissingValueError, match="subject_token"):
        build_direct_request(profile("token_exchange", {}, **members))
    renamed = {**members, "token": {"rename": {"resource": "target"}, "parameters": {"audience": "one"}}}
    sent = build_direct_request(profile("token_exchange", whole, **renamed)).form
    assert [value for name, value in sent if name == "target"] == ["https://a.example/", "https://b.example/"]
    assert [value for name, value in sent if name == "audience"] == ["one"]


def test_what_proves_something_is_known_whatever_the_provider_calls_it() -> None:
    token = {"rename": {"password": "pass_word"}}
    known = profile("password", {"username": "ada", "password": "p4ss"}, inputs=USER, token=token)
    request = build_direct_request(known)
    assert ("pass_word", "p4ss") in request.form
    assert {each.reveal() for each in secrets_sent(known, request)} == {"the-secret", "p4ss"}
    signer = signing(profile("jwt_bearer"), EC, "ES256")
    request = build_direct_request(signer)
    assert dict(request.form)["assertion"] in {each.reveal() for each in secrets_sent(signer, request)}
    assert "the-secret" not in repr(request)


def test_other_grants_are_not_asked_for_directly() -> None:
    endpoints = {"token": TOKEN, "authorization": "https://p.example/authorize"}
    with pytest.raises(ValueError, match="no direct grant"):
        build_direct_request(profile("authorization_code", endpoints=endpoints))
