"""What a profile wants known of a connection is found in answers and tokens, whatever these hold."""

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyrack.crypto.secret import Secret
from keyrack.errors import ValidationFailed
from keyrack.oauth.after_connecting import call_request, is_like, told_by_call, told_by_token
from keyrack.oauth.profile import ClientProfile
from keyrack.oauth.profiles.call_parts import Call, Taken
from keyrack.oauth.profiles.kinds import BodyFormat, TokenUse
from keyrack.oauth.profiles.reading import profile_of
from keyrack.oauth.wire import RawResponse

SITES = [
    {"id": "1", "url": "https://first.p.example", "name": "First", "main": False},
    {"id": 2, "url": "https://Acme.p.example", "name": "Acme Ltd", "main": True},
]
CLIENT = ClientProfile("c", Secret("s"), "https://p.example/a", "https://p.example/t")


def answer(document: Any, status: int = 200) -> RawResponse:
    return RawResponse(status, {"content-type": "application/json"}, json.dumps(document).encode())


def told(
    call: dict[str, Any], document: Any, status: int = 200, values: dict[str, str] | None = None
) -> dict[str, str]:
    return told_by_call(Call(endpoint="https://p.example/x", **call), answer(document, status), values or {})


@pytest.mark.parametrize(
    ("call", "document", "values", "found"),
    [
        ({"learned": {"id": "owner.id"}}, {"owner": {"id": 7}}, {}, {"id": "7"}),
        ({"learned": {"id": "id"}}, SITES, {}, {"id": "1"}),
        ({"learned": {"id": "id"}}, [], {}, {}),
        ({"learned": {"id": "id", "no": "nothing"}, "entries": "a.b"}, {"a": {"b": SITES}}, {}, {"id": "1"}),
        ({"learned": {"id": "id"}, "choose": ({"main": "true"},)}, SITES, {}, {"id": "2"}),
        ({"learned": {"id": "id"}, "choose": ({"main": "maybe"},)}, SITES, {}, {}),
        ({"learned": {"id": "id"}, "choose": ({"url": "*://{site}.*"}, {})}, SITES, {"site": "acme"}, {"id": "2"}),
        ({"learned": {"id": "id"}, "choose": ({"url": "*://{site}.*"}, {})}, SITES, {}, {"id": "1"}),
        ({"learned": {"id": "id"}, "choose": ({"name": "*{site}*"}, {})}, SITES, {"site": "ltd"}, {"id": "2"}),
        ({"learned": {"id": "id"}, "only": True}, SITES, {}, {}),
        ({"learned": {"id": "id"}, "only": True}, SITES[:1], {}, {"id": "1"}),
        ({"learned": {"id": "id"}, "only": True, "choose": ({"id": "2"},)}, SITES, {}, {"id": "2"}),
        ({"learned": {"name": "rows.0.1"}}, {"rows": [["a", "b"]]}, {}, {"name": "b"}),
        ({"learned": {"all": "list"}}, {"list": [{"é": 1}]}, {}, {"all": '[{"é":1}]'}),
        ({"learned": {"all": "list"}}, {"list": ["x" * 5000]}, {}, {}),
        (
            {"learned": {"id": Taken(path="uri", pattern="([^/]+)$")}},
            {"uri": "https://p.example/o/77"},
            {},
            {"id": "77"},
        ),
        ({"learned": {"id": Taken(path="uri", pattern="[0-9]+")}}, {"uri": "o/77/1"}, {}, {"id": "77"}),
        ({"learned": {"id": Taken(path="uri", pattern="[0-9]+")}}, {"uri": "none"}, {}, {}),
        ({"learned": {"id": Taken(path="id", pattern="x", in_base64=True)}}, {"id": "*no base64*"}, {}, {}),
        ({"answered": "has"}, {}, {}, {"has": "true"}),
    ],
)
def test_what_is_kept_of_an_answer(
    call: dict[str, Any], document: Any, values: dict[str, str], found: dict[str, str]
) -> None:
    assert told(call, document, values=values) == found


def test_a_part_of_what_is_in_base64_is_kept_in_base64() -> None:
    taken = Taken(path="id", pattern=r"/(\d+)$", in_base64=True)
    found = told({"learned": {"id": taken}}, {"id": b64encode(b"gid://p/Account/12").decode()})
    assert b64decode(found["id"]) == b"12"


def test_a_refusal_tells_nothing_but_that_it_is_one() -> None:
    assert told({"learned": {"id": "id"}, "answered": "may"}, SITES, 403) == {"may": "false"}


def test_a_pattern_that_takes_for_ever_finds_nothing() -> None:
    taken = Taken(path="id", pattern=r"^(a|a)*b$")
    assert told({"learned": {"id": taken}}, {"id": "a" * 400}) == {}


@pytest.mark.parametrize(
    ("text", "wanted", "like"),
    [
        ("a", "A", True), ("a", "b", False), ("abc", "a*", True), ("abc", "*c", True), ("abc", "a*c", True),
        ("abc", "*b*", True), ("abc", "*x*", False), ("ab", "ab*b", False), ("", "*", True), ("a.b", "a?b", False),
        ("abcabc", "a*b*c", True), ("abc", "a*bc*c", False),
    ],
)  # fmt: skip
def test_a_star_stands_for_anything(text: str, wanted: str, like: bool) -> None:
    assert is_like(text, wanted) is like


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_whatever_comes_back_nothing_breaks(document: Any) -> None:
    call = {"entries": "a", "choose": ({"b": "*x"}, {}), "learned": {"c": Taken(path="0", pattern="(x)?"), "d": ""}}
    assert set(told(call, document)) <= {"c", "d"}


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, b'{"id": 1'])
def test_what_is_no_json_tells_nothing(body: bytes) -> None:
    call = Call(endpoint="https://p.example/x", learned={"id": "id"})
    assert told_by_call(call, RawResponse(200, {}, body), {}) == {}


def test_the_request_says_what_the_profile_says() -> None:
    call = Call(
        endpoint="https://p.example/x",
        method="POST",
        body=BodyFormat.JSON,
        parameters={"query": "{ me }", "site": "{site}", "n": 1},
        headers={"X-Version": "2"},
    )
    made = call_request(call, "https://p.example/x", CLIENT, Secret("t0ken"), {"site": "acme"})
    assert (made.url, made.method, made.body) == ("https://p.example/x", "POST", "json")
    assert (made.form, made.literals) == ((("query", "{ me }"), ("site", "acme"), ("n", "1")), (("n", 1),))
    assert made.headers == (("x-version", "2"),)
    assert made.authorization is not None
    assert made.authorization.reveal() == "Bearer t0ken"
    basic = call_request(
        Call(endpoint="https://p.example/x", token_as=TokenUse.BASIC), "https://p.example/x", CLIENT, Secret("t"), {}
    )
    assert basic.authorization is not None
    assert basic.authorization.reveal() == f"Basic {b64encode(b't:').decode()}"
    assert "t0ken" not in repr(made)


def test_claims_of_a_token_are_kept_if_it_has_any() -> None:
    claims = urlsafe_b64encode(json.dumps({"tid": "acme", "a": {"b": 1}}).encode()).decode().rstrip("=")
    head = urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    token = Secret(f"{head}.{claims}.c2ln")
    assert told_by_token(token, {"tenant": "tid", "b": "a.b", "no": "x"}) == {"tenant": "acme", "b": "1"}
    assert told_by_token(Secret("opaque"), {"tenant": "tid"}) == {}


ENDPOINTS = {"authorization": "https://p.example/a", "token": "https://p.example/t"}


@pytest.mark.parametrize(
    ("call", "pointer"),
    [
        ({"endpoint": "http://p.example/x"}, "/endpoint"),
        ({"endpoint": "https://p.example/{nobody}"}, "/endpoint"),
        ({"endpoint": "https://p.example/{client_secret}"}, "/endpoint"),
        ({"method": "DELETE"}, "/method"),
        ({"parameters": {"x": "{client_secret}"}}, "/parameters/x"),
        ({"headers": {"Authorization": "Bearer x"}}, "/headers/Authorization"),
        ({"headers": {"Host": "x"}}, "/headers/Host"),
        ({"learned": {"access_token": "x"}}, "/learned/access_token"),
        ({"answered": "a b"}, "/answered/a b"),
        ({"learned": {"x": {"path": "y", "pattern": "("}}}, "/learned/x/pattern"),
        ({"choose": [{"a": "{nobody}"}]}, "/choose/0/a"),
        ({"choose": [{}] * 6}, "/choose"),
    ],
)
def test_what_a_call_cannot_say(call: dict[str, Any], pointer: str) -> None:
    said = {"endpoint": "https://p.example/x", **call}
    with pytest.raises(ValidationFailed) as wrong:
        profile_of({"name": "p", "endpoints": ENDPOINTS, "after_connecting": [said]})
    assert f"/after_connecting/0{pointer}" in {each.pointer for each in wrong.value.problems}


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({"refresh": {"parameters": {"x": "{pin}"}}}, "/refresh/parameters/x"),
        ({"token": {"parameters": {"x": "{pin}"}}}, "/token/parameters/x"),
        ({"grant": "client_credentials"}, "/inputs/pin/once"),
    ],
)
def test_what_is_for_connecting_only_is_needed_for_nothing_else(more: dict[str, Any], pointer: str) -> None:
    said = {"name": "p", "endpoints": ENDPOINTS, "inputs": {"pin": {"once": True}}}
    profile_of({**said, "authorization": {"parameters": {"x": "{pin}"}}})
    profile_of({**said, "token": {"parameters": {"x": "{pin}"}}, "refresh": {}})
    with pytest.raises(ValidationFailed) as wrong:
        profile_of({**said, **more})
    assert pointer in {each.pointer for each in wrong.value.problems}
