"""Says what a call after connecting must be, and makes up an answer in which is what the profile looks for."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from keyrack.oauth.profiles.call_parts import Call, Taken
from keyrack.oauth.profiles.kinds import BodyFormat, TokenUse
from keyrack.simulator.twin.answers import put
from keyrack.simulator.twin.expectation import Expected, Order
from keyrack.simulator.twin.orders import Reading, certificate, with_own
from keyrack.simulator.twin.received import normal, pairs_of
from keyrack.simulator.twin.templates import chosen, written

_LIKELY = ("{}", "https://twin.example/{}", "gid://twin/Account/{}", "twin {}")
"""Texts in which something may be found by a pattern."""
_VALUES = ("7000001", "acme-7")
_OTHER = "somebody else's"


def call_order(reading: Reading, number: int, access_token: str) -> Order | None:
    """Return what a call must be; None if its address cannot be filled in.

    Args:
        reading: of the profile.
        number: of the call, from 0.
        access_token: that goes along.
    """
    call, pointer = reading.profile.after_connecting[number], f"/after_connecting/{number}"
    address = chosen(call.endpoint, reading.public)
    if address is None or not access_token:
        return None
    base, _, query = written(address, reading.public).partition("?")
    parameters = with_own(
        {}, call.parameters, {}, reading.public, pointer, typed=call.body is BodyFormat.JSON and call.method != "GET"
    )
    headers = {
        name.lower(): Expected(f"{pointer}/headers/{name}", written(text, reading.public), secret=True)
        for name, template in call.headers.items()
        if (text := chosen(template, reading.public)) is not None
    }
    headers["authorization"] = Expected(f"{pointer}/token_as", _authorization(call, access_token), secret=True)
    own = [pair for pair in pairs_of(query) if pair.name not in parameters]
    shown = certificate(reading)
    return Order(
        "after_connecting", pointer, call.method.upper(), normal(base), own, call.body, parameters, headers, shown
    )


def answers_of_calls(reading: Reading, numbers: Sequence[int], told: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
    """Return a document that answers some calls at once, and what each of them is to find in it.

    Args:
        reading: of the profile.
        numbers: of the calls.
        told: texts that may be told, by their names; another is told where an answer cannot hold that one.
    """
    calls = sorted((reading.profile.after_connecting[each] for each in numbers), key=lambda call: not call.entries)
    whole: dict[str, Any] = {}
    found: dict[str, str] = {}
    for call in calls:
        said = next((each for each in call.choose if _filled(each, reading) is not None), {})
        conditions = _filled(said, reading) or {}
        at = f"document.{call.entries}" if call.entries else "document"
        listed = bool(call.entries or call.choose)
        entry: dict[str, Any] = {}
        for path, text in conditions.items():
            put(entry, f"entry.{path}", text.replace("*", "x"))
        for name, where in call.learned.items():
            taken = where if isinstance(where, Taken) else Taken(path=where)
            found[name] = _told(
                entry if listed else whole, "entry" if listed else "document", taken, told.get(name, "")
            )
        if call.answered is not None:
            found[call.answered] = "true"
        if listed:
            others = [] if call.only and not conditions else [{"id": _OTHER}]
            put(whole, at, [*others, entry.get("entry", {})] if conditions else [entry.get("entry", {}), *others])
    return whole.get("document", {}), found


def _told(members: dict[str, Any], root: str, taken: Taken, wanted: str) -> str:
    """Put something where it is looked for, and return what is to be found there."""
    path = f"{root}.{taken.path}" if taken.path else root
    there = _at(members, path)
    if there is not None:
        return there if isinstance(there, str) else json.dumps(there, ensure_ascii=False, separators=(",", ":"))
    raw, found = (wanted, wanted) if taken.pattern is None else _fitting(taken, taken.pattern)
    put(members, path, raw)
    return found


def _fitting(taken: Taken, pattern: str) -> tuple[str, str]:
    """Return a text in which a pattern finds something, and what that is."""
    for form in _LIKELY:
        for value in _VALUES:
            text = form.format(value)
            met = re.search(pattern, text)
            if met is not None:
                part = met[1] if met.re.groups else met[0]
                return (_encoded(text), _encoded(part)) if taken.in_base64 else (text, part)
    raise LookupError(f"no text is known in which {pattern} finds something")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _at(members: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(members, dict):
            members = members.get(step)
        elif isinstance(members, list) and step.isdecimal() and int(step) < len(members):
            members = members[int(step)]
        else:
            return None
    return members


def _filled(conditions: Mapping[str, Any], reading: Reading) -> dict[str, str] | None:
    texts = {path: chosen(template, reading.public) for path, template in conditions.items()}
    if any(text is None for text in texts.values()):
        return None
    return {path: written(text, reading.public) for path, text in texts.items() if text is not None}


def _authorization(call: Call, access_token: str) -> str:
    if call.token_as is TokenUse.BASIC:
        return f"Basic {_encoded(f'{access_token}:')}"
    return f"Bearer {access_token}"
