"""Checks a JSON value against a type, and tells all that is wrong, each with its pointer."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from keyrack.errors import Problem
from keyrack.validation.pointer import join


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
        found = _inside(raw, expected, pointer)
        return found or [Problem(_expectation(expected) or _choices(expected) or _plain(str(error)), pointer)]
    return []


def _inside(raw: object, expected: Any, pointer: str) -> list[Problem]:
    struct, arguments = _struct_of(expected)
    if struct is not None and isinstance(raw, dict):
        return _members(raw, struct, arguments, pointer)
    if get_origin(expected) is list and isinstance(raw, list):
        (item_type,) = get_args(expected)
        return [p for index, item in enumerate(raw) for p in misshapen(item, item_type, f"{pointer}/{index}")]
    if get_origin(expected) not in {None, list} and get_args(expected):  # Annotated[list[...], Meta], unions with UNSET
        for inner in get_args(expected):
            if inner is not msgspec.UnsetType and (_struct_of(inner)[0] or get_origin(inner) in {list, Annotated}):
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
            problems.append(Problem(f"{member.encode_name} is required", where))
    return problems


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
    allowed: list[str] = []
    for choice in (expected, *get_args(expected)):  # unions with UNSET or None
        if get_origin(choice) is Literal:
            allowed += get_args(choice)
        elif isinstance(choice, type) and issubclass(choice, StrEnum):
            allowed += choice
    return f"must be {'one of ' if len(allowed) > 1 else ''}{', '.join(allowed)}" if allowed else None


def _plain(message: str) -> str:
    return message.partition(" - at `")[0]
