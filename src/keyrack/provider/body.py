"""Bodies: a request's form written, an answer's bytes read and decoded, both within bounds."""

import zlib
from typing import Protocol
from urllib.parse import urlencode

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.wire import FormRequest
from keyrack.provider.faults import AnswerMalformedError, AnswerTooLargeError

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_RAW = -zlib.MAX_WBITS


class ByteStream(Protocol):
    """What is needed of an answer's body: its bytes as they come, b"" at its end."""

    async def readany(self) -> bytes:
        """Return what has arrived, waiting for at least one byte."""


def encode_form(request: FormRequest) -> bytes:
    """Encode a request's form as `application/x-www-form-urlencoded` in UTF-8 (RFC 6749 appendix B).

    The result is ASCII without control characters: no value can end a line or start a header.

    Raises:
        ValidationFailed: a value is not valid Unicode text.
    """
    try:
        return urlencode(request.form).encode("ascii")
    except UnicodeEncodeError:
        problem = "A value for the authorization server is not valid Unicode text."
    raise ValidationFailed(Problem(problem))


async def read_bounded(stream: ByteStream, limit: int) -> bytes:
    """Read a body to its end.

    Args:
        stream: where it comes from.
        limit: bytes it may have at most.

    Raises:
        AnswerTooLargeError: it has more.
    """
    body = bytearray()
    while chunk := await stream.readany():
        body += chunk
        if len(body) > limit:
            raise AnswerTooLargeError
    return bytes(body)


def decode_body(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo the content coding of a body (RFC 9110 section 8.4.1).

    None is asked for, but some servers compress all the same.

    Args:
        body: the bytes received.
        encoding: the `Content-Encoding` header, empty if there is none.
        limit: bytes the result may have at most; no more are ever produced.

    Raises:
        AnswerTooLargeError: the result would be larger.
        AnswerMalformedError: the coding is unknown or chained, or the bytes do not follow it.
    """
    coding = encoding.strip().lower()
    if not body or coding in {"", "identity"}:
        return body
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise AnswerMalformedError
    try:
        return _inflate(body, _GZIP_OR_ZLIB, limit)
    except zlib.error:
        if coding != "deflate":
            raise AnswerMalformedError from None
    try:
        return _inflate(body, _RAW, limit)  # what some servers mean by deflate
    except zlib.error:
        raise AnswerMalformedError from None


def _inflate(body: bytes, wbits: int, limit: int) -> bytes:
    result = bytearray()
    while body:  # gzip allows several members in a row (RFC 1952 section 2.2)
        member = zlib.decompressobj(wbits)
        result += member.decompress(body, limit + 1 - len(result))
        if len(result) > limit:
            raise AnswerTooLargeError
        if not member.eof:
            raise AnswerMalformedError
        body = member.unused_data
    return bytes(result)
