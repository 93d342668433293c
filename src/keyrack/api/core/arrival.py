"""Reads what every request may bring, and says what every answer bears."""

import base64
import binascii
import re

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


def answer_headers(request_id: str, *, private: bool) -> list[tuple[bytes, bytes]]:
    """Return the headers of every answer.

    Args:
        request_id: the request's.
        private: much of the API carries secrets, all of it depends on the caller (contract 0.18).
    """
    headers = [(b"x-request-id", request_id.encode("latin-1")), (b"x-content-type-options", b"nosniff")]
    return [*headers, (b"cache-control", b"no-store")] if private else headers
