"""Parses JSON strictly: what two readers could read differently, or no database keeps, is refused."""

import json
from typing import Any, NoReturn

from keyrack.errors import BadRequest

MAX_DEPTH = 64
"""How many objects and arrays of a request's body may stand in each other."""
_MAX_NAME = 60


def parse_json(content: bytes, what: str = "the body", *, max_depth: int = MAX_DEPTH) -> Any:
    """Parse JSON as strictly as RFC 8259 suggests for interoperability.

    Args:
        content: the text.
        what: what it is, for a person.
        max_depth: how deep it may be nested.

    Raises:
        BadRequest: not UTF-8, not JSON, nested too deeply, a member twice in one object, NaN or an infinite number, or
            a text with NUL or a lone surrogate.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise BadRequest(f"{what} has the member {_shown(_twice(pairs))} twice in one object")
        return found

    def refuse_constant(name: str) -> NoReturn:
        raise BadRequest(f"{what} has {name}, which JSON does not allow as a number")

    try:
        text = content.decode("utf-8")
        parsed = json.loads(text, object_pairs_hook=unique, parse_constant=refuse_constant)
    except UnicodeDecodeError as error:
        raise BadRequest(f"{what} is not UTF-8 (byte {error.start})") from None
    except RecursionError:
        raise BadRequest(_too_deep(what, max_depth)) from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadRequest(f"{what} is not JSON: {error.msg} at {where}") from None
    except ValueError:  # a number with more digits than Python converts
        raise BadRequest(f"{what} has a number that is too long") from None
    _refuse_unstorable(parsed, what, max_depth)
    return parsed


def refuse_unstorable_text(text: str, where: str, *, parameter: str | None = None) -> None:
    """Refuse what no database keeps and no log prints.

    Args:
        text: what was sent.
        where: where it was found, for a person.
        parameter: name of the query parameter it was found in, if it was in one.

    Raises:
        BadRequest: the text has a NUL or a lone surrogate.
    """
    if "\0" in text:
        raise BadRequest(f"{where} contains a NUL character", parameter=parameter)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequest(f"{where} contains a lone surrogate", parameter=parameter) from None


def _refuse_unstorable(value: Any, what: str, max_depth: int, depth: int = 0) -> None:
    if depth > max_depth:
        raise BadRequest(_too_deep(what, max_depth))
    if isinstance(value, str):
        refuse_unstorable_text(value, what)
    elif isinstance(value, float):
        if value in (float("inf"), float("-inf")):
            raise BadRequest(f"{what} has a number that is too large")
    elif isinstance(value, dict):
        for name, member in value.items():
            refuse_unstorable_text(name, what)
            _refuse_unstorable(member, what, max_depth, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _refuse_unstorable(item, what, max_depth, depth + 1)


def _twice(pairs: list[tuple[str, Any]]) -> str:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            return name
        seen.add(name)
    raise LookupError("no member stands twice")


def _too_deep(what: str, max_depth: int) -> str:
    return f"{what} is nested deeper than {max_depth} levels"


def _shown(name: str) -> str:
    """Return a member's name as JSON writes it: in ASCII, and not longer than a person reads."""
    return json.dumps(name[:_MAX_NAME])
