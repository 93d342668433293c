"""Fills in the addresses of provider profiles: nothing that is filled in chooses who is told a client's secret.

What a client's maker filled in may be a part of a host, or begin an address. What belongs to a connection, which any
member may make, or was learned of an answer, is one label of a host whose end the profile fixes, a segment of a path,
or a value in the query.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum, auto
from urllib.parse import quote

from keyrack.oauth.profiles.request_parts import Template
from keyrack.oauth.profiles.templates import PLACEHOLDER, alternatives

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?")
_SEGMENTS = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*")
_HOST_AND_PATH = re.compile(rf"{_HOST.pattern}(/({_SEGMENTS.pattern}/?)?)?")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?", re.IGNORECASE)
_FIXED_END = re.compile(r"\.[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?")
"""What must stand behind a placeholder in a host: at least two labels of the provider's."""
_LONGEST = 500


class Place(Enum):
    """Where in an address a placeholder stands."""

    START = auto()
    SCHEME = auto()
    HOST = auto()
    PATH = auto()
    QUERY = auto()


def places(text: str) -> Iterator[tuple[str, Place, str]]:
    """Yield each placeholder of an address with its place and what of the host stands behind it."""
    for found in PLACEHOLDER.finditer(text):
        before = PLACEHOLDER.sub("x", text[: found.start()])
        behind = re.split(r"[/?#]", text[found.end() :], maxsplit=1)[0]
        yield found[1], _place(before), behind


def has_fixed_end(behind: str) -> bool:
    """Tell whether what stands behind a placeholder in a host is the provider's own domain."""
    return _FIXED_END.fullmatch(behind) is not None


def filled_address(
    template: Template, of_client: Mapping[str, str], of_connection: Mapping[str, str], later: str | None = None
) -> str | None:
    """Return the first alternative of an address whose placeholders all have a value that their place allows.

    Args:
        template: the address.
        of_client: what was filled in for the client; it counts before what a connection has.
        of_connection: what was filled in for the connection, or learned.
        later: a placeholder that stays as it is, in a path or a query, and is filled in later.

    Returns:
        The address, or None if none of the alternatives can be filled in.
    """
    texts = alternatives(template)
    return next((made for text in texts if (made := _filled(text, of_client, of_connection, later))), None)


def _filled(text: str, of_client: Mapping[str, str], of_connection: Mapping[str, str], later: str | None) -> str | None:
    values = []
    for name, place, behind in places(text):
        if name == later and place in {Place.PATH, Place.QUERY}:
            values.append(f"{{{name}}}")
            continue
        own = of_client.get(name)
        value = own or of_connection.get(name) or ""
        allowed = _of_client(value, place, behind) if own else _of_connection(value, place, behind)
        if not value or len(value) > _LONGEST or not allowed:
            return None
        values.append(quote(value, safe="") if place is Place.QUERY else value)
    filling = iter(values)
    return PLACEHOLDER.sub(lambda _: next(filling), text)


def _of_client(value: str, place: Place, behind: str) -> bool:
    if place is Place.START:
        return _ORIGIN.fullmatch(value) is not None
    if place is Place.HOST:  # it may go on into the path where it is the end of the host
        return (_HOST if behind else _HOST_AND_PATH).fullmatch(value) is not None
    return place is Place.QUERY or (place is Place.PATH and _SEGMENTS.fullmatch(value) is not None)


def _of_connection(value: str, place: Place, behind: str) -> bool:
    if place is Place.HOST:
        return has_fixed_end(behind) and _LABEL.fullmatch(value) is not None
    return place is Place.QUERY or (place is Place.PATH and _SEGMENT.fullmatch(value) is not None)


def _place(before: str) -> Place:
    if not before:
        return Place.START
    _, separator, rest = before.partition("://")
    if not separator:
        return Place.SCHEME
    if not any(character in rest for character in "/?#\\"):
        return Place.HOST
    return Place.QUERY if "?" in rest or "#" in rest else Place.PATH
