"""Finds in a provider's answer what the standard has elsewhere, by the provider's profile."""

from collections.abc import Iterable, Mapping
from typing import Any

from keyrack.oauth.profiles.answer_parts import Answer
from keyrack.oauth.profiles.kinds import LifetimeUnit
from keyrack.oauth.provider_text import has_controls

_MILLISECONDS = 1000
_DIGITS = 6
"""Of the number of a place in a list."""
_LONGEST_LEARNED = 500


def member_at(members: Mapping[str, Any], path: str) -> Any:
    """Return what is at a path of names, or numbers of places in lists, with dots between; None if nothing is."""
    found: Any = members.get(path)
    if found is not None:
        return found
    found = members
    for step in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and len(step) < _DIGITS and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def learned_of_callback(params: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return those parameters of a callback that are kept with the connection, such as QuickBooks' `realmId`.

    Whoever holds the browser may have changed them: they are a word of the connection's owner, not of the provider.
    """
    told = {name: kept_text(params.get(name)) for name in names}
    return {name: text for name, text in told.items() if text is not None}


def learned_of_userinfo(members: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, str]:
    """Return what of the answer of the userinfo endpoint is kept with the connection: texts and numbers, as texts."""
    found = {name: kept_text(member_at(members, path)) for name, path in paths.items()}
    return {name: text for name, text in found.items() if text is not None}


def kept_text(value: Any) -> str | None:
    """Return a text, a number or a truth value as it is kept with a connection; None if it cannot be."""
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value) if isinstance(value, str | int | float) else ""
    return text if text and len(text) <= _LONGEST_LEARNED and not has_controls(text) else None


def says_failure(members: Mapping[str, Any], answer: Answer) -> bool:
    """Tell whether an answer with a status of success is an error, by what the profile says of errors."""
    return any(member_at(members, path) == value for path, value in answer.fails_where.items())


def as_usual(members: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """Return an answer's members with those of RFC 6749 sections 5.1 and 5.2 under their usual names.

    The first object that holds an access token is read in place of the answer, if the answer itself holds none.
    """
    usual = dict(members) if _first(members, answer.access_token) is not None else _inner(members, answer)
    for name in ("access_token", "refresh_token", "scope", "error", "error_description"):
        paths = getattr(answer, name)
        found = _first(usual, paths)
        if found is not None:
            usual[name] = found
        elif name not in paths:  # where it usually is, this provider has something else
            usual.pop(name, None)
    lifetime = _seconds(_first(usual, answer.expires_in), answer.lifetime_unit)
    if lifetime is not None:
        usual["expires_in"] = lifetime
    return usual


def _inner(members: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """Return the members with those of the first object that holds an access token in its place."""
    for path in answer.objects:
        inner = member_at(members, path)
        if isinstance(inner, Mapping) and _first(inner, answer.access_token) is not None:
            first = path.partition(".")[0]
            return {name: value for name, value in members.items() if name != first} | dict(inner)
    return dict(members)


def _first(members: Mapping[str, Any], paths: Iterable[str]) -> Any:
    return next((found for path in paths if (found := member_at(members, path)) not in (None, "")), None)


def _seconds(value: Any, unit: LifetimeUnit) -> Any:
    """Return a lifetime in seconds; what is no number stays as it is, for whoever judges it."""
    if unit is LifetimeUnit.SECONDS or value is None or isinstance(value, bool):
        return value
    try:
        return float(value) / _MILLISECONDS
    except (TypeError, ValueError, OverflowError):
        return value
