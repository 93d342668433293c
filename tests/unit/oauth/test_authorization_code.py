"""RFC 6749 section 4.1, RFC 7636, RFC 9207; contract sections 19.2, 20.2, 20.3; rules 24.14 and 24.29."""

from base64 import b64decode
from urllib.parse import parse_qsl, urlsplit

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError
from keyrack.oauth import pkce
from keyrack.oauth.authorization_code import (
    RESERVED,
    build_authorization_url,
    build_token_request,
    process_callback,
)
from keyrack.oauth.client_auth import TokenEndpointAuthMethod
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.refresh_token import build_refresh_request
from keyrack.oauth.state import new_state, state_hash

CALLBACK = "https://app.acme.example/callback/oauth2"


def a_profile(
    endpoint: str = "https://as.example/authorize",
    method: TokenEndpointAuthMethod = TokenEndpointAuthMethod.CLIENT_SECRET_POST,
    refresh_endpoint: str | None = None,
) -> ClientProfile:
    return ClientProfile(
        client_id="acme id",
        client_secret=Secret("p:ss wörd+%"),
        authorization_endpoint=endpoint,
        token_endpoint="https://as.example/token?resource=x",
        refresh_endpoint=refresh_endpoint,
        token_endpoint_auth_method=method,
    )


def query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True)


def test_pkce_matches_the_vector_of_rfc_7636_appendix_b() -> None:
    verifier = Secret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
    assert pkce.challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_verifiers_and_states_are_long_and_never_repeat() -> None:
    verifiers = {pkce.new_verifier().reveal() for _ in range(50)}
    states = {new_state() for _ in range(50)}
    assert len(verifiers) == len(states) == 50
    assert all(43 <= len(text) <= 128 and text.isascii() for text in verifiers)
    assert all(len(text) >= 22 and text.replace("-", "").replace("_", "").isalnum() for text in states)


def test_a_states_hash_is_hex_and_takes_any_text() -> None:
    assert state_hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert state_hash("\ud800") != state_hash("?")


def test_the_url_has_all_parameters_in_order() -> None:
    url = build_authorization_url(
        a_profile(),
        redirect_uri=CALLBACK,
        state="s t",
        scope="a b",
        code_challenge="ch",
        extra={"prompt": "consent", "x": ""},
    )
    assert url.startswith(
        "https://as.example/authorize?response_type=code&client_id=acme%20id&redirect_uri=https%3A%2F%2F"
    )
    assert query(url) == [
        ("response_type", "code"),
        ("client_id", "acme id"),
        ("redirect_uri", CALLBACK),
        ("scope", "a b"),
        ("state", "s t"),
        ("code_challenge", "ch"),
        ("code_challenge_method", "S256"),
        ("prompt", "consent"),
        ("x", ""),
    ]


def test_a_nonce_is_sent_if_there_is_one_and_extras_cannot_replace_it() -> None:
    extra = {"nonce": "theirs"}
    ours = build_authorization_url(a_profile(), redirect_uri=CALLBACK, state="s", nonce="n-1", extra=extra)
    assert [value for name, value in query(ours) if name == "nonce"] == ["n-1"]
    theirs = build_authorization_url(a_profile(), redirect_uri=CALLBACK, state="s", extra=extra)
    assert [value for name, value in query(theirs) if name == "nonce"] == ["theirs"]


def test_scope_and_challenge_are_left_out_when_there_are_none() -> None:
    names = [name for name, _ in query(build_authorization_url(a_profile(), redirect_uri=CALLBACK, state="s"))]
    assert names == ["response_type", "client_id", "redirect_uri", "state"]


def test_the_endpoints_own_query_stays_as_written_and_in_front() -> None:
    endpoint = "https://as.example/authorize?resource=https%3a%2F%2Fapi&b=&a=1&a=2&flag&plus=x+y"
    url = build_authorization_url(a_profile(endpoint), redirect_uri=CALLBACK, state="s")
    assert url.startswith(endpoint + "&response_type=code&")


def test_a_parameter_is_never_sent_twice() -> None:
    endpoint = "https://as.example/authorize?client%5Fid=evil&prompt=login&state=fixed&scope=own#fragment"
    url = build_authorization_url(a_profile(endpoint), redirect_uri=CALLBACK, state="s", extra={"prompt": "none"})
    sent = query(url)
    assert len({name for name, _ in sent}) == len(sent)
    assert dict(sent) == {
        "prompt": "login",  # the own query survives (24.29)
        "scope": "own",  # no scope of ours, so nothing clashes
        "response_type": "code",
        "client_id": "acme id",
        "redirect_uri": CALLBACK,
        "state": "s",
    }


@pytest.mark.parametrize("name", [*sorted(RESERVED), "State", " client_id"])
def test_extras_cannot_override_ours(name: str) -> None:
    plain = build_authorization_url(a_profile(), redirect_uri=CALLBACK, state="s")
    assert build_authorization_url(a_profile(), redirect_uri=CALLBACK, state="s", extra={name: "evil"}) == plain


def test_reserved_has_every_name_of_the_contract() -> None:
    assert {"response_type", "client_id", "redirect_uri", "scope", "state"} <= RESERVED
    assert {"code_challenge", "code_challenge_method"} <= RESERVED


def test_an_extra_cannot_add_a_parameter_through_its_value() -> None:
    url = build_authorization_url(
        a_profile(), redirect_uri=CALLBACK, state="s", extra={"x": "1&state=evil#\r\n", "y": "\ud800"}
    )
    assert dict(query(url))["state"] == "s"
    assert dict(query(url))["x"] == "1&state=evil#\r\n"
    assert "\r" not in url
    assert "#" not in url


def test_post_puts_id_and_secret_into_the_body() -> None:
    request = build_token_request(a_profile(), code=Secret("c0de"), redirect_uri=CALLBACK, verifier=Secret("ver"))
    assert request.url == "https://as.example/token?resource=x"
    assert request.authorization is None
    assert request.form == (
        ("grant_type", "authorization_code"),
        ("code", "c0de"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", "ver"),
        ("client_id", "acme id"),
        ("client_secret", "p:ss wörd+%"),
    )


def test_basic_form_encodes_first_and_leaves_the_body_alone() -> None:
    profile = a_profile(method=TokenEndpointAuthMethod.CLIENT_SECRET_BASIC)
    request = build_token_request(profile, code=Secret("c0de"), redirect_uri=CALLBACK)
    assert dict(request.form).keys() == {"grant_type", "code", "redirect_uri"}
    assert request.authorization is not None
    scheme, _, encoded = request.authorization.reveal().partition(" ")
    assert scheme == "Basic"
    assert b64decode(encoded) == b"acme+id:p%3Ass+w%C3%B6rd%2B%25"


def test_none_sends_the_id_only() -> None:
    request = build_refresh_request(a_profile(method=TokenEndpointAuthMethod.NONE), Secret("r3fresh"))
    assert request.authorization is None
    assert dict(request.form) == {"grant_type": "refresh_token", "refresh_token": "r3fresh", "client_id": "acme id"}


def test_a_refresh_has_no_scope_and_may_have_its_own_endpoint() -> None:
    at_token = build_refresh_request(a_profile(), Secret("r"))
    elsewhere = build_refresh_request(a_profile(refresh_endpoint="https://as.example/refresh"), Secret("r"))
    assert "scope" not in dict(at_token.form)
    assert at_token.url == "https://as.example/token?resource=x"
    assert elsewhere.url == "https://as.example/refresh"


def test_reprs_show_no_secret() -> None:
    profile = a_profile(method=TokenEndpointAuthMethod.CLIENT_SECRET_BASIC)
    request = build_token_request(profile, code=Secret("c0de"), redirect_uri=CALLBACK, verifier=Secret("verif13r"))
    shown = repr(profile) + repr(request)
    assert not any(secret in shown for secret in ("p:ss", "c0de", "verif13r", "p%3Ass"))


def test_a_callback_gives_its_code() -> None:
    code = process_callback({"code": "c0de", "state": "s", "iss": "https://as.example"}, "https://as.example")
    assert code.reveal() == "c0de"
    assert process_callback({"code": "x", "iss": "https://any.example"}).reveal() == "x"
    assert process_callback({"code": "x"}, "https://as.example").reveal() == "x"


@pytest.mark.parametrize("params", [{"code": "x"}, {"error": "access_denied"}])
def test_another_issuer_is_refused(params: dict[str, str]) -> None:
    with pytest.raises(ProviderError, match="another authorization server") as caught:
        process_callback({**params, "iss": "https://as.example/"}, "https://as.example")
    assert caught.value.meta is None


def test_a_denial_carries_what_the_provider_says_made_printable() -> None:
    with pytest.raises(ProviderError) as caught:
        process_callback(
            {
                "error": "access_denied",
                "error_description": "The user\r\n said\x00 no\u202e" + "!" * 1000,
                "error_uri": "javascript:alert(1)",
                "code": "x",
            }
        )
    meta = caught.value.meta
    assert meta is not None
    assert meta.keys() == {"error", "error_description"}
    assert meta["error"] == "access_denied"
    assert meta["error_description"].startswith("The user said no!!!")
    assert len(meta["error_description"]) == 500


def test_an_error_counts_before_a_code_and_in_other_words_only_without_one() -> None:
    refused = "The authorization server did not grant access."
    for params in ({"error": "e", "code": "x"}, {"error_reason": "no"}, {"denied": "t"}):
        with pytest.raises(ProviderError) as caught:
            process_callback(params)
        assert str(caught.value) == refused
    assert process_callback({"error_reason": "no", "code": "x"}).reveal() == "x"
    assert process_callback({"error": "", "code": "x"}).reveal() == "x"


def test_a_server_that_always_names_itself_has_to() -> None:
    issuer = "https://as.example"
    with pytest.raises(ProviderError, match=r"^The answer does not name the authorization server.*always does[.]$"):
        process_callback({"code": "x"}, issuer, iss_required=True)
    assert process_callback({"code": "x", "iss": issuer}, issuer, iss_required=True).reveal() == "x"
    assert process_callback({"code": "x"}, None, iss_required=True).reveal() == "x"
    with pytest.raises(ProviderError, match="does not name") as refused:
        process_callback({"error": "access_denied"}, issuer, iss_required=True)
    assert refused.value.failure.said == {}, "an error of nobody known is not told as the server's"


def test_a_code_may_be_as_long_as_8192_characters() -> None:
    assert process_callback({"code": "x" * 8192}).reveal() == "x" * 8192
    with pytest.raises(ProviderError, match="no usable code"):
        process_callback({"code": "x" * 8193})


@pytest.mark.parametrize("code", ["", "a\nb", "\ud800", "x" * 10_000])
def test_unusable_codes_are_refused(code: str) -> None:
    with pytest.raises(ProviderError, match="no usable code"):
        process_callback({"code": code})
    with pytest.raises(ProviderError, match="no usable code"):
        process_callback({})
