"""Checks values of credential fields by view class (contract section 19.3)."""

from collections.abc import Mapping
from typing import Any, NewType

from keyrack.descriptor import http_auth
from keyrack.descriptor.model import Descriptor, Field
from keyrack.descriptor.text import scalar_text
from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.json_types import A_STRING, AN_ARRAY, AN_OBJECT, wrong_type
from keyrack.validation.pointer import join
from keyrack.validation.storable import MAX_PROBLEMS, unstorable

_SHOWN, _SHOWN_TEXT = 20, 100
"""Of the choices of a select: how many are named, and how many characters of each."""

CleanFields = NewType("CleanFields", dict[str, Any])
"""Values that `clean_fields` has checked; templates take no others."""


def clean_fields(descriptor: Descriptor, values: Mapping[str, object], pointer_prefix: str) -> CleanFields:
    """Return credential values in the form they are stored in.

    Null is the same as absent. Check boxes become booleans; selects must be one of the model's values when the
    descriptor lists them. Members that are no field of the descriptor are kept as they are, since components store
    values of their own beside the fields (`updateKeys`, contract section 18.3); no template ever sees them.

    Args:
        descriptor: the component's.
        values: the submitted `keys` or `fields`.
        pointer_prefix: where they stand in the request, such as `/data/attributes/keys`.

    Raises:
        ValidationFailed: with all problems, up to 100. No value is shown.
    """
    problems: list[Problem] = []
    cleaned: dict[str, Any] = {}
    for name, value in values.items():
        pointer = join(pointer_prefix, name)
        found = unstorable({name: value}, pointer_prefix)
        field = descriptor.fields.get(name)
        if not found and field is not None and value is not None:
            value, found = _clean(field, value, pointer)  # noqa: PLW2901 - the stored form replaces the sent one
        problems.extend(found)
        if value is not None:
            cleaned[name] = value
    if problems:
        raise ValidationFailed(*problems[:MAX_PROBLEMS])
    return CleanFields(cleaned)


def _clean(field: Field, value: object, pointer: str) -> tuple[object, list[Problem]]:
    """Return the form to store and the problems."""
    match field.view_class:
        case "CheckBoxView":
            return _check_box(value, pointer)
        case "SelectView":
            return _select(field, value, pointer)
        case "MultiSelectView":
            return _multi_select(field, value, pointer)
        case "HTTPAuthView":
            return value, http_auth.problems_of(value, pointer)
        case "OAuthFieldView" | "WebhookAuthView":
            return value, [] if isinstance(value, Mapping) else [Problem(wrong_type(AN_OBJECT, value), pointer)]
        case _:
            is_text = isinstance(value, str | int | float) and not isinstance(value, bool)
            ok = is_text and scalar_text(value) is not None
            return value, [] if ok else [Problem(wrong_type(A_STRING, value), pointer)]


def _check_box(value: object, pointer: str) -> tuple[object, list[Problem]]:
    if isinstance(value, bool):
        return value, []
    if value in ("on", ""):  # what older forms send for a ticked and an empty box
        return value == "on", []
    return value, [Problem('must be true, false or "on"', pointer)]


def _select(field: Field, value: object, pointer: str) -> tuple[object, list[Problem]]:
    text = None if isinstance(value, bool) else scalar_text(value)
    if text is None:
        return value, [Problem(wrong_type(A_STRING, value), pointer)]
    if field.options is not None and text and text not in field.options:
        return value, [Problem(_choices(field.options), pointer)]
    return text, []


def _choices(options: tuple[str, ...]) -> str:
    if not options:
        return "the component lists no choices here"
    shown = ", ".join(option[:_SHOWN_TEXT] for option in options[:_SHOWN])
    return f"is not one of the choices: {shown}{', …' if len(options) > _SHOWN else ''}"


def _multi_select(field: Field, value: object, pointer: str) -> tuple[object, list[Problem]]:
    if not isinstance(value, list):
        return value, [Problem(wrong_type(AN_ARRAY, value), pointer)]
    texts: list[object] = []
    problems: list[Problem] = []
    for index, item in enumerate(value):
        text, found = _select(field, item, join(pointer, index))
        texts.append(text)
        problems.extend(found)
    return texts, problems
