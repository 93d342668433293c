"""Registering clients as functions (RFC 7591, RFC 7592): what is asked for, and how odd answers are read."""

import json
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderUnavailable
from keyrack.oauth.client_auth import TokenEndpointAuthMethod as Method
from keyrack.oauth.dynamic_registration import (
    build_update_request,
    chosen_auth_method,
    client_metadata,
    process_deletion,
    process_registration,
)
from keyrack.oauth.issuer import IssuerMetadata
from keyrack.oauth.wire import AnswerFault, RawResponse

TOLD = {"client_id": "c", "client_secret": "s", "token_endpoint_auth_method": "client_secret_post"}


def answer(document: Any, status: int = 201) -> RawResponse:
    return RawResponse(status, {"content-type": "application/json"}, json.dumps(document).encode())


def test_the_best_authentication_that_both_sides_have() -> None:
    assert chosen_auth_method(None) is Method.CLIENT_SECRET_BASIC, "the default of RFC 8414"
    assert chosen_auth_method(["none", "client_secret_post"]) is Method.CLIENT_SECRET_POST
    assert chosen_auth_method(["none", "private_key_jwt"]) is Method.NONE
    assert chosen_auth_method(["private_key_jwt"]) is None


def test_refresh_tokens_are_asked_for_unless_the_server_does_not_know_them() -> None:
    for known, grants in ((None, 2), (("authorization_code",), 1), (("refresh_token", "authorization_code"), 2)):
        metadata = client_metadata(
            IssuerMetadata(sends_iss=False, jwks_uri=None, grant_types=known), "r", "n", Method.NONE
        )
        assert len(metadata["grant_types"]) == grants


def test_an_update_has_id_and_secret_and_nothing_of_the_servers() -> None:  # RFC 7592 section 2.2
    request = build_update_request("https://s/c", Secret("t"), {"client_name": "n"}, "c", Secret("s"))
    assert (request.method, request.document) == ("PUT", {"client_name": "n", "client_id": "c", "client_secret": "s"})
    assert request.authorization == Secret("Bearer t")
    assert build_update_request("https://s/c", Secret("t"), {}, "c", Secret("")).document == {"client_id": "c"}


def test_what_a_server_tells() -> None:
    made = process_registration(answer({**TOLD, "client_secret_expires_at": 0}))
    assert (made.client_id, made.client_secret.reveal(), made.auth_method) == ("c", "s", Method.CLIENT_SECRET_POST)
    assert (made.secret_expires_at, made.uri, made.access_token) == (None, "", Secret("")), "0: without end"
    assert (
        process_registration(answer({**TOLD, "client_secret_expires_at": 1_900_000_000})).secret_expires_at
        == 1_900_000_000
    )
    odd_ends: list[Any] = ["soon", -1, True, 10**15, {}]
    for odd in odd_ends:
        assert process_registration(answer({**TOLD, "client_secret_expires_at": odd})).secret_expires_at is None
    half = process_registration(answer({**TOLD, "registration_access_token": "t"}))
    assert not half.access_token, "without an address it opens nothing"
    public = process_registration(answer({"client_id": "c", "client_secret": "s"}), default=Method.NONE)
    assert not public.client_secret, "a public client has none, whatever was sent"


@pytest.mark.parametrize(
    "document",
    [{}, {**TOLD, "client_id": 7}, {**TOLD, "client_id": "a\nb"}, {**TOLD, "client_secret": ""}, [TOLD],
     {**TOLD, "token_endpoint_auth_method": "private_key_jwt"}, {**TOLD, "client_id": "x" * 5000}],
)  # fmt: skip
def test_a_registration_that_cannot_be_used(document: Any) -> None:
    with pytest.raises(ProviderError, match="cannot use"):
        process_registration(answer(document))


def test_a_refusal_says_why_and_never_our_token() -> None:
    said = {"error": "invalid_client_metadata", "error_description": "not with let-me-in"}
    with pytest.raises(ProviderError) as refused:
        process_registration(answer(said, 400), [Secret("let-me-in")])
    assert refused.value.failure.said == {"error": "invalid_client_metadata", "error_description": "not with ***"}
    for status in (429, 500, 503):
        with pytest.raises(ProviderUnavailable):
            process_registration(answer({}, status))
    with pytest.raises(ProviderUnavailable, match="in time"):
        process_registration(RawResponse(201, {}, b"{", AnswerFault.TIMEOUT, cut=True))


def test_a_deletion_is_tried_again_only_where_that_helps() -> None:
    gone = {
        status: process_deletion(RawResponse(status, {}, b"")) for status in (204, 200, 401, 404, 405, 500, 429, 302)
    }
    assert gone == {204: True, 200: True, 401: True, 404: True, 405: True, 500: False, 429: False, 302: False}
