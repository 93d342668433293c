"""Requests to authorization servers and their answers, as plain values without I/O."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyrack.crypto.secret import Secret


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a client shows in TLS (RFC 8705 section 2).

    Attributes:
        chain: certificates in PEM, the client's own first.
        key: its private key, in PEM.
    """

    chain: str = field(repr=False)
    key: Secret


@dataclass(frozen=True, slots=True)
class FormRequest:
    """A request with parameters: a POST of `application/x-www-form-urlencoded` (RFC 6749 section 4.1.3, appendix B).

    Some providers want their parameters otherwise; `body` and `method` say so.

    Attributes:
        url: absolute URL, its own query string kept; left out of the repr, since some have a token in it.
        form: members of the body in order; values may be secret, so it is left out of the repr.
        authorization: value of the `Authorization` header, or None for no header.
        accept: value of the `Accept` header (contract section 20.3).
        method: of HTTP: `POST` or `PUT`; `GET` and `DELETE` have no body.
        body: how the members are written: `form`, `json` as texts of one object, or `query` behind the address.
        headers: further headers; values may be secret.
        literals: members of the form that JSON has as numbers or truth values, not as texts.
        proof_key: with which the sender proves that it holds it (`keyrack.oauth.dpop`); None: no proof goes along.
        certificate: what the client shows in TLS; None: nothing.
        anew: makes the same request again, where something in it is good once, such as an assertion (RFC 7523 section
            3, `jti`); None: it can be sent again as it is.
    """

    url: str = field(repr=False)
    form: tuple[tuple[str, str], ...] = field(repr=False)
    authorization: Secret | None = None
    accept: str = "application/json"
    method: str = "POST"
    body: str = "form"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    literals: tuple[tuple[str, int], ...] = ()
    proof_key: Secret | None = None
    certificate: ClientCertificate | None = None
    anew: "Callable[[], FormRequest] | None" = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class QueryRequest:
    """A GET with parameters in the query.

    Attributes:
        url: absolute URL, its own query string kept in front.
        query: further parameters in order; values may be secret, so they are left out of the repr.
        authorization: value of the `Authorization` header, or None for no header.
        headers: further headers; values may be secret.
        proof_key: as of `FormRequest`; a token in `authorization` is then bound to it.
        certificate: as of `FormRequest`.
    """

    url: str
    query: tuple[tuple[str, str], ...] = field(repr=False)
    authorization: Secret | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    proof_key: Secret | None = None
    certificate: ClientCertificate | None = None

    @property
    def method(self) -> str:
        """The method of HTTP."""
        return "GET"


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """A request with a JSON document, or without a body: client registration, and questions to protected resources.

    Attributes:
        url: absolute URL, its own query string kept; a registration's may be secret, so it is left out of the repr.
        document: what is sent; None for no body. It may be secret.
        method: of HTTP: `POST`, `PUT` or `DELETE`.
        authorization: value of the `Authorization` header, or None for no header.
        accept: value of the `Accept` header.
    """

    url: str = field(repr=False)
    document: Mapping[str, Any] | None = field(default=None, repr=False)
    method: str = "POST"
    authorization: Secret | None = None
    accept: str = "application/json"


class AnswerFault(StrEnum):
    """What is wrong with an answer that arrived all the same; `reason` of the failure where it costs the answer."""

    TIMEOUT = "timeout"
    CLOSED = "closed"
    TOO_LARGE = "too_large"
    PROTOCOL = "protocol"


ANSWER_FAULTS = {
    AnswerFault.TIMEOUT: "The authorization server did not answer in time.",
    AnswerFault.CLOSED: "The authorization server closed the connection before its answer was complete.",
    AnswerFault.TOO_LARGE: "The answer of the authorization server is too large.",
    AnswerFault.PROTOCOL: "The authorization server did not answer in valid HTTP.",
}
"""What is told of them."""


@dataclass(frozen=True, slots=True)
class RawResponse:
    """An authorization server's answer, not yet interpreted: whatever arrived after a request was sent.

    Attributes:
        status: HTTP status code; 0 where none could be read.
        headers: response headers, names in lower case.
        body: the body as received, without the frames of chunks and with its content coding, at most as large as the
            client allows; where no head could be read, everything that came. It may hold tokens, so it is left out of
            the repr.
        fault: what is wrong with the answer, None if nothing is.
        cut: the body may end too early: the connection, the time or the allowed size ended before it did.
        head: the status line and headers as received, where they are not valid.
        surplus: what had come behind the body by then; servers that count characters as bytes put the body's end there.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    fault: AnswerFault | None = None
    cut: bool = False
    head: bytes = field(default=b"", repr=False)
    surplus: bytes = field(default=b"", repr=False)
