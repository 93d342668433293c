"""Turns JSON values into text."""

import json
import math

from keyrack.descriptor.model import Scalar

NOT_A_PARAMETER = (
    "cannot be sent as a parameter: must be a text, a number, true or false, or an array of these (resource takes one)"
)
_MAX_BITS = 1024
_AS_JSON = frozenset({"claims", "authorization_details"})
"""Parameters whose value is JSON (OpenID Connect Core 5.5, RFC 9396 section 2)."""
_NEVER_JOINED = frozenset({"resource"})
"""Several values would be several parameters (RFC 8707 section 2)."""


def parameter_value(name: str, value: object) -> Scalar | None:
    """Return what a member of an object is as a parameter of an authorization request.

    Arrays are joined with spaces, as `prompt`, `acr_values` and `ui_locales` are written (OpenID Connect Core 3.1.2.1).

    Args:
        name: of the member, which is the parameter's.
        value: of the member; null and an empty array say nothing.

    Returns:
        None if there is nothing to send, or if it cannot be sent, see `is_lost`.
    """
    if isinstance(value, dict | list) and name in _AS_JSON:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if isinstance(value, list):
        texts = [text for item in value if (text := scalar_text(item)) is not None]
        lost = len(texts) < len(value) or (name in _NEVER_JOINED and len(texts) > 1)
        return None if lost or not texts else " ".join(texts)
    return value if isinstance(value, Scalar) and scalar_text(value) is not None else None


def is_lost(name: str, value: object) -> bool:
    """Tell whether a member says something and cannot be sent as a parameter."""
    return value is not None and value != [] and parameter_value(name, value) is None


def scalar_text(value: object) -> str | None:
    """Return a string, number or boolean as the text that stands for it; None for anything else.

    Booleans become `true` and `false`, whole floats lose their fraction. Numbers that no double can hold are
    nothing anybody meant, and are None too.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _MAX_BITS else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    return None
