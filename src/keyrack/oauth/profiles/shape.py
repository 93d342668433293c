"""Says what of a JSON value does not have the form of a provider profile, and what there is in its place."""

import re
from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import NoneType
from typing import Any, get_args, get_origin

import msgspec

from keyrack.errors import Problem
from keyrack.oauth.profiles.model import ProviderProfile
from keyrack.validation.known_names import close_to, listed
from keyrack.validation.pointer import join

_WHERE = re.compile(r" - at `(.+)`$")
_STEP = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+|\.\.\.)\]")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MAX_NAME = 100


def shape_problem(document: Any, error: msgspec.ValidationError) -> Problem:
    """Return the problem of a JSON value that `msgspec.convert` does not take as a profile.

    Args:
        document: the value.
        error: what was raised for it.
    """
    said = str(error)
    found = _WHERE.search(said)
    detail, pointer, value, expected = said, "", document, ProviderProfile
    for name, number in _STEP.findall(found[1]) if found else ():
        step, value, expected = _inside(value, expected, name or number)
        pointer = join(pointer, step)
    detail = _WHERE.sub("", said)
    choices = [kind for kind in _kinds(expected) if isinstance(kind, type) and issubclass(kind, StrEnum)]
    if unknown := _UNKNOWN.fullmatch(detail):
        return Problem(_unknown_member(unknown[1], expected), pointer)
    if choices and detail.startswith("Invalid enum value"):
        return Problem(f"must be one of {', '.join(choices[0])}", pointer)
    return Problem(detail.replace("`", ""), pointer)


def _unknown_member(name: str, expected: Any) -> str:
    known = [each.encode_name for kind in _kinds(expected) for each in _members(kind)]
    close = close_to(name, known)
    return f"has an unknown field {name[:_MAX_NAME]}; {f'is it {close}?' if close else listed(known)}"


def _inside(value: Any, expected: Any, step: str) -> tuple[str, Any, Any]:
    """Return a step of the way to a fault as it is spelt, the value there, and the type that it should have."""
    for kind in _kinds(expected):
        if get_origin(kind) in {dict, Mapping} and isinstance(value, Mapping):
            wanted = get_args(kind)[1]
            name = next((name for name, each in value.items() if not _fits(each, wanted)), step)
            return name, value.get(name), wanted
        if get_origin(kind) in {tuple, list} and isinstance(value, list) and step.isdigit():
            return step, value[int(step)], get_args(kind)[0]
        for member in _members(kind):
            if member.encode_name == step and isinstance(value, Mapping):
                return step, value.get(step), member.type
    return step, None, None


def _kinds(expected: Any) -> Iterator[Any]:
    """Yield the types of a union, or the only one."""
    if get_origin(expected) in {dict, Mapping, tuple, list} or not get_args(expected):
        yield expected
    else:
        yield from (kind for kind in get_args(expected) if kind is not NoneType)


def _members(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind) if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else ()


def _fits(value: Any, expected: Any) -> bool:
    try:
        msgspec.convert(value, expected)
    except msgspec.ValidationError:
        return False
    return True
