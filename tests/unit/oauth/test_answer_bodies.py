"""The members of an answer: whole, broken off, followed by something else, too deep, too many, and in a form."""

import json
from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.errors import ProviderError, ProviderFailure, ProviderUnavailable
from keyrack.oauth.body import AnswerMembers, NotUnderstood, parse_answer
from keyrack.oauth.token_response import process_token_response
from keyrack.oauth.wire import AnswerFault, RawResponse


def read(body: bytes, *, cut: bool = False, surplus: bytes = b"") -> AnswerMembers:
    return parse_answer(RawResponse(200, {}, body, cut=cut, surplus=surplus))


def nested(depth: int, inside: Any = 1, *, lists: bool = False) -> Any:
    for _ in range(depth):
        inside = [inside] if lists else {"a": inside}
    return inside


def depth_of(value: Any) -> int:
    depth = 0
    while isinstance(value, dict | list):
        value, depth = value["a"] if isinstance(value, dict) else value[0], depth + 1
    return depth


def test_json_says_itself_where_it_ends() -> None:
    assert read(b'{"a": 1} trailing', cut=True) == AnswerMembers({"a": 1}, cut=False)
    assert read(b'{"a": 1}') == AnswerMembers({"a": 1}, cut=False)


@pytest.mark.parametrize(
    ("body", "members"),
    [(b'{"a": "x", "b": "y', {"a": "x"}), (b'{"a": "x"', {"a": "x"}), (b'{"a": "x", "n": 12', {"a": "x"}),
     (b'{"n": 12, ', {"n": 12}), (b'{"n": 12 ', {}), (b'{"a": "x", "b": [1, 2', {"a": "x"}), (b'{"a": true', {}),
     (b'{ "a" : "x" ,\n\t"b" : "y"\r', {"a": "x", "b": "y"}), (b'{"a": "x", b', {"a": "x"}),
     (b'{"a": "x"; "b": 1', {"a": "x"}),
     (b'{"a": null, "c"', {"a": None}), (b'{"a": "x", "b"; 1}', {"a": "x"})],
)  # fmt: skip
def test_of_what_breaks_off_the_members_before_are_read(body: bytes, members: dict[str, Any]) -> None:
    if members:
        assert read(body) == AnswerMembers(members, cut=True)
    else:
        with pytest.raises(NotUnderstood):
            read(body)


def test_what_came_behind_the_body_counts_only_where_the_body_broke_off() -> None:
    assert read(b'{"a": "x", "b": "', surplus=b'y"}') == AnswerMembers({"a": "x", "b": "y"}, cut=False)
    assert read(b'{"a": "x"}', surplus=b', "b": "y"}') == AnswerMembers({"a": "x"}, cut=False)
    assert read(b'{"a": "x", "b', surplus=b"") == AnswerMembers({"a": "x"}, cut=True)
    assert read(b'{"a": "x", "b', surplus=b'": "y", "c') == AnswerMembers({"a": "x"}, cut=True)
    with pytest.raises(NotUnderstood):
        read(b"<ht", surplus=b"ml>")
    assert read(b"{", surplus=b'"a": 1}') == AnswerMembers({"a": 1}, cut=False)


@pytest.mark.parametrize("lists", [False, True])
def test_values_are_kept_as_deep_as_32(lists: bool) -> None:
    for depth in (1, 31, 32):
        assert depth_of(read(json.dumps({"m": nested(depth, lists=lists)}).encode()).values["m"]) == depth
    deeper = read(json.dumps({"m": nested(33, lists=lists)}).encode()).values["m"]
    assert depth_of(deeper) == 32
    while isinstance(deeper, dict | list):
        deeper = deeper["a"] if isinstance(deeper, dict) else deeper[0]
    assert deeper is None


def test_of_too_many_values_the_beginning_is_read() -> None:
    many = {"access_token": "x", "list": list(range(6000)), "refresh_token": "y"}
    assert read(json.dumps(many).encode()) == AnswerMembers(many)
    for count, read_of_it, cut in ((5000, 5000, False), (5001, 1000, True)):
        found = read(json.dumps({f"m{number}": "v" for number in range(count)}).encode())
        assert (len(found.values), found.cut) == (read_of_it, cut)


@pytest.mark.parametrize("deep", [b"[" * 2000 + b"]" * 2000, b'[{"":' * 2000 + b'"]}"' + b"}]" * 2000])
def test_what_follows_a_value_that_is_nested_too_deep_is_read(deep: bytes) -> None:
    found = read(b'{"a": "x", "deep": ' + deep + b', "b": "y"}')
    assert (found.values["a"], found.values["b"], found.cut) == ("x", "y", False)


def test_numbers_without_end_are_not_kept() -> None:
    digits = "9" * 400
    found = read(f'{{"a": {digits}, "b": {digits}9, "c": 1.5, "d": 1e999, "e": -Infinity}}'.encode()).values
    assert found == {"a": int(digits), "b": None, "c": 1.5, "d": None, "e": None}


@pytest.mark.parametrize("body", [b"", b"abc", b"[1]", b'"a=1"', b"<a href='?b=c'>", b'{"a=1&b=2'])
def test_anything_else_is_not_understood(body: bytes) -> None:
    with pytest.raises(NotUnderstood):
        read(body)


def test_a_form_is_read_and_its_last_field_only_if_it_is_whole() -> None:
    assert read(b"a=1&b=x+y%26&c=&b=z") == AnswerMembers({"a": "1", "b": "z", "c": ""}, cut=False)
    assert read(b"a=1&b=xy", cut=True) == AnswerMembers({"a": "1"}, cut=True)
    assert read(b"a=%FF") == AnswerMembers({"a": "\ufffd"}, cut=False)
    assert len(read(b"&".join(b"a%d=1" % number for number in range(1000))).values) == 1000
    many = read(b"&".join(b"a%d=1" % number for number in range(1001)))
    assert (list(many.values), many.cut) == ([f"a{number}" for number in range(1000)], True)
    long = read(b"a=1&b=" + b"x" * 64 * 1024)
    assert long == AnswerMembers({"a": "1"}, cut=True)


def test_tokens_of_what_broke_off_count_only_with_a_refresh_token() -> None:
    whole = process_token_response(RawResponse(200, {}, b'{"access_token": "a", "refresh_token": "r", "x', cut=True))
    assert (whole.access_token, whole.refresh_token) == (Secret("a"), Secret("r"))
    for fault, kind in ((AnswerFault.CLOSED, ProviderUnavailable), (None, ProviderError)):
        with pytest.raises(kind) as raised:
            process_token_response(RawResponse(200, {}, b'{"access_token": "a", "x', fault, cut=True))
        told = ProviderFailure(reason="closed", sent=True, received=True, status=200) if fault else raised.value.failure
        assert raised.value.failure == told
        assert str(raised.value).startswith(
            "The authorization server closed the connection before its answer was complete."
            if fault
            else "The authorization server answered without an access token."
        )
    ended = process_token_response(RawResponse(200, {}, b'{"access_token": "a"}', AnswerFault.CLOSED, cut=True))
    assert ended.access_token == Secret("a")
