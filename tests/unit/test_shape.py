"""What is said of a value of the wrong type or form: in JSON's words, and never the value itself."""

from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from msgspec import UNSET, Meta, Struct, UnsetType

from keyrack.api.core.jsonapi import Linkage
from keyrack.api.oauth_clients import ClientAuth
from keyrack.errors import Problem
from keyrack.model.tenancy import WorkspaceType
from keyrack.validation.check import misshapen
from keyrack.validation.fields import Label, PlaceName, Slug, Text
from keyrack.validation.json_types import json_type, wrong_type

WRONG = "canary-7b1f"


@pytest.mark.parametrize(
    "expected",
    [
        WorkspaceType,
        WorkspaceType | UnsetType,
        WorkspaceType | None,
        Literal["full", "limited"],
        Annotated[Literal["full", "limited"], Meta(description="Which kind it is.")] | UnsetType | None,
    ],
)
def test_a_wrong_choice_is_told_by_what_is_allowed(expected: Any) -> None:
    assert misshapen(WRONG, expected, "/data/type") == [Problem("must be one of full, limited", "/data/type")]
    assert misshapen("full", expected) == []


def test_a_member_with_a_wrong_choice_is_pointed_to() -> None:
    class Workspace(Struct):
        type: WorkspaceType = WorkspaceType.full

    assert misshapen({"type": WRONG}, Workspace, "/data") == [Problem("must be one of full, limited", "/data/type")]


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("x", "a string"), (1, "a number"), (1.5, "a number"), (True, "true or false"), (None, "null"),
        ([], "an array"), ({}, "an object"),
    ],
)  # fmt: skip
def test_types_have_the_names_of_json(value: object, name: str) -> None:
    assert json_type(value) == name
    assert wrong_type("an object or null", value).endswith(f", not {name}") is (value is not None and value != {})


# fmt: off
WRONG_VALUES: list[tuple[Any, Any, str]] = [
    (str, 5,                                    "must be a string, not a number"),
    (Text | UnsetType, None,                    "must be a string, not null"),
    (Text | UnsetType | None, [],               "must be a string or null, not an array"),
    (PlaceName, {},                             "must be a string, not an object"),
    (PlaceName, "x",                            "must be 3 to 40 letters, digits, spaces, - or _"),
    (Slug, "x" * 256,                           "must have at most 255 characters"),
    (Text, "",                                  "must have at least 1 character"),
    (Label, " ",                                "must not be blank"),
    (bool, "true",                              "must be true or false, not a string"),
    (int, True,                                 "must be a number, not true or false"),
    (int, 1.5,                                  "must be a whole number"),
    (Annotated[int, Meta(ge=1, le=9)], 0,       "must be at least 1"),
    (Annotated[int, Meta(ge=1, le=9)], 10,      "must be at most 9"),
    (dict[str, Any], [],                        "must be an object, not an array"),
    (Annotated[list[str], Meta(min_length=1)], [], "must have at least 1 item"),
    (Annotated[list[str], Meta(min_length=1)] | UnsetType, "a", "must be an array, not a string"),
    (Annotated[datetime, Meta(tz=True, description="a time")] | None, 5, "must be a string or null, not a number"),
    (Annotated[datetime, Meta(tz=True, description="a time")] | None, "soon", "must be a time"),
    (Linkage[str], "a",                         "must be an object, not a string"),
    (ClientAuth, "jwt",                         "must be one of post, basic, basic_raw, none"),
    (str | int, [],                             "must be a string or a number, not an array"),
]
# fmt: on


@pytest.mark.parametrize(("expected", "value", "told"), WRONG_VALUES)
def test_what_is_wrong_is_said_without_a_word_of_python(expected: Any, value: Any, told: str) -> None:
    assert misshapen(value, expected, "/at") == [Problem(told, "/at")]


def test_what_an_object_has_wrong_inside_is_named() -> None:
    assert misshapen({"a": True, "b/c": "yes"}, dict[str, bool], "/flags") == [
        Problem("b/c must be true or false, not a string", "/flags")
    ]
    assert misshapen(["a", 5], Annotated[list[str], Meta(min_length=1)] | UnsetType, "/roles") == [
        Problem("must be a string, not a number", "/roles/1")
    ]


def test_a_missing_object_is_asked_for_with_what_it_must_have() -> None:
    class Link(Struct):
        id: str
        type: Literal["team"]

    class Relationships(Struct):
        team: Linkage[Link]
        other: Linkage[Link] | UnsetType = UNSET

    class Data(Struct):
        relationships: Relationships

    needed = "relationships is required, with team.data.id, team.data.type"
    assert misshapen({}, Data, "/data") == [Problem(needed, "/data/relationships")]
    needed = "team is required, with data.id, data.type"
    assert misshapen({"relationships": {}}, Data, "/data") == [Problem(needed, "/data/relationships/team")]
