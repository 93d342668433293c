"""A request as it came to a twin, and its answer, before anything is made of either."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_plus

FORM, JSON = "application/x-www-form-urlencoded", "application/json"

_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Pair:
    """A parameter: its name, its value, and how the value was written."""

    name: str
    value: Any
    raw: str = ""


class Unreadable(ValueError):
    """A body or a query is not in the format that it should be in."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request.

    Attributes:
        method: of HTTP.
        url: absolute, as it was written; a browser's may have a fragment.
        headers: names in lower case, in order.
        body: as it came.
        certificate: that the client has shown in TLS, in DER; None: none.
    """

    method: str
    url: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)
    certificate: bytes | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        """The address without query and fragment."""
        return normal(self.url.partition("#")[0].partition("?")[0])

    @property
    def query(self) -> str:
        """The query, undecoded; of an address with a fragment that has one itself, the fragment's."""
        before, _, fragment = self.url.partition("#")
        return fragment.partition("?")[2] or before.partition("?")[2]

    @property
    def fragment(self) -> str | None:
        """What stands behind `#`, without its query; None if there is none."""
        _, mark, fragment = self.url.partition("#")
        return fragment.partition("?")[0] if mark else None

    def header(self, name: str) -> str | None:
        """Return the only header of a name; several are joined, as RFC 9110 section 5.2 has it."""
        found = [value for each, value in self.headers if each == name]
        return ", ".join(found) if found else None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; a text for `location` sends a browser there."""

    status: int
    body: Any = field(default=None, repr=False)
    location: str = field(default="", repr=False)
    content_type: str = JSON

    @property
    def content(self) -> bytes:
        """The body as it is sent: a text as it is, else JSON."""
        if self.body is None:
            return b""
        return self.body.encode() if isinstance(self.body, str) else json.dumps(self.body).encode()


def normal(address: str) -> str:
    """Return an address with its host in lower case, as it means the same however it is written (RFC 3986)."""
    scheme, mark, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}{mark}{host.lower()}{slash}{path}"


def pairs_of(text: str) -> list[Pair]:
    """Return the parameters of a query or form (RFC 6749 appendix B), in order.

    Raises:
        Unreadable: an escape is none, or what it stands for is no text.
    """
    found = []
    for part in text.split("&") if text else []:
        name, _, raw = part.partition("=")
        if _ESCAPE.search(part):
            raise Unreadable("there is a % that begins no escape")
        try:
            found.append(Pair(unquote_plus(name, errors="strict"), unquote_plus(raw, errors="strict"), raw))
        except UnicodeDecodeError:
            raise Unreadable("what is escaped is not UTF-8") from None
    return found


def unescaped(pair: Pair) -> str:
    """Return the value of a parameter that is sent without percent-encoding: a plus is a plus."""
    return unquote(pair.raw)


def members_of(body: bytes) -> list[Pair]:
    """Return the members of a JSON object.

    Raises:
        Unreadable: it is none, or says a member twice.
    """
    try:
        members = json.loads(body, object_pairs_hook=list)
    except ValueError:
        raise Unreadable("the body is no JSON") from None
    if not isinstance(members, list):
        raise Unreadable("the body is no JSON object")
    return [Pair(name, value) for name, value in members]
