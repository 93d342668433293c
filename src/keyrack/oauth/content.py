"""Decodes an answer's content to text: content coding and character set, leniently (RFC 9110 section 8).

What is labelled wrongly is read as what it is, and what cannot be decoded is taken as it came: an answer that breaks a
rule may still hold tokens.
"""

import json
import re
import zlib
from collections.abc import Mapping

MAX_CONTENT = 1024 * 1024
"""Bytes of a decoded answer that are looked at."""

MAX_MEMBERS = 500
"""Members of a gzip file that are unpacked (RFC 1952 section 2.2)."""

_PIECE = 8 * 1024
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW = -zlib.MAX_WBITS
_GZIP = b"\x1f\x8b"
_MAX_CODINGS = 3
_MAX_MEDIA_TYPE = 500
_MAX_REPLACED = 64 * 1024
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\"';,\s]+)", re.IGNORECASE)
_CHARSETS = re.compile(
    r"utf-?(8|16|32)(-?[bl]e)?|us-?ascii|iso-?8859-?[0-9]{1,2}|latin-?[0-9]|windows-?[0-9]{3,4}|cp[0-9]{3,4}"
    r"|koi8-[ru]|shift_jis|euc-?(jp|kr)|gb(k|2312|18030)|big5",
    re.IGNORECASE,
)
"""Only these: other codecs of Python are no character sets, or take long."""
_ASIDE = "\0 \t\r\n\ufeff"


def text_of(body: bytes, headers: Mapping[str, str]) -> tuple[str, bool]:
    """Return the content of a body as text, without padding, and whether its end is missing.

    Args:
        body: as received.
        headers: of the answer, names in lower case.
    """
    content, cut = decoded(body, headers.get("content-encoding", ""))
    return _characters(content, headers.get("content-type", "")).strip(_ASIDE), cut


def decoded(body: bytes, encoding: str, limit: int = MAX_CONTENT) -> tuple[bytes, bool]:
    """Undo the content coding of a body (RFC 9110 section 8.4).

    None is asked for, but some servers compress all the same. Unknown codings are taken as a slip of the pen, and what
    does not follow its coding as not coded. What is gzip is unpacked whatever the label says.

    Args:
        body: as received.
        encoding: the `Content-Encoding` header, empty if there is none.
        limit: bytes the result may have at most; no more are ever produced.

    Returns:
        The content, and whether its end is missing, because there would be more than `limit` or the coding was cut.
    """
    codings = [coding.strip().lower() for coding in encoding.split(",")][-_MAX_CODINGS:]
    cut = False
    for coding in reversed(codings):
        if body.startswith(_GZIP) or coding in {"gzip", "x-gzip", "deflate"}:
            unpacked = _inflated(body, _GZIP_OR_ZLIB, limit)
            if unpacked is None and coding == "deflate":
                unpacked = _inflated(body, _RAW, limit)  # what some servers mean by deflate
                if unpacked is not None and unpacked[1] and len(unpacked[0]) < limit:
                    unpacked = None  # any text may begin like it
            if unpacked is not None:
                body, cut = unpacked[0], cut or unpacked[1]
    return body[:limit], cut or len(body) > limit


def _inflated(body: bytes, wbits: int, limit: int) -> tuple[bytes, bool] | None:
    """Unpack in pieces, as far as that goes; None if it does not go at all. What follows the last member is ignored."""
    result = bytearray()
    member, members, fresh = zlib.decompressobj(wbits), 1, True
    for at in range(0, len(body), _PIECE):
        piece = body[at : at + _PIECE]
        while piece:
            try:
                result += member.decompress(piece, limit + 1 - len(result))
            except zlib.error:
                if members == 1 and not result:
                    return None
                return bytes(result), not fresh
            if len(result) > limit:
                return bytes(result[:limit]), True
            fresh, piece = False, member.unused_data
            if member.eof and piece:
                if members == MAX_MEMBERS:
                    return bytes(result), True
                member, members, fresh = zlib.decompressobj(wbits), members + 1, True
    return bytes(result), not member.eof


def _characters(content: bytes, media_type: str) -> str:
    """Decode a text: by its byte order mark or the zeros in it, else as UTF-8, else as it says, else as it goes."""
    found = _CHARSET.search(media_type[:_MAX_MEDIA_TYPE])
    declared = found[1] if found and _CHARSETS.fullmatch(found[1]) else "utf-8"
    padded = content.lstrip(b"\0")
    if b"\0" not in padded[:4]:  # else the zeros belong to UTF-16 or UTF-32
        content = padded
    for charset in (json.detect_encoding(content), "utf-8", declared):
        try:
            return content.decode(charset)
        except (UnicodeError, LookupError):
            continue
    # Replacing takes long where there is much to replace.
    return content.decode("utf-8", "replace") if len(content) <= _MAX_REPLACED else content.decode("latin-1")
