"""A request's form, written."""

from urllib.parse import urlencode

from keyrack.errors import Problem, ValidationFailed
from keyrack.oauth.wire import FormRequest


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
