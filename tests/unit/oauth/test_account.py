"""Whose account it is, from claims, userinfo and token responses (decision 33)."""

from typing import Any

import pytest

from keyrack.crypto.secret import Secret
from keyrack.model.secrets import ProviderAccount
from keyrack.oauth.account import AccountSource, account_of

NOTHING = AccountSource()


@pytest.mark.parametrize(
    ("claims", "userinfo", "expected"),
    [
        ({}, None, (None, None)),
        ({"sub": "1"}, None, (None, "1")),
        ({"sub": "1", "email": "a@b.example"}, {"sub": "1", "email": "other"}, ("a@b.example", "1")),
        ({"sub": "1"}, {"sub": "1", "name": "Nora"}, ("Nora", "1")),
        ({"sub": "1"}, {"sub": "2", "name": "Somebody else"}, (None, "1")),  # OpenID Connect Core 5.3.2
        ({}, {"id": 42, "login": "nora"}, ("nora", "42")),
        ({}, {"id": True, "login": ["x"], "name": "\u202e \x07N\n  ora"}, ("N ora", None)),
        ({}, {"email": " "}, (None, None)),
    ],
)
def test_what_the_standards_call_it(claims: dict[str, Any], userinfo: Any, expected: tuple[Any, Any]) -> None:
    assert account_of(NOTHING, response={}, claims=claims, userinfo=userinfo) == ProviderAccount(*expected)


def test_paths_are_tried_in_their_order_in_the_response_first() -> None:
    source = AccountSource(None, ("a.b", "items.1.name", "name"), ("deep.er.id",))
    response = {"items": [{"name": "no"}, {"name": "second"}], "name": "third"}
    found = account_of(source, response=response, claims={"email": "e"}, userinfo={"deep": {"er": {"id": 7}}})
    assert found == ProviderAccount("second", "7")
    assert account_of(source, response={"items": []}, claims={"email": "e"}) == ProviderAccount("e", None)
    assert account_of(AccountSource(None, ("items.9999999.name",)), response=response, claims={}).label is None


def test_tokens_are_never_shown() -> None:
    source = AccountSource(None, ("user.access_token", "user.ClientSecret", "user.note"))
    response = {"user": {"access_token": "token-1", "ClientSecret": "s", "note": "my token-1"}}
    assert account_of(source, response=response, claims={}, sent=[Secret("token-1")]).label == "my ***"
