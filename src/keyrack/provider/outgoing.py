"""What is sent: a form to an authorization server, or JSON to a webhook; as bytes and headers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.wire import FormRequest
from keyrack.provider.body import encode_form

_HEADER_VALUE = re.compile(r"[!-~]+(?: +[!-~]+)*")


@dataclass(frozen=True, slots=True)
class JsonRequest:
    """A POST of `application/json`.

    Attributes:
        url: absolute URL; a webhook's may authorise, so it is left out of the repr.
        body: the JSON text in UTF-8, sent byte by byte as it is because its signature covers it.
        headers: further headers.
    """

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


Outgoing = FormRequest | JsonRequest
"""What can be sent."""


def body_of(request: Outgoing) -> bytes:
    """Return the body of a request.

    Raises:
        ValidationFailed: a form value is not valid Unicode text.
    """
    return request.body if isinstance(request, JsonRequest) else encode_form(request)


def headers_of(request: Outgoing) -> dict[str, str]:
    """Return the headers of a request, the media type among them.

    Raises:
        ValidationFailed: a value cannot stand in a header; no variable here holds one, lest a traceback shows it.
    """
    if isinstance(request, JsonRequest):
        if not all(map(_HEADER_VALUE.fullmatch, request.headers.values())):
            raise ValidationFailed(Problem("A header for the webhook is not valid."))
        return {"Content-Type": "application/json", **request.headers}
    form = {"Accept": request.accept, "Content-Type": "application/x-www-form-urlencoded"}
    if request.authorization is None:
        return form
    if not _HEADER_VALUE.fullmatch(request.authorization.reveal()):
        raise ValidationFailed(Problem("The authorization for the authorization server is not a valid header."))
    return form | {"Authorization": request.authorization.reveal()}
