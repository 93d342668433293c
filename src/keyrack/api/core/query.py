"""Reads times and seconds from query strings."""

from datetime import datetime

from keyrack.errors import Problem, ValidationFailed
from keyrack.validation.times import NOT_A_TIME, parse_time


def asked_time(text: str | None, parameter: str) -> datetime | None:
    """Return the time a query parameter names, or None if it is absent or empty.

    Raises:
        ValidationFailed: it is no ISO 8601 time with an offset, or one before 1970.
    """
    if not text:
        return None
    moment = parse_time(text)
    if moment is None:
        raise ValidationFailed(Problem(NOT_A_TIME, parameter=parameter))
    return moment


def asked_seconds(text: str | None, parameter: str, most: int) -> int | None:
    """Return the whole number of seconds, 0 to `most`, that a query parameter gives, or None if it is absent.

    Raises:
        ValidationFailed: it is no such number.
    """
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most):
        raise ValidationFailed(Problem(f"must be a whole number of seconds from 0 to {most}", parameter=parameter))
    return int(text)
