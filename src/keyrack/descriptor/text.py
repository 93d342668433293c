"""Scalars as text."""

import math

_MAX_BITS = 1024


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
