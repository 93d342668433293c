"""Writes URIs for the wire: path and query byte for byte as they are stored (contract 24.29)."""

import re
from urllib.parse import quote

from yarl import URL

_PARTS = re.compile(r"(?P<front>[^:/?#]+://[^/?#]*)(?P<rest>.*)", re.DOTALL)
_NOT_OF_A_URI = re.compile(r"[^A-Za-z0-9\-._~:/?@!$&'()*+,;=\[\]%]|%(?![0-9A-Fa-f]{2})")


def wire_uri(uri: str) -> str:
    """Return an absolute URL as it is called.

    Scheme and host are in lower-case ASCII. Of path and query nothing is changed that RFC 3986 lets stand: `%2F`,
    `%2D`, `[`, `;` and dot segments stay as they are. What may not stand there (non-ASCII characters, `"`, a `%`
    without two digits) is percent-encoded in UTF-8, since it could not be sent; an empty path is `/`.

    Args:
        uri: an absolute URL without user name and fragment.

    Raises:
        ValueError: it is none, or IDNA refuses its host.
    """
    parts = _PARTS.fullmatch(uri)
    if parts is None:
        raise ValueError("not an absolute URL")
    front = URL(parts["front"])
    rest = _NOT_OF_A_URI.sub(lambda found: quote(found[0], safe=""), parts["rest"])
    return f"{front.scheme}://{front.raw_authority}{'' if rest.startswith('/') else '/'}{rest}"
