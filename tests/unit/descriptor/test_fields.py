"""Contract section 19.3: values of credential fields by view class."""

from typing import Any

import pytest

from keyrack.descriptor.fields import clean_fields
from keyrack.descriptor.model import Descriptor
from keyrack.descriptor.parse import parse_descriptor
from keyrack.errors import ValidationFailed
from support.components import load_descriptor

PREFIX = "/data/attributes/keys"


def warehouse() -> Descriptor:
    return parse_descriptor(load_descriptor("warehouse-array-model"))


def problems(descriptor: Descriptor, values: dict[str, Any]) -> dict[str | None, str]:
    with pytest.raises(ValidationFailed) as caught:
        clean_fields(descriptor, values, PREFIX)
    return {problem.pointer: problem.detail for problem in caught.value.problems}


def test_values_take_the_form_they_are_stored_in() -> None:
    values = {
        "site": 7,
        "zones": ["dry", "cold"],
        "audit": "on",
        "user": "ada",
        "password": "pw",
        "shelf": 12.5,
        "depot": "any",
    }
    assert clean_fields(warehouse(), values, PREFIX) == values | {"site": "7", "audit": True}


@pytest.mark.parametrize(("given", "stored"), [(True, True), (False, False), ("on", True), ("", False)])
def test_check_boxes_become_booleans(given: object, *, stored: bool) -> None:
    assert clean_fields(warehouse(), {"audit": given}, PREFIX) == {"audit": stored}


def test_null_is_absent_and_foreign_members_are_kept() -> None:
    values = {"site": None, "audit": None, "lastSeen": {"by": ["component"]}, "x": None}
    assert clean_fields(warehouse(), values, PREFIX) == {"lastSeen": {"by": ["component"]}}


def test_an_unticked_choice_is_empty() -> None:
    assert clean_fields(warehouse(), {"site": ""}, PREFIX) == {"site": ""}


def test_all_problems_are_named_and_no_value_is() -> None:
    found = problems(
        warehouse(),
        {
            "site": "s3cr3t-site",
            "zones": ["cold", "s3cr3t-zone", 5.5, True],
            "audit": "yes s3cr3t",
            "user": {"s3cr3t": 1},
            "password": ["s3cr3t"],
            "shelf": True,
            "depot": [],
        },
    )
    assert found == {
        f"{PREFIX}/site": "is not one of the choices: north, south, 7",
        f"{PREFIX}/zones/1": "is not one of the choices: cold, dry",
        f"{PREFIX}/zones/2": "is not one of the choices: cold, dry",
        f"{PREFIX}/zones/3": "must be a string, not true or false",
        f"{PREFIX}/audit": 'must be true, false or "on"',
        f"{PREFIX}/user": "must be a string, not an object",
        f"{PREFIX}/password": "must be a string, not an array",
        f"{PREFIX}/shelf": "must be a string, not true or false",
        f"{PREFIX}/depot": "must be a string, not an array",
    }
    assert problems(warehouse(), {"zones": "cold"}) == {f"{PREFIX}/zones": "must be an array, not a string"}


@pytest.mark.parametrize("value", ["evil.com/", "Login", "login ", "login\u200b", "Production", "{{x}}"])
def test_a_select_takes_keys_of_its_model_only(value: str) -> None:
    crm = parse_descriptor(load_descriptor("cloud-crm"))
    assert clean_fields(crm, {"prodEnv": "login"}, PREFIX) == {"prodEnv": "login"}
    assert problems(crm, {"prodEnv": value}) == {f"{PREFIX}/prodEnv": "is not one of the choices: login, test"}


def test_a_select_with_an_empty_model_takes_nothing() -> None:
    descriptor = parse_descriptor({"credentials": {"fields": {"s": {"viewClass": "SelectView", "model": {}}}}})
    assert problems(descriptor, {"s": "x"}) == {f"{PREFIX}/s": "the component lists no choices here"}


def test_of_many_choices_some_are_named() -> None:
    model = [f"{'c' * 200}{number}" for number in range(30)]
    descriptor = parse_descriptor({"credentials": {"fields": {"s": {"viewClass": "SelectView", "model": model}}}})
    (told,) = problems(descriptor, {"s": "x"}).values()
    assert told == f"is not one of the choices: {', '.join(['c' * 100] * 20)}, …"


@pytest.mark.parametrize("view_class", ["OAuthFieldView", "WebhookAuthView"])
def test_token_and_webhook_fields_hold_objects(view_class: str) -> None:
    descriptor = parse_descriptor({"credentials": {"fields": {"auth": {"viewClass": view_class}}}})
    assert clean_fields(descriptor, {"auth": {"access_token": "x"}}, PREFIX) == {"auth": {"access_token": "x"}}
    assert problems(descriptor, {"auth": "x"}).keys() == {f"{PREFIX}/auth"}


def test_an_http_field_of_every_type() -> None:
    rest = parse_descriptor(load_descriptor("rest-caller"))
    for value in (
        {"type": "No Auth"},
        {"type": "Basic Auth", "basic": {"username": "u", "password": "p"}},
        {"type": "API Key Auth", "apiKey": {"headerName": "X-Key", "headerValue": "k"}},
        {
            "type": "OAuth2",
            "oauth2": {
                "clientId": "c",
                "clientSecret": None,
                "authUri": "https://as.example/a",
                "tokenUri": "https://as.example/t",
                "scopes": ["a"],
                "additionalProperties": {"prompt": "consent"},
                "keys": {},
                "more": [1],
            },
        },
    ):
        assert clean_fields(rest, {"auth": value}, PREFIX) == {"auth": value}


def test_an_http_field_of_the_wrong_shape() -> None:
    rest = parse_descriptor(load_descriptor("rest-caller"))
    value = {
        "type": "OAuth3",
        "basic": [],
        "apiKey": {"headerName": 1},
        "oauth2": {"clientId": 5, "scopes": [1], "additionalProperties": [], "keys": "k"},
    }
    odd = {"type": "OAuth2", "oauth2": {"additionalProperties": {"prompt": ["a", "b"], "odd": {"a": 1}}}}
    assert problems(rest, {"auth": odd}).keys() == {f"{PREFIX}/auth/oauth2/additionalProperties/odd"}
    at = f"{PREFIX}/auth"
    assert problems(rest, {"auth": value}).keys() == {
        f"{at}/type",
        f"{at}/basic",
        f"{at}/apiKey/headerName",
        f"{at}/oauth2/clientId",
        f"{at}/oauth2/scopes",
        f"{at}/oauth2/additionalProperties",
        f"{at}/oauth2/keys",
    }
    assert problems(rest, {"auth": "x"}).keys() == {at}
    assert problems(rest, {"auth": {"type": ["OAuth2"]}}).keys() == {f"{at}/type"}


@pytest.mark.parametrize("bad", ["a\0", "\ud800", float("nan"), {"deep": ["\ud800"]}])
def test_what_cannot_be_stored_is_refused_in_any_member(bad: object) -> None:
    assert all((pointer or "").startswith(f"{PREFIX}/more") for pointer in problems(warehouse(), {"more": bad}))
    assert problems(warehouse(), {"user": bad})


def test_hostile_names_and_numbers() -> None:
    assert problems(warehouse(), {"\ud800": "x"}).keys() == {PREFIX}
    assert problems(warehouse(), {"user": 10**5000}).keys() == {f"{PREFIX}/user"}
    assert len(problems(warehouse(), {f"x{index}": "\0" for index in range(1000)})) == 100
