"""RFC 5849: signatures, computed here a second time from the text and its examples; answers and callbacks."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import KeyrackError, ProviderError, ProviderUnavailable, ValidationFailed
from keyrack.oauth import oauth1
from keyrack.oauth.oauth1 import OAuth1Credentials
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.kinds import SignatureMethod
from keyrack.oauth.state import state_hash
from keyrack.oauth.wire import AnswerFault, FormRequest, RawResponse

CALLBACK = "http://printer.example.com/ready"
AT = datetime.fromtimestamp(137131200, UTC)


def profile(**differs: str) -> ClientProfile:
    given = {
        "client_id": "dpf43f3p2l4k3l03",
        "authorization_endpoint": "https://photos.example.net/authorize",
        "token_endpoint": "https://photos.example.net/token",
        "temporary_credentials_endpoint": "https://photos.example.net/initiate",
        **differs,
    }
    secret = Secret(given.pop("client_secret", "kd94hf93k423kf44"))
    return ClientProfile(client_secret=secret, **given)  # type: ignore[arg-type]  # texts all


def signature(  # RFC 5849 sections 3.4.1, 3.4.2 and 3.6, from their text
    method: str,
    url: str,
    protocol: Iterable[tuple[str, str]],
    client_secret: str,
    token_secret: str = "",
    digest: Any = hashlib.sha1,
) -> str:
    def escaped(text: str) -> str:
        return quote(text, safe="~-._")

    parts = urlsplit(url)
    pairs = [*protocol, *parse_qsl(parts.query, keep_blank_values=True)]
    normalized = "&".join(f"{name}={value}" for name, value in sorted((escaped(n), escaped(v)) for n, v in pairs))
    default = {"http": ":80", "https": ":443"}[parts.scheme]
    base_uri = f"{parts.scheme}://{parts.netloc.lower().removesuffix(default)}{parts.path or '/'}"
    base = "&".join(map(escaped, (method, base_uri, normalized)))
    key = f"{escaped(client_secret)}&{escaped(token_secret)}"
    return base64.b64encode(hmac.new(key.encode(), base.encode(), digest).digest()).decode()


def sent(request: FormRequest) -> dict[str, str]:
    assert request.authorization is not None
    scheme, _, rest = request.authorization.reveal().partition(" ")
    assert scheme == "OAuth"
    pairs = [re.fullmatch(r'([a-z_]+)="([^"]*)"', part.strip()) for part in rest.split(",")]
    found = [(pair[1], unquote(pair[2])) for pair in pairs if pair]
    assert len(found) == len(pairs) == len(dict(found))
    return dict(found)


METHOD = ("oauth_signature_method", "HMAC-SHA1")
KEY = ("oauth_consumer_key", "dpf43f3p2l4k3l03")


@pytest.mark.parametrize(
    ("method", "url", "protocol", "token_secret", "expected"),
    [
        (
            "POST",
            "https://photos.example.net/initiate",
            [("oauth_timestamp", "137131200"), ("oauth_nonce", "wIjqoS"), ("oauth_callback", CALLBACK)],
            "",
            "74KNZJeDHnMBp0EMJ9ZHt/XKycU=",
        ),
        (
            "POST",
            "https://photos.example.net/token",
            [
                ("oauth_token", "hh5s93j4hdidpola"),
                ("oauth_timestamp", "137131201"),
                ("oauth_nonce", "walatlh"),
                ("oauth_verifier", "hfdp7dh39dks9884"),
            ],
            "hdhd0244k9j7ao03",
            "gKgrFCywp7rO0OXSjdot/IHF7IU=",
        ),
        (
            "GET",
            "http://photos.example.net/photos?file=vacation.jpg&size=original",
            [("oauth_token", "nnch734d00sl2jdk"), ("oauth_timestamp", "137131202"), ("oauth_nonce", "chapoH")],
            "pfkkdhi9sl3r4s00",
            "MdpQcU8iPSUjWoN/UDMsK2sui9I=",
        ),
    ],
)
def test_the_second_computation_agrees_with_the_examples_of_section_1_2(
    method: str, url: str, protocol: list[tuple[str, str]], token_secret: str, expected: str
) -> None:
    assert signature(method, url, [KEY, METHOD, *protocol], "kd94hf93k423kf44", token_secret) == expected


URLS = [
    "https://photos.example.net/initiate",
    "https://photos.example.net:443",
    "https://Photos.Example.net:8443/a%20b/%7Ec?b=2&a=x+y&a=%2B&c=&d=%26%3D&e=%C3%A9&f=a:b@c/d",
    "https://photos.example.net/initiate?a=b?c&d=%3F",
]


@pytest.mark.parametrize("url", URLS)
def test_temporary_credentials_are_asked_for_with_the_right_signature(url: str) -> None:
    request = oauth1.build_temporary_request(
        profile(temporary_credentials_endpoint=url), callback=CALLBACK, at=AT, nonce="wIjqoxSWTGmuv"
    )
    found = sent(request)
    assert found.pop("oauth_signature") == signature("POST", request.url, found.items(), "kd94hf93k423kf44")
    assert found == {
        **dict([KEY, METHOD]),
        "oauth_timestamp": "137131200",
        "oauth_nonce": "wIjqoxSWTGmuv",
        "oauth_callback": CALLBACK,
        "oauth_version": "1.0",
    }
    assert request.form == ()
    assert "kd94" not in repr(request)


@pytest.mark.parametrize("method", [SignatureMethod.HMAC_SHA256, SignatureMethod.PLAINTEXT])
def test_a_provider_may_want_another_signature(method: SignatureMethod) -> None:
    secrets = OAuth1Credentials(Secret("hh5s93j4hdidpola"), Secret("hdhd+0244"))
    client = replace(profile(client_secret="kd94/hf93"), signature_method=method)
    request = oauth1.build_token_request(client, secrets, Secret("hfdp7dh39dks9884"), at=AT)
    found = sent(request)
    made = found.pop("oauth_signature")
    assert found["oauth_signature_method"] == method.value
    if method is SignatureMethod.PLAINTEXT:
        assert made == "kd94%2Fhf93&hdhd%2B0244", "section 3.4.4"
    else:
        assert made == signature("POST", request.url, found.items(), "kd94/hf93", "hdhd+0244", hashlib.sha256)
    assert "hdhd" not in repr(request)


@pytest.mark.parametrize("url", URLS)
def test_token_credentials_are_asked_for_with_the_right_signature(url: str) -> None:
    odd = "s e&c=r%et/+~é"
    request = oauth1.build_token_request(
        profile(token_endpoint=url, client_secret=odd),
        oauth1.OAuth1Credentials(Secret("hh5s93j4hdidpola"), Secret(odd)),
        Secret("hfdp/7dh=39dks"),
        at=AT,
    )
    found = sent(request)
    assert found.pop("oauth_signature") == signature("POST", request.url, found.items(), odd, odd)
    assert (found["oauth_token"], found["oauth_verifier"]) == ("hh5s93j4hdidpola", "hfdp/7dh=39dks")


def test_nonces_differ_and_fit_strict_servers() -> None:
    nonces = {
        sent(oauth1.build_temporary_request(profile(), callback=CALLBACK, at=AT))["oauth_nonce"] for _ in range(50)
    }
    assert len(nonces) == 50
    assert all(nonce.isalnum() and 20 <= len(nonce) <= 30 for nonce in nonces), "some servers insist"


def test_what_is_no_text_is_refused() -> None:
    for wrong in (profile(client_id="a\ud800"), profile(client_secret="a\ud800")):
        with pytest.raises(ValidationFailed):
            oauth1.build_temporary_request(wrong, callback=CALLBACK, at=AT)


def answer(body: bytes, status: int = 200, **headers: str) -> RawResponse:
    return RawResponse(status, headers, body)


GOOD = b"oauth_token=hh5s93j4hdidpola&oauth_token_secret=hdhd0244k9j7ao03&oauth_callback_confirmed=true"


def test_good_answers() -> None:
    temporary = oauth1.process_temporary_response(answer(GOOD, 201))
    assert (temporary.token.reveal(), temporary.secret.reveal()) == ("hh5s93j4hdidpola", "hdhd0244k9j7ao03")
    assert oauth1.process_temporary_response(answer(GOOD.partition(b"&oauth_callback")[0])).token == temporary.token
    tokens = oauth1.process_token_response(answer(b"oauth_token=t&oauth_token_secret=&user_id=7&screen_name=a+b"))
    assert dict(tokens.members) == {
        "oauth_token": "t",
        "oauth_token_secret": "",
        "user_id": "7",
        "screen_name": "a b",
    }
    assert (tokens.access_token.reveal(), tokens.refresh_token, tokens.expires_in) == ("t", None, None)


@pytest.mark.parametrize(
    ("response", "error", "meta"),
    [
        (answer(b"", 500), ProviderUnavailable, {"status": 500}),
        (answer(b"", 429, **{"retry-after": "7"}), ProviderUnavailable, {"status": 429, "retry_after": 7}),
        (answer(b"", 401), ProviderError, {"status": 401}),
        (answer(b"<html>oauth_token=a&oauth_token_secret=b</html>"), ProviderError, {"status": 200}),
        (answer(b"oauth_token=a"), ProviderError, {"status": 200}),
        (answer(b"oauth_token=&oauth_token_secret=b"), ProviderError, {"status": 200}),
        (answer(b"oauth_token=a%00&oauth_token_secret=b"), ProviderError, {"status": 200}),
        (answer(b"oauth_token=a&oauth_token_secret=%01"), ProviderError, {"status": 200}),
        (answer(b'{"oauth_token": 1, "oauth_token_secret": "b"}'), ProviderError, {"status": 200}),
        (
            answer(b"oauth_problem=token_rejected&oauth_problem_advice=hush-hush+is+bad", 401),
            ProviderError,
            {"status": 401, "error": "token_rejected", "error_description": "*** is bad"},
        ),
        (
            answer(b"error=invalid_request&error_description=Missing+verifier.", 400),
            ProviderError,
            {"status": 400, "error": "invalid_request", "error_description": "Missing verifier."},
        ),
        (
            answer(GOOD + b"&oauth_problem=signature_invalid"),
            ProviderError,
            {"status": 200, "error": "signature_invalid"},
        ),
    ],
)
def test_bad_answers(response: RawResponse, error: type[KeyrackError], meta: dict[str, object]) -> None:
    for process in (oauth1.process_temporary_response, oauth1.process_token_response):
        with pytest.raises(error) as caught:
            process(response, (Secret("hush-hush"),))
        assert caught.value.meta == meta


def test_a_callback_that_was_not_taken_is_refused() -> None:
    with pytest.raises(ProviderError, match="did not accept the callback address"):
        oauth1.process_temporary_response(answer(GOOD.replace(b"=true", b"=false")))
    assert oauth1.process_temporary_response(answer(GOOD.replace(b"=true", b"=True")))


def test_a_refusal_and_an_answer_without_credentials_say_what_was_wanted() -> None:
    for process, wanted in (
        (oauth1.process_temporary_response, "temporary credentials"),
        (oauth1.process_token_response, "token credentials"),
    ):
        with pytest.raises(ProviderError, match=f"refused to give {wanted}"):
            process(answer(b"", 401))
        with pytest.raises(ProviderError, match=f"answered without {wanted}"):
            process(answer(b"oauth_token=a"))
        with pytest.raises(ProviderUnavailable) as caught:
            process(RawResponse(200, {}, b"oauth_token=a", AnswerFault.CLOSED, cut=True))
        assert caught.value.meta == {"status": 200, "reason": "closed", "sent": True, "received": True}


def test_the_authorization_url_keeps_the_providers_own_query() -> None:
    url = oauth1.build_authorization_url(
        "https://photos.example.net/authorize?a=1%20&oauth_token=x#f?g",
        Secret("to ken"),
        {"a": "2", "b": "x y", " OAUTH_callback": "no", "oauth_token": "no"},
    )
    assert url == "https://photos.example.net/authorize?a=1%20&oauth_token=to%20ken&b=x%20y"


def test_callbacks() -> None:
    assert oauth1.process_callback({"oauth_token": "t", "oauth_verifier": "v"}).reveal() == "v"
    assert oauth1.callback_token({"oauth_token": "t"}) == oauth1.callback_token({"denied": "t"}) == "t"
    assert oauth1.callback_token({}) == ""
    for refused in (
        {},
        {"oauth_verifier": " "},
        {"oauth_verifier": "v\n"},
        {"oauth_verifier": "v" * 8193},
        {"oauth_verifier": "v" * 9000},
        {"oauth_verifier": "v", "denied": "t"},
        {"oauth_verifier": "v", "oauth_problem": "user_refused"},
        {"oauth_verifier": "v", "error": "access_denied"},
    ):
        with pytest.raises(ProviderError):
            oauth1.process_callback(refused)
    assert oauth1.process_callback({"oauth_verifier": "v" * 8192}).reveal() == "v" * 8192


def test_the_hash_of_a_token_is_never_that_of_a_state() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", oauth1.token_hash("t"))
    assert oauth1.token_hash("t") != oauth1.token_hash("u")
    assert oauth1.token_hash("t") != state_hash("t")
    assert oauth1.token_hash("\udc80"), "whatever a browser can be made to send"
