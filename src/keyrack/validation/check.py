"""Checks a JSON value against a type, and tells all that is wrong, each with its pointer."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from keyrack.errors import Problem
from keyrack.validation import json_types
from keyrack.validation.pointer import join

_TYPES: Mapping[Any, str] = {
    str: json_types.A_STRING,
    datetime: json_types.A_STRING,
    int: json_types.A_NUMBER,
    float: json_types.A_NUMBER,
    bool: json_types.A_BOOLEAN,
    list: json_types.AN_ARRAY,
    tuple: json_types.AN_ARRAY,
    dict: json_types.AN_OBJECT,
    NoneType: json_types.NULL,
}
_MAX_NAME = 100
_LENGTH = re.compile(r"Expected `(str|array|object)` of length (>=|<=|==) (\d+)")
_RANGE = re.compile(r"Expected `(?:int|float)` (>=|<=) (\d+)")


def misshapen(raw: object, expected: Any, pointer: str = "") -> list[Problem]:
    """Return everything wrong with a parsed JSON value, descending where the expected type does.

    The value is not shown.

    Args:
        raw: the value.
        expected: the type it must have, as msgspec takes it; `Meta.description` says in words what a text must be.
        pointer: where the value stands.
    """
    try:
        msgspec.convert(raw, expected)
    except msgspec.ValidationError as error:
        return _inside(raw, expected, pointer) or [Problem(_fault(raw, expected, str(error)), pointer)]
    return []


def _fault(raw: object, expected: Any, message: str) -> str:
    choices, types = _choices(expected), list(dict.fromkeys(_types(expected)))
    if choices is None and types and json_types.json_type(raw) not in types:
        return json_types.wrong_type(" or ".join(types), raw)
    if choices is not None:
        return choices
    return (None if " <= " in message else _expectation(expected)) or _bounds(message)


def _inside(raw: object, expected: Any, pointer: str) -> list[Problem]:
    struct, arguments = _struct_of(expected)
    if struct is not None and isinstance(raw, dict):
        return _members(raw, struct, arguments, pointer)
    if get_origin(expected) is list and isinstance(raw, list):
        (item_type,) = get_args(expected)
        return [p for index, item in enumerate(raw) for p in misshapen(item, item_type, f"{pointer}/{index}")]
    if get_origin(expected) is dict and isinstance(raw, dict):
        value_type = get_args(expected)[1]
        found = ((name, problem) for name, item in raw.items() for problem in misshapen(item, value_type))
        return [Problem(f"{name[:_MAX_NAME]} {problem.detail}", pointer) for name, problem in found]
    if get_origin(expected) not in {None, list, dict} and get_args(expected):  # Annotated[list[...], Meta], unions
        for inner in get_args(expected):
            if inner is not msgspec.UnsetType and (
                _struct_of(inner)[0] or get_origin(inner) in {list, dict, Annotated}
            ):
                return _inside(raw, inner, pointer)
    return []


def _members(raw: Mapping[str, Any], struct: Any, arguments: Mapping[Any, Any], pointer: str) -> list[Problem]:
    problems: list[Problem] = []
    for member in msgspec.structs.fields(struct):
        where = join(pointer, member.encode_name)
        if member.encode_name in raw:
            member_type = arguments.get(member.type, member.type)
            problems += misshapen(raw[member.encode_name], member_type, where)
        elif member.required:
            needed = ", ".join(_needed(arguments.get(member.type, member.type)))
            detail = f"{member.encode_name} is required{needed and f', with {needed}'}"
            problems.append(Problem(detail, where))
    return problems


def _needed(expected: Any) -> Iterator[str]:
    """Yield what an object that is missing must have inside, by its way, such as `team.data.id`."""
    struct, arguments = _struct_of(expected)
    for member in () if struct is None else msgspec.structs.fields(struct):
        if member.required:
            inside = list(_needed(arguments.get(member.type, member.type)))
            yield from (f"{member.encode_name}.{name}" for name in inside) if inside else (member.encode_name,)


def _types(expected: Any) -> Iterator[str]:
    """Yield the names of the JSON types that a type takes; nothing where it takes any."""
    origin = get_origin(expected) or expected
    if origin in _TYPES:
        yield _TYPES[origin]
    elif origin is Literal:
        yield from (json_types.json_type(value) for value in get_args(expected))
    elif origin is Annotated:
        yield from _types(get_args(expected)[0])
    elif isinstance(origin, type) and issubclass(origin, StrEnum):
        yield json_types.A_STRING
    elif _struct_of(expected)[0] is not None:
        yield json_types.AN_OBJECT
    elif origin is not msgspec.UnsetType:
        yield from (name for inner in get_args(expected) for name in _types(inner))


def _struct_of(expected: Any) -> tuple[Any, Mapping[Any, Any]]:
    origin = get_origin(expected) or expected
    if not (isinstance(origin, type) and issubclass(origin, msgspec.Struct)):
        return None, {}
    parameters: Sequence[Any] = getattr(origin, "__parameters__", ())
    return origin, dict(zip(parameters, get_args(expected), strict=False))


def _expectation(expected: Any) -> str | None:
    """Return what a text must be, where its type says it in words (`Meta.description`)."""
    choices = (expected,) if get_origin(expected) is list else (expected, *get_args(expected))  # unions with UNSET
    metas = [meta for choice in choices for meta in getattr(choice, "__metadata__", ())]
    words = next((meta.description for meta in metas if isinstance(meta, Meta) and meta.description), None)
    return None if words is None else f"must be {words}"


def _choices(expected: Any) -> str | None:
    """Return what a text must be where there is a choice of texts; the library's message would show the wrong one."""
    allowed = list(_allowed(expected))
    return f"must be {'one of ' if len(allowed) > 1 else ''}{', '.join(map(str, allowed))}" if allowed else None


def _allowed(expected: Any) -> Iterator[Any]:
    if get_origin(expected) is Literal:
        yield from get_args(expected)
    elif isinstance(expected, type) and issubclass(expected, StrEnum):
        yield from expected
    elif get_origin(expected) not in {list, dict, tuple}:  # Annotated, unions with UNSET or None
        for inner in get_args(expected):
            yield from _allowed(inner)


def _bounds(message: str) -> str:
    """Return what msgspec says of a value whose type is right, in words that do not speak of Python."""
    if found := _LENGTH.match(message):
        unit = {"str": "character", "array": "item", "object": "member"}[found[1]]
        bound = {">=": "at least", "<=": "at most", "==": "exactly"}[found[2]]
        return f"must have {bound} {found[3]} {unit}{'' if found[3] == '1' else 's'}"
    if found := _RANGE.match(message):
        return f"must be {'at least' if found[1] == '>=' else 'at most'} {found[2]}"
    if message.startswith("Expected `str` matching regex"):  # without a description: only that it is not blank
        return "must not be blank"
    if message.startswith("Expected `int`"):
        return "must be a whole number"
    return "has a value that is not allowed"
