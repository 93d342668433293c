"""Reads single values of another system's file, which may be anything."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from keyrack.model import Json
from keyrack.oauth.token_response import parse_lifetime
from keyrack.validation.storable import unstorable

LONGEST_ID = 512
_LONGEST_YEAR = timedelta(days=365 * 100)
_STANDARD = frozenset({"access_token", "refresh_token", "expires_in", "scope", "token_type"})
"""Members of a token response that are kept elsewhere (RFC 6749 section 5.1)."""


def text_of(value: Any, longest: int = 4096) -> str:
    """Return a text, or a number as a text; empty for anything else, and for what is too long or cannot be stored."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > longest or unstorable(value, ""):
        return ""
    return value


def object_of(value: Any) -> Json:
    """Return an object, also from its text; empty for anything else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
    return dict(value) if isinstance(value, Mapping) else {}


def time_of(value: Any) -> datetime | None:
    """Return a time: of ISO 8601, as databases and JSON have them, or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            found = datetime.fromisoformat(value.strip())
            found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = datetime.fromtimestamp(value / 1000 if value > _MILLISECONDS else value, UTC)
        else:
            return None
        found = found.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return found if abs(found - datetime.now(UTC)) < _LONGEST_YEAR else None


_MILLISECONDS = 100_000_000_000


def latest(*times: datetime | None) -> datetime | None:
    """Return the latest of some times; None if there is none."""
    return max((each for each in times if each is not None), default=None)


def issued_before(expires_at: datetime | None, answer: Mapping[str, Any], fallback: datetime | None) -> datetime | None:
    """Return when a token was issued: by its `expires_in`, if that is known, else at a time that is."""
    lifetime = parse_lifetime(answer.get("expires_in"))
    if expires_at is not None and lifetime is not None:
        return expires_at - timedelta(seconds=lifetime)
    return fallback


def beside_tokens(answer: Mapping[str, Any]) -> Json:
    """Return what a provider sent of its own with tokens."""
    found = {name: value for name, value in answer.items() if name not in _STANDARD}
    return {} if unstorable(found, "") else found


def scope_of(value: Any) -> str:
    """Return scopes parted by spaces, from a text or a list."""
    if isinstance(value, list):
        return " ".join(filter(None, map(text_of, value)))
    return text_of(value)


def scalars(value: Any) -> dict[str, str]:
    """Return the members of an object that are texts or numbers."""
    return {name: text for name, each in object_of(value).items() if (text := text_of(each))}
