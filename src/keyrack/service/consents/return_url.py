"""Checks the URL a browser returns to after a consent: our own host, or one the tenant allows (contract 0.7, 20.4)."""

import re
import unicodedata
from collections.abc import Collection
from urllib.parse import quote, urlencode, urlsplit

from keyrack.errors import Problem, ValidationFailed

MAX_LENGTH = 4096
"""Characters of a return URL once it is encoded: longer headers are refused by servers in between."""

_POINTER = "/data/attributes/return_url"
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_PORTS = {"http": 80, "https": 443}
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]+")
"""A name or an address; a pattern such as `*.example` is none."""

Origin = tuple[str, str, int]
"""Scheme, host and port."""


def checked_return_url(return_url: str, base: str, allowed: Collection[str] = ()) -> str:
    """Insist that a return URL is on our own host or an allowed one, else the callback would be an open redirector.

    Scheme, host and port are compared as browsers do (RFC 3986 section 6.2.2.1, 6.2.3): without regard to case, and a
    default port is the same as none.

    Args:
        return_url: as it was sent; may be an IRI (RFC 3987).
        base: the base of our addresses, as it is configured.
        allowed: origins beside that, as the tenant's administrators named them (decision 36).

    Returns:
        The URL to send the browser to: ASCII only, what is beyond it percent-encoded.

    Raises:
        ValidationFailed: it is elsewhere, too long, or not a plain URL.
    """
    origin = origin_of_page(return_url)
    bad = "\\" in return_url or any(unicodedata.category(character)[0] in "ZC" for character in return_url)
    if bad or origin is None or origin not in {origin_of_page(each) for each in (base, *allowed)}:
        others = ", or of an origin that the tenant allows" if allowed else ""
        raise ValidationFailed(Problem(f"must be an address on {base}{others}", _POINTER))
    encoded = _as_uri(return_url)
    if len(encoded) > MAX_LENGTH:
        raise ValidationFailed(Problem(f"must not be longer than {MAX_LENGTH} characters", _POINTER))
    return encoded


def origin_of_page(address: str) -> Origin | None:
    """Return the origin of an http or https URL in its normal form (RFC 6454 section 4); None if it has none.

    An address with a user name in it has none.
    """
    try:
        parts = urlsplit(address)
        host, port = (parts.hostname or "").encode("idna").decode("ascii"), parts.port
    except ValueError:  # no URL, or no host that IDNA takes
        return None
    scheme = parts.scheme.lower()
    if scheme not in _PORTS or not host or parts.username is not None or "@" in parts.netloc:
        return None
    return scheme, host.lower(), _PORTS[scheme] if port is None else port


def checked_origin(given: str, pointer: str) -> str:
    """Return a web origin as browsers spell it (RFC 6454 section 6.1), to which a message or a browser can be sent.

    Args:
        given: as it was sent.
        pointer: where.

    Raises:
        ValidationFailed: it is none, or one that anybody on the way could be: `http` that is not this machine.
    """
    origin = origin_of_page(given)
    path = given.partition("://")[2].strip("/") if given.isprintable() else "/"
    if origin is None or set("/?#\\ ") & set(path) or not _HOST.fullmatch(origin[1]):
        raise ValidationFailed(Problem("must be a web origin such as https://app.example", pointer))
    scheme, host, port = origin
    if scheme != "https" and host not in _LOCAL:
        raise ValidationFailed(Problem("must begin with https, but for this machine (localhost)", pointer))
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port == _PORTS[scheme] else f":{port}")


def with_result(return_url: str | None, parameter: str, result_id: str) -> str | None:
    """Return a return URL with the id of what was made, its own query and fragment kept."""
    if return_url is None:
        return None
    base, hash_sign, fragment = _as_uri(return_url).partition("#")
    joint = "&" if "?" in base else "?"
    return f"{base}{joint}{urlencode({parameter: result_id})}{hash_sign}{fragment}"


def _as_uri(address: str) -> str:
    """Return a URL in ASCII: its host in IDNA, all else percent-encoded as UTF-8 (RFC 3987 section 3.1)."""
    if address.isascii():
        return address
    scheme, separator, rest = address.partition("://")
    end = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    host, colon, port = rest[:end].partition(":")
    return f"{scheme}{separator}{host.encode('idna').decode('ascii')}{colon}{port}{quote(rest[end:], safe=_ASCII)}"
