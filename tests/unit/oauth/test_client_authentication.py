"""How a client shows who it is: in the body, in a header with or without the RFC's encoding, or by its id alone."""

from base64 import b64decode

import pytest

from keyrack.crypto.secret import Secret
from keyrack.oauth.client_auth import (
    METHOD_OF,
    RequestAuthentication,
    TokenEndpointAuthMethod,
    authenticate,
    unfit_for,
)
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.refresh_token import build_refresh_request

Method = TokenEndpointAuthMethod
OWN = (("grant_type", "refresh_token"), ("refresh_token", "r"))


def header_of(method: TokenEndpointAuthMethod, client_id: str, secret: str) -> str:
    form, authorization = authenticate(
        OWN, RequestAuthentication(method), client_id, Secret(secret), "https://as.example/token"
    )
    assert form == OWN, "neither id nor secret is in the body"
    assert authorization is not None
    kind, _, value = authorization.reveal().partition(" ")
    assert kind == "Basic"
    return b64decode(value, validate=True).decode("utf-8")


def test_id_and_secret_stand_in_the_body_behind_the_grant() -> None:
    form, authorization = authenticate(
        OWN, RequestAuthentication(Method.CLIENT_SECRET_POST), "id", Secret("s:é"), "https://as"
    )
    assert form == (*OWN, ("client_id", "id"), ("client_secret", "s:é"))
    assert authorization is None


def test_a_public_client_sends_its_id_alone() -> None:
    by = RequestAuthentication(Method.NONE)
    assert authenticate(OWN, by, "id", Secret("s"), "https://as") == ((*OWN, ("client_id", "id")), None)


def test_a_basic_header_is_form_encoded_or_as_it_is() -> None:
    assert header_of(Method.CLIENT_SECRET_BASIC, "a:b c", "é/+&") == "a%3Ab+c:%C3%A9%2F%2B%26"
    assert header_of(Method.CLIENT_SECRET_BASIC_RAW, "a b", "é:/+&") == "a b:é:/+&"


def test_the_words_of_descriptors_name_the_methods() -> None:
    assert {word: method.value for word, method in METHOD_OF.items()} == {
        "post": "client_secret_post",
        "basic": "client_secret_basic",
        "basic_raw": "client_secret_basic_raw",
        "none": "none",
    }


@pytest.mark.parametrize("method", sorted(set(Method) - {Method.CLIENT_SECRET_BASIC_RAW}))
def test_every_text_fits_what_encodes_it(method: TokenEndpointAuthMethod) -> None:
    assert unfit_for(method, "a:b\n", "c\x7f") == {}


def test_a_header_without_encoding_cannot_carry_everything() -> None:
    raw = Method.CLIENT_SECRET_BASIC_RAW
    colon = "must not contain a colon with client_auth basic_raw"
    control = "must not contain control characters with client_auth basic_raw"
    assert unfit_for(raw, "id", "s:é") == {}
    assert unfit_for(raw, "a:b", "s") == {"client_id": colon}
    assert unfit_for(raw, "a\tb", "s") == {"client_id": control}
    assert unfit_for(raw, "id", "s\x9f") == {"client_secret": control}
    assert unfit_for(raw, "a\x7f", "s\n") == {"client_id": control, "client_secret": control}


def test_a_refresh_goes_to_the_endpoint_for_it_and_sends_no_scope() -> None:
    profile = ClientProfile("id", Secret("s"), "https://p.example/authorize", "https://p.example/token")
    request = build_refresh_request(profile, Secret("r"))
    assert request.url == "https://p.example/token"
    assert request.form == (*OWN, ("client_id", "id"), ("client_secret", "s"))
    assert request.authorization is None
    assert request.accept == "application/json"
    other = ClientProfile(
        "id",
        Secret("s"),
        "https://p.example/authorize",
        "https://p.example/token",
        refresh_endpoint="https://p.example/refresh?v=2",
        token_endpoint_auth_method=Method.CLIENT_SECRET_BASIC,
    )
    request = build_refresh_request(other, Secret("r"))
    assert (request.url, request.form) == ("https://p.example/refresh?v=2", OWN)
    assert request.authorization == Secret("Basic aWQ6cw==")
