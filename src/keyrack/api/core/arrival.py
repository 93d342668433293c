"""Reads what every request may bring, and says what every answer bears."""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence

from keyrack.crypto.secret import Secret
from keyrack.errors import Unauthorized
from keyrack.ids import new_id

_PRINTABLE_ID = re.compile(r"[\x21-\x7e][\x20-\x7e]{0,255}")


def basic_credentials(header: bytes | None) -> tuple[str, Secret]:
    """Read Basic credentials (RFC 7617), split at the first colon.

    Raises:
        Unauthorized: there are none.
    """
    scheme, _, encoded = (header or b"").partition(b" ")
    if scheme.lower() != b"basic":
        raise Unauthorized
    try:
        name, colon, api_key = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise Unauthorized from None
    if not colon or not name or not api_key:
        raise Unauthorized
    return name, Secret(api_key)


def request_id_of(headers: dict[bytes, bytes]) -> str:
    """Echo a printable request id, make one otherwise (contract section 1)."""
    given = headers.get(b"x-request-id")
    if given is None or not _PRINTABLE_ID.fullmatch(text := given.decode("latin-1")):
        return new_id()
    return text


USUAL_HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
"""Of every answer that does not say otherwise: nothing is guessed, framed, loaded, told on or kept (contract 0.18)."""
OVER_TLS = (b"strict-transport-security", b"max-age=31536000")
"""Of every answer where callers come over https (RFC 6797)."""


def answer_headers(
    request_id: str, given: Iterable[tuple[bytes, bytes]] = (), *, over_tls: bool
) -> list[tuple[bytes, bytes]]:
    """Return the headers that an answer has beside its own.

    Args:
        request_id: the request's.
        given: its own; what is there is not said twice.
        over_tls: whether callers come over https.
    """
    own = {name.lower() for name, _ in given}
    usual = [*USUAL_HEADERS, OVER_TLS] if over_tls else USUAL_HEADERS
    return [(b"x-request-id", request_id.encode("latin-1")), *(each for each in usual if each[0] not in own)]
