"""Reads the JSON objects of a file one by one, however large the file is: an array of them, or one after another.

The file may be anybody's. What is held in memory is one object and a piece of what follows; an object that is longer or
nested deeper than any that one of the systems writes ends the reading.
"""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn

from keyrack.errors import BadRequest
from keyrack.model import Json

LONGEST = 1 << 20
"""Characters of one object."""
DEEPEST = 64
_PIECE = 1 << 18
_SPACE = " \t\r\n"


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
    text = _Text(file)
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
            in_array, mark = False, text.peek()
            if mark:
                raise BadRequest(f"something follows the array of {number} objects")
            return
        if not mark:
            if in_array:
                raise BadRequest(f"the file ends after {number} objects in the middle of an array: it was cut off")
            return
        number += 1
        yield Found(number, _one(text, mark, number))


def _one(text: "_Text", mark: str, number: int) -> Json:
    if mark != "{":
        raise BadRequest(f"object {number} of the file is no JSON object")
    try:
        value = text.next_value()
    except RecursionError:
        raise BadRequest(f"object {number} of the file is nested too deep") from None
    except ValueError:
        raise BadRequest(f"object {number} of the file is no JSON, or longer than {LONGEST} characters") from None
    if not isinstance(value, dict) or _depth(value) > DEEPEST:
        raise BadRequest(f"object {number} of the file is nested deeper than {DEEPEST} levels")
    return value


class _Text:
    """What of a file is in memory: from where the reading is, to as far as was needed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="strict")
        self._held = ""
        self._at = 0
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._held):
                if self._held[self._at] not in _SPACE:
                    return self._held[self._at]
                self._at += 1
            if not self._more():
                return ""

    def take(self) -> None:
        """Go past the next character."""
        self._at += 1

    def next_value(self) -> Any:
        """Return the value that begins here, and go past it.

        Raises:
            ValueError: it is no JSON, or too long.
            RecursionError: it is nested too deep.
        """
        tried = 0
        while True:
            # what was cut off is tried again only with twice as much, so that reading stays linear
            if len(self._held) - self._at >= 2 * tried or self._ended:
                tried = len(self._held) - self._at
                try:
                    value, end = _DECODER.raw_decode(self._held, self._at)
                except ValueError:
                    if self._ended:
                        raise
                else:
                    if end - self._at > LONGEST:
                        raise ValueError
                    self._at = end
                    return value
            if len(self._held) - self._at > LONGEST:
                raise ValueError
            self._more()

    def _more(self) -> bool:
        """Read on; tell whether there was more."""
        if self._ended:
            return False
        read = self._file.read(_PIECE)
        self._ended = not read
        try:
            self._held = self._held[self._at :] + self._decode.decode(read, final=self._ended)
        except UnicodeDecodeError:
            raise BadRequest("the file is not in UTF-8") from None
        self._at = 0
        return bool(read)


def _depth(value: Any) -> int:
    """Return how deep a value is nested, without recursion."""
    deepest, todo = 0, [(value, 1)]
    while todo:
        each, depth = todo.pop()
        deepest = max(deepest, depth)
        if depth <= DEEPEST and isinstance(each, dict | list):
            todo += [(inner, depth + 1) for inner in (each.values() if isinstance(each, dict) else each)]
    return deepest


def _refuse(_name: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(parse_constant=_refuse)
