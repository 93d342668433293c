"""Writes a twin's answers in the shape that its profile describes."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from keyrack.oauth.profiles.answer_parts import Answer
from keyrack.oauth.profiles.kinds import LifetimeUnit

_UNITS = {LifetimeUnit.SECONDS: 1, LifetimeUnit.MILLISECONDS: 1000}


def rounds(answer: Answer) -> int:
    """Return how many answers it takes until each place has been used that a profile names for something."""
    places = (answer.objects, answer.access_token, answer.refresh_token, answer.expires_in, answer.scope)
    return max(1, *map(len, places))


def tokens_answer(answer: Answer, tokens: Mapping[str, Any], more: Mapping[str, Any], turn: int) -> dict[str, Any]:
    """Return the answer that carries tokens.

    Args:
        answer: where the profile has what.
        tokens: by the names of RFC 6749 section 5.1; `expires_in` in seconds.
        more: what stands beside them, by its path.
        turn: which of several places is used; the last one, if there are fewer.
    """
    within: dict[str, Any] = {}
    for name, value in tokens.items():
        paths = getattr(answer, name, (name,))
        if not paths:  # it is not said
            continue
        put(within, nth(paths, turn), value * _UNITS[answer.lifetime_unit] if name == "expires_in" else value)
    put(within, "token_type", "Bearer")
    whole: dict[str, Any] = {}
    if answer.objects:
        put(whole, nth(answer.objects, turn), within)
    else:
        whole = within
    for path, value in more.items():
        put(whole, path, value)
    for path, fails in answer.fails_where.items():
        if isinstance(fails, bool):
            put(whole, path, not fails)
    return whole


def error_answer(answer: Answer, code: str, text: str) -> tuple[int, dict[str, Any]]:
    """Return the status and body of an error."""
    whole: dict[str, Any] = {}
    put(whole, nth(answer.error_description, 0), text)
    put(whole, nth(answer.error, 0), code)  # it counts where a provider has both in one place
    for path, fails in answer.fails_where.items():
        put(whole, path, fails)
    return (200 if answer.fails_where else 400), whole


def nth(paths: tuple[str, ...], turn: int) -> str:
    """Return the path of a turn; the last one, if there are fewer."""
    return paths[min(turn, len(paths) - 1)]


def put(members: dict[str, Any], path: str, value: Any) -> None:
    """Put a value where a path leads: names of members and numbers of places in lists, with dots between."""
    steps = path.split(".")
    place: Any = members
    for step, following in pairwise(steps):
        empty: Any = [] if following.isdecimal() else {}
        place = _inner(place, step, empty)
    _set(place, steps[-1], value)


def _inner(place: Any, step: str, empty: Any) -> Any:
    if isinstance(place, list):
        while len(place) <= int(step):
            place.append(None)
        if not isinstance(place[int(step)], dict | list):
            place[int(step)] = empty
        return place[int(step)]
    if not isinstance(place.get(step), dict | list):
        place[step] = empty
    return place[step]


def _set(place: Any, step: str, value: Any) -> None:
    if isinstance(place, list):
        while len(place) <= int(step):
            place.append(None)
        place[int(step)] = value
    elif isinstance(value, dict) and isinstance(place.get(step), dict):
        place[step].update(value)
    else:
        place[step] = value
