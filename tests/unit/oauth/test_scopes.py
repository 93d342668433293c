"""Scopes as sets: what an answer grants, and what of the request is missing in it."""

from typing import Any

import pytest

from keyrack.oauth.scopes import granted_scope, missing_scopes, split_scope


def test_scopes_are_parted_by_spaces_or_commas_and_named_once() -> None:
    assert split_scope(" a b,c\ta ,, d\n") == ("a", "b", "c", "d")
    assert split_scope("") == ()


@pytest.mark.parametrize(
    ("members", "scope"),
    [({"scope": "a, b"}, "a, b"), ({"scopes": ["a", " b ", 7, "", " "]}, "a b"), ({"granted_scopes": "a"}, "a"),
     ({"scope": "", "scopes": "b"}, "b"), ({"scope": "a", "scopes": "b"}, "a"),
     ({"scope": {"a": 1}, "scopes": []}, None), ({"scope": " , "}, None), ({}, None),
     ({"scopes": "a", "granted_scopes": "b"}, "a")],
)  # fmt: skip
def test_the_first_member_that_can_be_read_says_what_was_granted(members: dict[str, Any], scope: str | None) -> None:
    assert granted_scope(members) == scope


def test_what_is_missing_is_told_in_the_order_of_the_request() -> None:
    assert missing_scopes(["c", "a", "b"], "a") == ("c", "b")
    assert missing_scopes(["a", "b"], "b,a,x") == ()


@pytest.mark.parametrize(
    ("asked", "granted"),
    [("openid", "x"), ("offline_access", "x"), ("offline", "x"), ("https://m.example/.default", "x"), (".default", "x"),
     ("User.Read", "user.read"), ("https://graph.microsoft.com/Mail.Read", "mail.read"),
     ("mail.read", "https://graph.microsoft.com/Mail.Read"), ("email", "https://www.googleapis.com/auth/userinfo.email"),
     ("https://www.googleapis.com/auth/userinfo.profile", "profile"), ("read_products", "write_products"),
     ("user:email", "user"), ("public_repo", "repo"), ("read:org", "write:org"), ("read:org", "admin:org")],
)  # fmt: skip
def test_what_a_provider_only_writes_otherwise_is_granted(asked: str, granted: str) -> None:
    assert missing_scopes([asked], granted) == ()


@pytest.mark.parametrize(
    ("asked", "granted"),
    [("open", "x"), ("https://m.example/default", "x"), ("write_products", "read_products"), ("user", "user:email"),
     ("repo", "public_repo"), ("admin:org", "write:org"), ("email", "profile"), ("read_products", "write_orders"),
     ("mail.read", "https://other.example/Mail.Read"), ("read_products", "products")],
)  # fmt: skip
def test_what_is_not_the_same_is_missing(asked: str, granted: str) -> None:
    assert missing_scopes([asked], granted) == (asked,)
