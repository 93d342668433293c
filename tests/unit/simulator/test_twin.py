"""A twin accepts exactly what its profile says; whatever else is sent is refused and named."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.oauth.profiles.reading import profile_of
from keyrack.simulator.twin.received import Received, Reply
from keyrack.simulator.twin.registration import Registration
from keyrack.simulator.twin.twin import Twin

AUTHORIZE, TOKEN, REVOKE = "https://eu.p.example/a", "https://eu.p.example/t", "https://eu.p.example/r"
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""Of RFC 7636 appendix B."""
UNASKED = "and the profile does not ask for it"
BASIC = "Basic " + base64.b64encode(b"the-id:the-secret").decode()
SAID: dict[str, Any] = {
    "name": "p",
    "inputs": {"region": {"pattern": "[a-z]+"}},
    "endpoints": {
        "authorization": "https://{region}.p.example/a?v=2",
        "token": "https://{region}.p.example/t",
        "revocation": "https://{region}.p.example/r",
    },
    "authorization": {"parameters": {"access_type": "offline"}, "rename": {"client_id": "app"}},
    "token": {"headers": {"X-Version": "2"}, "parameters": {"audience": "{region}"}},
    "scopes": {"separator": ","},
    "answer": {
        "objects": ["data"],
        "expires_in": ["ttl"],
        "lifetime_unit": "milliseconds",
        "fails_where": {"ok": False},
    },
    "lifetimes": {"rotates": True},
}
ASKED = {
    "v": "2", "response_type": "code", "app": "the-id", "redirect_uri": "https://k.example/cb", "state": "our-state",
    "scope": "a,b", "code_challenge": CHALLENGE, "code_challenge_method": "S256", "access_type": "offline",
}  # fmt: skip


def twin_of(**members: Any) -> Twin:
    profile: ProviderProfile = profile_of({**SAID, **members})
    registered = Registration("the-id", "the-secret", "https://k.example/cb", {"region": "eu"}, ("a", "b"))
    return Twin(profile, registered)


def told(twin: Twin) -> list[str]:
    return [str(each) for each in twin.differences]


def asked(**changed: str | None) -> str:
    parameters = {name: value for name, value in {**ASKED, **changed}.items() if value is not None}
    return f"{AUTHORIZE}?{urlencode(parameters)}"


def code_of(twin: Twin) -> str:
    back = twin.open_in_browser(asked())
    assert told(twin) == []
    answer = parse_qs(urlsplit(back).query)
    assert answer["state"] == ["our-state"]
    return answer["code"][0]


def form(code: str, **changed: str | None) -> dict[str, str]:
    usual = {
        "grant_type": "authorization_code", "code": code, "redirect_uri": "https://k.example/cb",
        "code_verifier": VERIFIER, "client_id": "the-id", "client_secret": "the-secret", "audience": "eu",
    }  # fmt: skip
    return {name: value for name, value in {**usual, **changed}.items() if value is not None}


def send(twin: Twin, parameters: Mapping[str, str], url: str = TOKEN, **changed: Any) -> Reply:
    headers = {"content-type": "application/x-www-form-urlencoded", "x-version": "2", **changed.pop("headers", {})}
    headers = {name: value for name, value in headers.items() if value is not None}
    body = changed.pop("body", urlencode(parameters).encode())
    return twin.serve(Received(changed.pop("method", "POST"), url, list(headers.items()), body))


def test_what_the_profile_says_is_accepted_and_answered_in_its_shape() -> None:
    twin = twin_of()
    reply = send(twin, form(code_of(twin)))
    first = {"access_token": twin.access_token, "refresh_token": twin.refresh_token, "ttl": 5_400_000, "scope": "a,b"}
    assert (reply.status, reply.body) == (200, {"ok": True, "data": {**first, "token_type": "Bearer"}})
    before, old = twin.access_token, twin.refresh_token
    renewing = {
        "grant_type": "refresh_token",
        "refresh_token": old,
        "client_id": "the-id",
        "client_secret": "the-secret",
    }
    assert send(twin, {**renewing, "audience": "eu"}).status == 200
    assert before != twin.access_token
    assert old != twin.refresh_token
    twin.refuses = True
    refused = send(twin, {**renewing, "audience": "eu", "refresh_token": twin.refresh_token})
    assert (refused.status, refused.body["ok"], refused.body["error"]) == (200, False, "invalid_grant")
    ending = {"token": twin.refresh_token, "token_type_hint": "refresh_token", "client_id": "the-id"}
    assert send(twin, {**ending, "client_secret": "the-secret"}, REVOKE, headers={"x-version": None}).status == 200
    assert twin.revoked == [twin.refresh_token]
    assert told(twin) == []


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"extra": "1"}, f"the parameter extra is sent, {UNASKED} (/authorization/parameters/extra)"),
        ({"access_type": None}, "the parameter access_type is missing (/authorization/parameters/access_type)"),
        ({"access_type": "online"},
         "the parameter access_type is 'online' and should be 'offline' (/authorization/parameters/access_type)"),
        ({"scope": "a b"}, "the parameter scope is 'a b' and should be 'a,b' (/scopes)"),
        ({"v": None}, "the parameter v is missing (/endpoints/authorization)"),
        ({"state": ""}, "the parameter state is no text that could not be guessed (as RFC 6749 has it)"),
        ({"code_challenge_method": "plain"},
         "the parameter code_challenge_method is 'plain' and should be 'S256' (/pkce)"),
        ({"nonce": "12345678"}, f"the parameter nonce is sent, {UNASKED} (/authorization/parameters/nonce)"),
    ],
)  # fmt: skip
def test_what_an_authorization_request_has_otherwise_is_named(changed: dict[str, str | None], difference: str) -> None:
    twin = twin_of()
    assert twin.open_in_browser(asked(**changed)) == ""
    assert told(twin) == [f"authorization request: {difference}"]


def test_a_name_that_was_given_another_is_missing_under_its_new_name() -> None:
    twin = twin_of()
    assert twin.open_in_browser(asked(app=None, client_id="the-id")) == ""
    assert [each.partition(": ")[2] for each in told(twin)] == [
        f"the parameter client_id is sent, {UNASKED} (/authorization/parameters/client_id)",
        "the parameter app is missing (as RFC 6749 has it)",
    ]


@pytest.mark.parametrize(
    ("parameters", "sent", "difference"),
    [
        ({"extra": "1"}, {}, f"the parameter extra is sent, {UNASKED} (/token/parameters/extra)"),
        ({"audience": None}, {}, "the parameter audience is missing (/token/parameters/audience)"),
        ({"client_secret": "wrong"}, {},
         "the parameter client_secret has another value (/client_authentication/method)"),
        ({"code_verifier": "w" * 43}, {}, "the parameter code_verifier does not go with the code challenge (/pkce)"),
        ({"redirect_uri": None}, {}, "the parameter redirect_uri is missing (as RFC 6749 has it)"),
        ({}, {"headers": {"x-version": "3"}}, "the header x-version has another value (/token/headers/X-Version)"),
        ({}, {"headers": {"x-more": "1"}}, f"the header x-more is sent, {UNASKED} (/token/headers/x-more)"),
        ({}, {"headers": {"authorization": BASIC}},
         f"the header authorization is sent, {UNASKED} (/token/headers/authorization)"),
        ({}, {"headers": {"content-type": "text/plain"}},
         "the body is of type text/plain and should be application/x-www-form-urlencoded (/token/body)"),
        ({}, {"method": "PUT"}, "the method is PUT and should be POST (/token/method)"),
        ({}, {"url": f"{TOKEN}?v=2"},
         "the address has v in its query, and should have its own query alone (/token/body)"),
    ],
)  # fmt: skip
def test_what_a_token_request_has_otherwise_is_named(
    parameters: dict[str, str | None], sent: dict[str, Any], difference: str
) -> None:
    twin = twin_of()
    assert send(twin, form(code_of(twin), **parameters), **sent).status == 200  # `fails_where`: errors come with 200
    assert told(twin) == [f"token request: {difference}"]
    assert twin.access_token == ""


def test_a_code_works_once_and_nothing_is_served_where_the_profile_has_nothing() -> None:
    twin = twin_of()
    code = code_of(twin)
    assert send(twin, form(code)).body["ok"] is True
    assert send(twin, form(code)).body["ok"] is False
    assert send(twin, {}, "https://eu.p.example/elsewhere").status == 404
    assert "the parameter code has another value" in told(twin)[0]
    assert (
        told(twin)[-1]
        == "unknown request: POST https://eu.p.example/elsewhere was asked, where the profile has nothing (/endpoints)"
    )


def test_a_body_in_json_has_numbers_and_truth_values_as_such() -> None:
    said = {"body": "json", "parameters": {"expires": 1, "forever": True}, "headers": {"X-Version": "2"}}
    twin = twin_of(token=said)
    parameters = {**form(code_of(twin), audience=None), "expires": 1, "forever": True}
    as_json = {"content-type": "application/json"}
    assert send(twin, {}, body=json.dumps(parameters).encode(), headers=as_json).body["ok"] is True
    other = twin_of(token=said)
    parameters |= {"code": code_of(other), "expires": "1"}
    assert send(other, {}, body=json.dumps(parameters).encode(), headers=as_json).body["ok"] is False
    assert told(other) == ["token request: the parameter expires is '1' and should be 1 (/token/parameters/expires)"]


def test_values_that_are_not_to_be_encoded_are_read_as_they_are() -> None:
    twin = twin_of(authorization={"unencoded": ["scope"]}, scopes={"separator": "+"}, pkce="off")
    base = (
        f"{AUTHORIZE}?v=2&response_type=code&client_id=the-id&redirect_uri=https%3A%2F%2Fk.example%2Fcb&state=12345678"
    )
    assert twin.open_in_browser(f"{base}&scope=a+b")
    assert twin.open_in_browser(f"{base}&scope=a%20b") == ""
    assert told(twin) == ["authorization request: the parameter scope is 'a b' and should be 'a+b' (/scopes)"]


@pytest.mark.parametrize(
    ("method", "header", "named"),
    [
        ("client_secret_basic", BASIC, {}),
        ("client_secret_basic_raw", BASIC, {}),
        ("none", None, {"client_id": "the-id"}),
        ("client_secret_post", None, {"client_id": "the-id", "client_secret": "the-secret"}),
    ],
)
def test_a_client_authenticates_in_the_one_way_of_the_profile(
    method: str, header: str | None, named: dict[str, str]
) -> None:
    twin = twin_of(client_authentication={"method": method})
    plain = form(code_of(twin), client_id=None, client_secret=None)
    assert send(twin, {**plain, **named}, headers={"authorization": header}).body["ok"] is True
    for wrong_header, more in ((BASIC, {"client_id": "the-id", "client_secret": "the-secret"}), (None, {})):
        twin.differences.clear()
        plain["code"] = code_of(twin)
        assert send(twin, {**plain, **more}, headers={"authorization": wrong_header}).body["ok"] is False
        assert told(twin)


def test_secrets_of_requests_are_not_shown() -> None:
    twin = twin_of()
    code = code_of(twin)
    send(twin, form(code, surprise="the-secret"))
    shown = json.dumps(twin.requests)
    assert "the-secret" not in shown
    assert code not in shown
    assert VERIFIER not in shown
    assert twin.requests[-1]["parameters"]["audience"] == "eu"
