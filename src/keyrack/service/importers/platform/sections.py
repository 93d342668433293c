"""Reads the sections of an import file as streams: a file may be larger than memory.

A file is read several times: once to see that it is one, and what it has, and then for each thing that is done with its
records. `keyrack export platform` writes sections in the order in which they refer to each other, so that each time is
one pass; of a file with another order each section is one.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, BinaryIO

import msgspec

from keyrack.errors import Problem, ValidationFailed
from keyrack.service.importers.json_text import JsonText
from keyrack.service.importers.platform.format import FORMAT, SECTIONS, VERSION
from keyrack.validation.pointer import join

LONGEST = 64 << 20
"""Characters of one record."""
_HEAD = {"format", "version", "secrets"}

OpenFile = Callable[[], AbstractContextManager[BinaryIO]]
"""Opens a file, in clear, at its beginning; may be called again and again."""


class FileSections:
    """The sections of a file, of which each record is read when it is needed.

    Args:
        open_file: opens it.

    Attributes:
        counts: how many records each section has, in the order in which sections refer to each other.

    Raises:
        ValidationFailed: it is no file of this format and version, with one problem for everything that is wrong.
    """

    def __init__(self, open_file: OpenFile) -> None:
        self._open = open_file
        self._order: list[str] = []
        self.counts: Mapping[str, int] = dict.fromkeys(SECTIONS, 0)
        with open_file() as file:
            try:
                self._look(JsonText(file, LONGEST))
            except (ValueError, RecursionError):
                raise ValidationFailed(Problem("is not a JSON object", "")) from None

    def each(self) -> Iterator[tuple[str, Iterator[str]]]:
        """Yield the sections in the order in which they refer to each other, with the texts of their records.

        The records of one must have been read before the next is asked for.
        """
        names = list(SECTIONS)
        if self._order != sorted(self._order, key=names.index):
            for name in names:
                yield name, self.of(name)
            return
        with self._open() as file:
            text = JsonText(file, LONGEST)
            text.take() if text.peek() == "{" else None
            left = iter(_members(text))
            there = next(left, None)
            for name in names:
                while there is not None and there not in SECTIONS:
                    text.text()
                    there = next(left, None)
                if there == name:
                    yield name, _elements(text)
                    there = next(left, None)
                else:
                    yield name, iter(())

    def of(self, name: str) -> Iterator[str]:
        """Yield the texts of the records of one section."""
        if name not in self._order:
            return
        with self._open() as file:
            text = JsonText(file, LONGEST)
            text.take() if text.peek() == "{" else None
            for member in _members(text):
                if member == name:
                    yield from _elements(text)
                    return
                _skip(text, member)

    def _look(self, text: JsonText) -> None:
        if text.peek() != "{":
            raise ValueError
        text.take()
        head: dict[str, Any] = {}
        problems: list[Problem] = []
        counts = dict(self.counts)
        for name in _members(text):
            if name in _HEAD:
                head[name] = text.value()
                continue
            wrong = self._wrong_member(text, name)
            if wrong is not None:
                problems.append(wrong)
                _skip(text, name)
                continue
            self._order.append(name)
            counts[name] = sum(1 for _ in _elements(text))
        if text.peek():
            raise ValueError
        self.counts = counts
        _check_head(head)
        if problems:
            raise ValidationFailed(*problems)

    def _wrong_member(self, text: JsonText, name: str) -> Problem | None:
        """Return what is wrong with a member that is no part of the head; None if it is a section."""
        if name not in SECTIONS:
            return Problem("is not a member of this format", join("", name))
        if name in self._order:
            return Problem("stands twice", f"/{name}")
        return None if text.peek() == "[" else Problem("must be an array", f"/{name}")


def _check_head(head: Mapping[str, Any]) -> None:
    if head.get("format") != FORMAT:
        raise ValidationFailed(Problem(f'must be "{FORMAT}"', "/format"))
    if head.get("version") != VERSION or head.get("version") is True:
        raise ValidationFailed(Problem(f"must be {VERSION}; this Keyrack reads no other", "/version"))


def again(section: str, text: str) -> Any:
    """Return a record that was found to be right before."""
    return msgspec.json.decode(text, type=SECTIONS[section])


def _members(text: JsonText) -> Iterator[str]:
    """Yield the names of an object's members; before the next, the value is to be read."""
    first = True
    while (mark := text.peek()) != "}":
        if not first:
            if mark != ",":
                raise ValueError
            text.take()
            mark = text.peek()
        if mark != '"':
            raise ValueError
        name: str = text.value()
        if text.peek() != ":":
            raise ValueError
        text.take()
        text.peek()
        first = False
        yield name
    text.take()


def _elements(text: JsonText) -> Iterator[str]:
    """Yield the texts of an array's elements."""
    text.take()
    first = True
    while (mark := text.peek()) != "]":
        if not first:
            if mark != ",":
                raise ValueError
            text.take()
            text.peek()
        first = False
        yield text.text()
    text.take()


def _skip(text: JsonText, name: str) -> None:
    """Go past the value of a member, which may be a long section."""
    if name in SECTIONS and text.peek() == "[":
        for _ in _elements(text):
            pass
    else:
        text.text()
