"""Forms that people send: their fields, and what was wrong with each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from keyrack.api.core.body import UnvalidatedBody
from keyrack.errors import BadRequest, KeyrackError
from keyrack.model import Json
from keyrack.validation.strict_json import parse_json


class Form(Mapping[str, str]):
    """The fields of a form; a field that was sent more than once is its first value here.

    Args:
        values: all values of each field, in the order in which they were sent.
    """

    def __init__(self, values: Mapping[str, Sequence[str]]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def all(self, name: str) -> Sequence[str]:
        """Return all values of a field, such as the ticked ones of several boxes with one name."""
        return self._values.get(name, ())

    def text(self, name: str) -> str:
        """Return a field without the spaces around it; empty if it was not sent."""
        return self.get(name, "").strip()


def body_of(expected: Any, resource_type: str, attributes: Mapping[str, Any]) -> UnvalidatedBody[Any]:
    """Return a form's values as the body that the API takes for the same, so that the same rules hold.

    Args:
        expected: the type of the body.
        resource_type: as the API calls it.
        attributes: of the resource.
    """
    return UnvalidatedBody({"data": {"type": resource_type, "attributes": dict(attributes)}}, expected)


def json_object(text: str, example: str = "") -> Json:
    """Return the JSON object that was typed into a field, read as strictly as the API reads its bodies.

    Args:
        text: as typed.
        example: what one looks like, for the problem.

    Raises:
        BadRequest: it is none, or one that could be read differently or not be stored.
    """
    wanted = f"must be a JSON object{f' such as {example}' if example else ''}"
    try:
        read = parse_json(text.encode("utf-8", "surrogatepass"), "it")
    except BadRequest as error:
        raise BadRequest(f"{wanted}: {error}") from None
    if not isinstance(read, dict):
        raise BadRequest(wanted)
    return read


def problems_by_field(error: KeyrackError | None, fields: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return what is wrong, by field of the form, and what belongs to none of them.

    Args:
        error: what a use case refused the values of the form with; None: nothing is wrong.
        fields: name of the form's field by the JSON pointer that the use case names, or by its beginning.
    """
    by_field: dict[str, str] = {}
    others: list[str] = []
    for problem in () if error is None else error.problems:
        pointer = problem.pointer or ""
        found = next(
            (name for start, name in fields.items() if pointer == start or pointer.startswith(f"{start}/")), None
        )
        if found is None:
            others.append(problem.detail)
        else:
            by_field[found] = f"{by_field[found]} {problem.detail}" if found in by_field else problem.detail
    return by_field, others
