"""Encodes requests to providers and webhooks as bytes and headers: forms, queries and JSON."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from yarl import URL

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.wire import ClientCertificate, FormRequest, JsonRequest, QueryRequest

_JSON, _QUERY = "json", "query"
"""Ways to write the members of a `FormRequest`, beside `form`."""
_HEADER_VALUE = re.compile(r"[!-~]+(?: +[!-~]+)*")


@dataclass(frozen=True, slots=True)
class JsonPost:
    """A POST of `application/json`.

    Attributes:
        url: absolute URL; a webhook's may authorise, so it is left out of the repr.
        body: the JSON text in UTF-8, sent byte by byte as it is because its signature covers it.
        headers: further headers.
    """

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Outgoing = FormRequest | QueryRequest | JsonRequest | JsonPost
"""What can be sent."""


def method_of(request: Outgoing) -> str:
    """Return the HTTP method of a request."""
    return "POST" if isinstance(request, JsonPost) else request.method


def certificate_of(request: Outgoing) -> ClientCertificate | None:
    """Return what is shown in TLS, None for nothing."""
    return request.certificate if isinstance(request, FormRequest | QueryRequest) else None


def body_of(request: Outgoing) -> bytes | None:
    """Return the body of a request, None for one without.

    Raises:
        ValidationFailed: a form value is not valid Unicode text.
    """
    if isinstance(request, QueryRequest):
        return None
    if isinstance(request, JsonPost):
        return request.body
    if isinstance(request, JsonRequest):
        return None if request.document is None else json.dumps(request.document).encode("ascii")
    if request.body == _JSON:
        return encode_json(request)
    return None if request.body == _QUERY else encode_form(request)


def url_of(request: Outgoing, url: URL) -> URL:
    """Return where a request goes, its query included.

    Args:
        request: what is sent.
        url: the request's URL as it was parsed and judged.

    Raises:
        ValidationFailed: a value is not valid Unicode text.
    """
    if isinstance(request, FormRequest) and request.body == _QUERY:
        query = encode_form(request).decode("ascii")
    elif isinstance(request, QueryRequest) and request.query:
        query = encode_form(FormRequest(request.url, request.query)).decode("ascii")
    else:
        return url
    return URL(f"{url}{'&' if url.raw_query_string else '?'}{query}", encoded=True)


def headers_of(request: Outgoing) -> dict[str, str]:
    """Return the headers of a request, the media type among them.

    Raises:
        ValidationFailed: a value cannot stand in a header; no variable here holds one, lest a traceback shows it.
    """
    if isinstance(request, JsonPost):
        if not all(map(_HEADER_VALUE.fullmatch, request.headers.values())):
            raise ValidationFailed(Problem("A header for the webhook is not valid."))
        return {"Content-Type": "application/json", **request.headers}
    if isinstance(request, JsonRequest):
        form = {"Accept": request.accept} | ({} if request.document is None else {"Content-Type": "application/json"})
    else:
        form = {} if isinstance(request, QueryRequest) else _form_headers(request)
        for name, value in request.headers:
            if not _HEADER_VALUE.fullmatch(value):
                raise ValidationFailed(Problem("A header that the provider's profile asks for cannot be sent."))
            form[name] = value
    if request.authorization is None:
        return form
    if not _HEADER_VALUE.fullmatch(request.authorization.reveal()):
        what = "client id and secret" if isinstance(request, FormRequest) else "access token"
        raise ValidationFailed(Problem(f"The {what} cannot be sent in a valid Authorization header."))
    return form | {"Authorization": request.authorization.reveal()}


def _form_headers(request: FormRequest) -> dict[str, str]:
    """Return the headers that say how the parameters of a request are written."""
    form = {"Accept": request.accept}
    if request.body != _QUERY:
        form["Content-Type"] = "application/json" if request.body == _JSON else "application/x-www-form-urlencoded"
    return form


def encode_json(request: FormRequest) -> bytes:
    """Encode a request's members as a JSON object of texts, in ASCII; one with several has an array of them.

    Raises:
        ValidationFailed: a value is not valid Unicode text.
    """
    encode_form(request)  # refuses the same
    members: dict[str, list[str]] = {}
    for name, value in request.form:
        members.setdefault(name, []).append(value)
    texts = {name: each if len(each) > 1 else each[0] for name, each in members.items()}
    return json.dumps({**texts, **dict(request.literals)}).encode("ascii")


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
