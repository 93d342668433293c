"""Reads the body of a token response as a mapping, however it is written, also if its end is missing."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from keyrack.oauth.content import text_of
from keyrack.oauth.wire import RawResponse

_MAX_DEPTH = 32
_MAX_FIELDS = 1000
_MAX_DIGITS = 400
_MAX_VALUES = 5_000
"""Values of a JSON text; of one with more, the beginning is read."""
_MAX_SMALL_TEXT = 64 * 1024
"""Characters of what takes long: a form, and the beginning of a JSON text of too many values."""
_MAX_SKIPPED = 20_000
_MAX_SKIPPED_TEXT = 128 * 1024

_SPACE = re.compile(r"[ \t\r\n]*")
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]', re.DOTALL)


class NotUnderstood(ValueError):
    """The body is neither a JSON object nor form-encoded."""


@dataclass(frozen=True, slots=True)
class AnswerMembers:
    """What was read of a body.

    Attributes:
        values: the members that are whole.
        cut: there may have been more.
    """

    values: dict[str, Any] = field(repr=False)
    cut: bool = False


def parse_answer(response: RawResponse) -> AnswerMembers:
    """Return the members of an answer, its content coding and character set undone.

    JSON is tried first whatever the media type says, then `application/x-www-form-urlencoded` (contract section
    20.3): servers label either as `text/html` or `text/plain`. Of duplicate members the last counts. Numbers
    that JSON cannot hold and values nested deeper than 32 become None, lone surrogates `?`: the result can always be
    stored, and an odd member beside a token never costs the token.

    JSON says itself where it ends: what comes behind it is ignored, and an answer that was cut there is whole. Of what
    breaks off, the members before are read. A field of a form is whole if another follows or the answer is not cut.

    Raises:
        NotUnderstood: for anything else, such as a page of HTML or an array.
    """
    tries = [response.body, response.body + response.surplus] if response.surplus else [response.body]
    best: AnswerMembers | None = None
    for body in tries:
        text, unfinished = text_of(body, response.headers)
        try:
            members = _parse(text, cut=response.cut or unfinished)
        except NotUnderstood:
            continue
        if not members.cut:
            return members
        best = best or members
    if best is None:
        raise NotUnderstood
    return best


def _parse(text: str, *, cut: bool) -> AnswerMembers:
    if not text.startswith("{"):
        return _parse_form(text, cut=cut)
    if text.count(",") + text.count("[") + text.count("{") > _MAX_VALUES:
        return _parse_beginning(text[:_MAX_SMALL_TEXT])
    try:
        parsed, _ = _DECODER.raw_decode(text)
    except (ValueError, RecursionError):
        return _parse_beginning(text)
    return AnswerMembers(_storable_members(parsed))


def _parse_beginning(text: str) -> AnswerMembers:
    """Read an object member by member, as far as they are whole; what is nested too deep for Python becomes None."""
    members: dict[str, Any] = {}
    at, cut, skipped = 1, True, 0
    try:
        while len(members) < _MAX_FIELDS:
            at = _after_space(text, at)
            if text[at] == "}":
                cut = False
                break
            name, at = _DECODER.raw_decode(text, at) if text[at] == '"' else _fail()
            at = _after_space(text, at)
            at = _after_space(text, at + 1) if text[at] == ":" else _fail()
            try:
                value, at = _DECODER.raw_decode(text, at)
            except RecursionError:
                value, (at, skipped) = None, _skip(text, at, skipped)
            if not isinstance(value, int | float) or _after_space(text, at) < len(text):  # else digits may be missing
                members[name] = value
            at = _after_space(text, at)
            if text[at] == ",":
                at += 1
            elif text[at] != "}":
                break
    except (ValueError, IndexError):
        pass
    if not members:
        raise NotUnderstood
    return AnswerMembers(_storable_members(members), cut)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at


def _fail() -> Any:
    raise NotUnderstood


def _skip(text: str, at: int, skipped: int) -> tuple[int, int]:
    """Return where an array or object ends."""
    depth = 0
    for found in _BRACKETS.finditer(text, at, at + _MAX_SKIPPED_TEXT):
        skipped += 1
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth == 0:
            return found.end(), skipped
        if skipped > _MAX_SKIPPED:
            break
    raise NotUnderstood


def _parse_form(text: str, *, cut: bool) -> AnswerMembers:
    # Markup and broken JSON also contain `=` and `&`; only what looks like a form is read as one.
    if "=" not in text or text[0] in '<{["':
        raise NotUnderstood
    fields = text[:_MAX_SMALL_TEXT].split("&", _MAX_FIELDS)
    cut = cut or len(text) > _MAX_SMALL_TEXT or len(fields) > _MAX_FIELDS
    if cut:
        fields.pop()
    return AnswerMembers(dict(parse_qsl("&".join(fields), keep_blank_values=True, errors="replace")), cut)


def _finite(digits: str) -> float | None:
    number = float(digits[:_MAX_DIGITS])
    return number if math.isfinite(number) else None


def _integer(digits: str) -> int | None:
    return int(digits) if len(digits) <= _MAX_DIGITS else None


_DECODER = json.JSONDecoder(strict=False, parse_constant=lambda _: None, parse_float=_finite, parse_int=_integer)


def _text(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _storable_members(members: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(name): _storable(value, 1) for name, value in members.items()}


def _storable(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, dict | list) and depth > _MAX_DEPTH:
        return None
    if isinstance(value, dict):
        return {_text(name): _storable(item, depth + 1) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item, depth + 1) for item in value]
    return value
