"""What goes to an authorization server and what comes back, as plain values: no I/O here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyrack.crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class FormRequest:
    """A POST of `application/x-www-form-urlencoded` (RFC 6749 section 4.1.3, appendix B).

    Attributes:
        url: absolute URL, its own query string kept.
        form: members of the body in order; values may be secret, so it is left out of the repr.
        authorization: value of the `Authorization` header, or None for no header.
        accept: value of the `Accept` header (contract section 20.3).
    """

    url: str
    form: tuple[tuple[str, str], ...] = field(repr=False)
    authorization: Secret | None = None
    accept: str = "application/json"


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A GET with parameters in the query.

    Attributes:
        url: absolute URL, its own query string kept in front.
        query: further parameters in order; values may be secret, so they are left out of the repr.
    """

    url: str
    query: tuple[tuple[str, str], ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An authorization server's answer, not yet interpreted.

    Attributes:
        status: HTTP status code.
        headers: response headers, names in lower case.
        body: the body, at most as large as the client allows; may hold tokens, so it is left out of the repr.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
