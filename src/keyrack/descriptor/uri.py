"""URIs from templates: a user's value may choose what the descriptor lets it choose, and nothing beside it.

The host decides who receives the tenant's client secret, so the rules of contract section 19.4 are applied to each
value by its place, and the result is checked as a whole. Values in the host are held to an allow list rather than to
the contract's deny list: that keeps out every character which some parser maps to a dot, a slash or nothing
(U+3002, U+FF0E, U+FF61, U+2044, U+FF0F, U+00AD ...). What host a name resolves to, and whether `http` and private
addresses are allowed, is for the guard that connects.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Mapping
from enum import Enum, auto
from urllib.parse import quote

from keyrack.descriptor.template import Placeholder, template_parts
from keyrack.errors import Problem, ValidationFailed

MAX_LENGTH = 4096

_HOST_VALUE = re.compile(r"[A-Za-z0-9._-]+")
_URI = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?]*)(?P<path>[^?]*)(?P<query>\?.*)?", re.IGNORECASE)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:(?P<port>[0-9]{1,5}))?")
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMERIC_LABEL = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_DOT_SEGMENT = re.compile(r"(\.|%2e){1,2}", re.IGNORECASE)
_NUMBER_NEXT = re.compile(r"://[^/?]*[:\[][0-9A-Fa-f:.]*$")
"""A port or an IPv6 address has begun."""
_STARTS = ("https://x.example", "https://x.example/x")
"""What a variable may hold that starts a URI."""
_FORBIDDEN = frozenset("\\#{}")
_KEPT = "%/?:@!$&'()*+,;=~[]"
_MAX_HOST = 253
_MAX_PORT = 65535
_MAX_NAME = 100


class _Place(Enum):
    START = auto()
    SCHEME = auto()
    HOST = auto()
    PATH = auto()
    QUERY = auto()


def render_uri(
    template: str,
    context: Mapping[str, str],
    pointer_for: Callable[[str], str | None] = lambda _: None,
    absent: Callable[[str], str] = lambda _: "has no value",
) -> str:
    """Return the absolute `http` or `https` URL of a template.

    Args:
        template: a descriptor's URI.
        context: values of the variables.
        pointer_for: gives the JSON pointer of the request member behind a variable, or None.
        absent: says of a variable without a value what there is to do.

    Raises:
        ValidationFailed: variables are unresolved or empty, or hold what their place does not allow, or the result
            is not an absolute URL. The variables are named, their values never.
    """
    pieces = list(template_parts(template.strip()))
    rendered = ""
    problems: list[Problem] = []
    for index, piece in enumerate(pieces):
        if not isinstance(piece, Placeholder):
            rendered += piece
            continue
        value = context.get(piece.name, "")
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        fault = _fault(value, _place(rendered), following) if value else absent(piece.name)
        if fault:
            problems.append(Problem(f"variable {piece.name[:_MAX_NAME]} {fault}", pointer_for(piece.name)))
            value = "x"  # stands in, so that the places of the variables after it are still found
        rendered += value
    if problems:
        raise ValidationFailed(*problems)
    try:
        return absolute_uri(rendered)
    except ValueError as error:
        raise ValidationFailed(Problem(f"the URI made from the descriptor {error}")) from None


def template_fault(template: str) -> str | None:
    """Return why no values at all make an absolute `http` or `https` URL of a template; None if some may.

    Args:
        template: a descriptor's URI.
    """
    faults = [_fault_with(template.strip(), start) for start in _STARTS]
    return None if None in faults else faults[0]


def _fault_with(template: str, start: str) -> str | None:
    """Return what is wrong with a template whose variables hold the most harmless values."""
    rendered, pieces = "", list(template_parts(template))
    for index, piece in enumerate(pieces):
        if not isinstance(piece, Placeholder):
            rendered += piece
            continue
        place = _place(rendered)
        if place is _Place.SCHEME:
            return "has a variable in its scheme, which may not vary"
        if place is _Place.START:
            if fault := _start_fault(start, pieces[index + 1] if index + 1 < len(pieces) else None):
                return fault
            rendered += start
        else:
            rendered += "1" if _NUMBER_NEXT.search(rendered) else "x"
    try:
        absolute_uri(rendered)
    except ValueError as error:
        return str(error)
    return None


def absolute_uri(text: str) -> str:
    """Return an absolute `http` or `https` URL, with what must not stand bare in its path and query encoded.

    Args:
        text: the URL; may have a port, a path and a query; an international host name must be in punycode.

    Raises:
        ValueError: it is none, or has user information, a fragment, dot segments, white space, control characters,
            a backslash or braces, or an ambiguous host. The message completes a sentence and shows no value.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if _has_forbidden(text):
        raise ValueError("has white space, control characters or one of \\ # { }")
    match = _URI.fullmatch(text)
    if match is None:
        raise ValueError("is not an absolute http(s) URL")
    authority = _AUTHORITY.fullmatch(match["authority"])
    if authority is None or not _valid_host(authority["host"]):
        raise ValueError("has no valid host (or a user name in it)")
    if authority["port"] and not 0 < int(authority["port"]) <= _MAX_PORT:
        raise ValueError("has an invalid port")
    if any(_DOT_SEGMENT.fullmatch(segment) for segment in match["path"].split("/")):
        raise ValueError("has a . or .. segment in its path")
    return text[: match.end("authority")] + quote(text[match.end("authority") :], safe=_KEPT)


def _place(rendered: str) -> _Place:
    if not rendered:
        return _Place.START
    _, separator, rest = rendered.partition("://")
    if not separator:
        return _Place.SCHEME
    if not any(char in rest for char in "/?#\\"):
        return _Place.HOST
    return _Place.QUERY if "?" in rest else _Place.PATH


def _fault(value: str, place: _Place, following: str | Placeholder | None) -> str | None:
    """Return what is wrong with a value at its place, or None."""
    if place is _Place.SCHEME:
        return "stands in the scheme of a URI, which may not vary"
    if place is _Place.HOST and not _HOST_VALUE.fullmatch(value):
        return "stands in the host of a URI and may hold only ASCII letters, digits, dots, - and _"
    if place in (_Place.PATH, _Place.QUERY) and _has_forbidden(value):
        return "stands in a URI and may not hold white space, control characters or one of \\ # { }"
    if place is _Place.PATH and "?" in value and following is not None:
        return "stands in the path of a URI and may not hold a ?, which would cut off the rest"
    return _start_fault(value, following) if place is _Place.START else None


def _start_fault(value: str, following: str | Placeholder | None) -> str | None:
    try:
        absolute_uri(value)
    except ValueError as error:
        return f"starts a URI and {error}"
    tail = re.search(r"[/?]", value.partition("://")[2])
    if tail and isinstance(following, str) and following.startswith((".", "-", ":")):
        # The descriptor goes on with the host, as in `{{base}}.example.com`; a path here would cut that off.
        return "starts a URI and may hold only scheme and host, since more of the host follows"
    return None


def _has_forbidden(text: str) -> bool:
    return any(char in _FORBIDDEN or unicodedata.category(char)[0] in "ZC" for char in text)


def _valid_host(host: str) -> bool:
    if host.startswith("["):
        return _parses(ipaddress.IPv6Address, host[1:-1])
    labels = host.split(".")
    if len(host) > _MAX_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        return False
    # Browsers and resolvers read a host that ends in a number as an IPv4 address, in many notations; one is enough.
    return not _NUMERIC_LABEL.fullmatch(labels[-1]) or _parses(ipaddress.IPv4Address, host)


def _parses(kind: Callable[[str], object], text: str) -> bool:
    try:
        kind(text)
    except ValueError:
        return False
    return True
