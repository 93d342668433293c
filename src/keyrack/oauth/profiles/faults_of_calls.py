"""Says what is wrong with a provider profile's calls after connecting, and what templates they have."""

from collections.abc import Iterator, Mapping, Sequence

from keyrack.errors import Problem
from keyrack.oauth.profiles.call_parts import Call, Taken
from keyrack.oauth.profiles.faults import wrong_headers, wrong_names, wrong_pattern
from keyrack.oauth.profiles.request_parts import Sent, Template
from keyrack.oauth.profiles.templates import CLIENT_SECRET, placeholders

_POINTER = "/after_connecting"
_MOST_CALLS = 5
_MOST_CONDITIONS = 5
_METHODS = ("GET", "POST", "PUT")


def addresses_of_calls(calls: Sequence[Call]) -> Iterator[tuple[str, Template]]:
    """Yield where each call goes, with the pointer of it."""
    for number, call in enumerate(calls):
        yield f"{_POINTER}/{number}/endpoint", call.endpoint


def tables_of_calls(calls: Sequence[Call]) -> Iterator[tuple[str, Mapping[str, Sent]]]:
    """Yield what else calls have for templates, with the pointer of each table."""
    for number, call in enumerate(calls):
        at = f"{_POINTER}/{number}"
        yield f"{at}/parameters", call.parameters
        yield f"{at}/headers", call.headers
        yield from ((f"{at}/choose/{place}", conditions) for place, conditions in enumerate(call.choose))


def wrong_calls(calls: Sequence[Call]) -> Iterator[Problem]:
    """Yield what is wrong with calls, each with its pointer, but for their addresses and placeholders."""
    if len(calls) > _MOST_CALLS:
        yield Problem(f"may have {_MOST_CALLS} entries at most", _POINTER)
    for number, call in enumerate(calls):
        yield from _wrong(call, f"{_POINTER}/{number}")
    told = [(f"{pointer}/{name}", said) for pointer, table in tables_of_calls(calls) for name, said in table.items()]
    for pointer, said in (*told, *addresses_of_calls(calls)):
        if isinstance(said, str | tuple) and CLIENT_SECRET in placeholders(said):
            yield Problem("tells the client's secret, which no such call needs", pointer)


def _wrong(call: Call, at: str) -> Iterator[Problem]:
    if call.method.upper() not in _METHODS:
        yield Problem(f"must be {' or '.join(_METHODS)}", f"{at}/method")
    yield from wrong_headers(call.headers, at)
    if "authorization" in map(str.lower, call.headers):
        yield Problem("has the access token, as token_as says", f"{at}/headers/Authorization")
    yield from wrong_names(call.learned, f"{at}/learned")
    yield from wrong_names(call.tells[len(call.learned) :], f"{at}/answered")
    for name, taken in call.learned.items():
        if isinstance(taken, Taken) and taken.pattern is not None:
            yield from wrong_pattern(taken.pattern, f"{at}/learned/{name}/pattern")
    if len(call.choose) > _MOST_CONDITIONS or any(len(each) > _MOST_CONDITIONS for each in call.choose):
        yield Problem(f"may have {_MOST_CONDITIONS} members at most", f"{at}/choose")
