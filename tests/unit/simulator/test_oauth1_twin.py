"""The twin of OAuth 1.0a takes what its profile says, signed by its client; whatever else is sent is refused."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from oauthlib.oauth1 import SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256, SIGNATURE_PLAINTEXT, Client

from keyrack.oauth.profiles.reading import profile_of
from keyrack.simulator.twin.oauth1 import OAuth1Twin
from keyrack.simulator.twin.orders import Reading
from keyrack.simulator.twin.received import Received, Reply
from keyrack.simulator.twin.registration import Registration

CALLBACK = "https://k.example/cb"
REQUEST, AUTHORIZE, ACCESS = (f"https://acme.p.example/{name}" for name in ("request", "authorize", "access"))
AS_SAID, AGREED = f"{REQUEST}?kind=write", "&expiration=never&scope=read%2Cwrite"


def twin(**oauth1: str) -> OAuth1Twin:
    of_account = "https://{account}.p.example/"
    said: dict[str, Any] = {
        "name": "p",
        "grant": "oauth1",
        "inputs": {"account": {"pattern": "[a-z]+"}},
        "endpoints": {
            "temporary_credentials": f"{of_account}request",
            "authorization": f"{of_account}authorize",
            "token": f"{of_account}access",
        },
        "authorization": {"parameters": {"expiration": "never"}},
        "scopes": {"separator": ",", "default": ["read", "write"]},
        "oauth1": {"request_parameters": {"kind": "write"}, **oauth1},
    }
    return OAuth1Twin(Reading(profile_of(said), Registration("the-key", "the-secret", CALLBACK, {"account": "acme"})))


def send(at: OAuth1Twin, url: str, secret: str = "the-secret", method: str = SIGNATURE_HMAC_SHA1, **more: str) -> Reply:
    _, headers, _ = Client("the-key", secret, signature_method=method, **more).sign(url, http_method="POST")
    return at.serve(Received("POST", url, [("authorization", headers["Authorization"])]))


def members(reply: Reply) -> dict[str, str]:
    assert reply.status == 200, reply.body
    return dict(parse_qsl(reply.body))


@pytest.mark.parametrize("method", [SIGNATURE_HMAC_SHA1, SIGNATURE_HMAC_SHA256, SIGNATURE_PLAINTEXT])
def test_it_gives_token_credentials_for_what_the_profile_says(method: str) -> None:
    at = twin(signature_method=method)
    temporary = members(send(at, AS_SAID, method=method, callback_uri=CALLBACK))
    back = at.open_in_browser(f"{AUTHORIZE}?oauth_token={temporary['oauth_token']}{AGREED}")
    assert back.startswith(f"{CALLBACK}?oauth_token=")
    verifier = dict(parse_qsl(urlsplit(back).query))["oauth_verifier"]
    keys = {"resource_owner_key": temporary["oauth_token"], "resource_owner_secret": temporary["oauth_token_secret"]}
    assert send(at, ACCESS, "another", method, verifier=verifier, **keys).status == 401, "the secret signs"
    at.differences.clear()
    given = members(send(at, ACCESS, method=method, verifier=verifier, **keys))
    assert at.differences == []
    assert (given["oauth_token"], given["oauth_token_secret"]) == (at.token, at.token_secret)
    assert temporary["oauth_token"] not in str(at.requests), "what is secret is masked"


@pytest.mark.parametrize(
    ("url", "more", "pointer"),
    [
        (REQUEST, {}, "/oauth1/request_parameters/kind"),
        (f"{AS_SAID}&more=1", {}, "/oauth1/request_parameters/more"),
        (AS_SAID, {"secret": "another"}, "/oauth1"),
        (AS_SAID, {"method": SIGNATURE_PLAINTEXT}, "/oauth1/signature_method"),
        ("https://other.p.example/request?kind=write", {}, "/endpoints/temporary_credentials"),
    ],
)
def test_it_refuses_a_request_that_differs(url: str, more: dict[str, str], pointer: str) -> None:
    at = twin()
    assert send(at, url, callback_uri=CALLBACK, **more).status in {401, 404}
    assert [each.pointer for each in at.differences] == [pointer]


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ("&expiration=1day&scope=read%2Cwrite", "/authorization/parameters/expiration"),
        ("&expiration=never", "/scopes/default"),
        (f"{AGREED}&name=x", "/authorization/parameters/name"),
    ],
)
def test_it_refuses_a_browser_with_other_parameters(sent: str, pointer: str) -> None:
    at = twin()
    temporary = members(send(at, AS_SAID, callback_uri=CALLBACK))
    assert at.open_in_browser(f"{AUTHORIZE}?oauth_token={temporary['oauth_token']}{sent}") == ""
    assert [each.pointer for each in at.differences] == [pointer]
