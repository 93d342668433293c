"""What a request wants is validated when a use case asks for it, and not before."""

import msgspec
import pytest

from keyrack.api.core.body import UnvalidatedBody
from keyrack.errors import Problem, ValidationFailed


class NamedBody(msgspec.Struct):
    name: str


def test_a_body_is_not_looked_at_until_its_value_is_asked_for() -> None:
    looked_at: list[str] = []

    def make(body: NamedBody) -> str:
        looked_at.append(body.name)
        return body.name.upper()

    wanted = UnvalidatedBody[NamedBody]({"name": "a"}, NamedBody).then(make)
    assert looked_at == []
    assert wanted.validated() == "A"
    assert looked_at == ["a"]


def test_what_is_wrong_with_a_body_is_told_to_who_asks_for_its_value() -> None:
    def make(body: NamedBody) -> str:
        raise AssertionError(body)

    wanted = UnvalidatedBody[NamedBody]({"name": 1}, NamedBody).then(make)
    with pytest.raises(ValidationFailed) as raised:
        wanted.validated()
    assert raised.value.problems == (Problem("must be a string, not a number", "/name"),)


def test_the_values_own_rules_are_judged_with_it() -> None:
    def make(body: NamedBody) -> str:
        raise ValidationFailed(Problem("is taken", f"/{body.name}"))

    with pytest.raises(ValidationFailed, match="is taken"):
        UnvalidatedBody[NamedBody]({"name": "a"}, NamedBody).then(make).validated()
