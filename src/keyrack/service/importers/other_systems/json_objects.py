"""Reads the JSON objects of a file one by one, however large the file is: an array of them, or one after another.

The file may be anybody's. An object that is longer or nested deeper than any that one of the systems writes ends the
reading.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from keyrack.errors import BadRequest
from keyrack.model import Json
from keyrack.service.importers.json_text import JsonText, NotUtf8Error

LONGEST = 1 << 20
"""Characters of one object."""
DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Found:
    """An object of a file, and its place there, counted from 1."""

    number: int
    value: Json


def objects(file: BinaryIO) -> Iterator[Found]:
    """Yield the objects of a file.

    Args:
        file: opened for reading, at its beginning.

    Raises:
        BadRequest: what comes next is no JSON object, or one that is too large or nested too deep; the text says which
            object it is, and nothing of what is in it.
    """
    try:
        yield from _objects(JsonText(file, LONGEST))
    except NotUtf8Error:
        raise BadRequest("the file is not in UTF-8") from None


def _objects(text: JsonText) -> Iterator[Found]:
    in_array, number = text.peek() == "[", 0
    if in_array:
        text.take()
    while True:
        mark = text.peek()
        while mark == "," and number:
            text.take()
            mark = text.peek()
        if in_array and mark == "]":
            text.take()
            if text.peek():
                raise BadRequest(f"something follows the array of {number} objects")
            return
        if not mark:
            if in_array:
                raise BadRequest(f"the file ends after {number} objects in the middle of an array: it was cut off")
            return
        number += 1
        yield Found(number, _one(text, mark, number))


def _one(text: JsonText, mark: str, number: int) -> Json:
    if mark != "{":
        raise BadRequest(f"object {number} of the file is no JSON object")
    try:
        value = text.value()
    except RecursionError:
        raise BadRequest(f"object {number} of the file is nested too deep") from None
    except NotUtf8Error:
        raise
    except ValueError:
        raise BadRequest(f"object {number} of the file is no JSON, or longer than {LONGEST} characters") from None
    if not isinstance(value, dict) or _depth(value) > DEEPEST:
        raise BadRequest(f"object {number} of the file is nested deeper than {DEEPEST} levels")
    return value


def _depth(value: Any) -> int:
    """Return how deep a value is nested, without recursion."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        each, depth = todo.pop()
        deepest = max(deepest, depth)
        if depth <= DEEPEST and isinstance(each, dict | list):
            todo += [(inner, depth + 1) for inner in (each.values() if isinstance(each, dict) else each)]
    return deepest
