"""Pages that say why something was not done."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from litestar import Response

from keyrack.api.core.errors import on_keyrack_error, status_and_code
from keyrack.api.core.middleware import request_id_of
from keyrack.console.core.rendering import render
from keyrack.console.core.requests import AnyRequest, FormNotOurs
from keyrack.errors import KeyrackError


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    hint: str = ""
    says_why: bool = False
    """Whether the use case's own words are shown: they are about what the reader sent or may see."""


_BY_STATUS: Mapping[int, _Words] = {
    400: _Words("That cannot be done like this", "Go back, and change what is named here.", says_why=True),
    403: _Words("You may not do this", "Somebody with the right to do it can, or can give it to you.", says_why=True),
    404: _Words("There is no such page", "It may have been deleted meanwhile, or it is not yours to see."),
    409: _Words("That does not fit what is there now", "Go back, look again, and repeat it.", says_why=True),
    413: _Words("That was too much", "More was sent than the console takes."),
    429: _Words("Too many requests", "Wait a minute, then reload this page."),
    503: _Words("Not available right now", "We cannot use our database at the moment. Reload this page shortly."),
}
_FAULT = _Words("Something went wrong on our side", "This is not your fault. Reload this page in a moment.")
_FORM = _Words(
    "Nothing was changed",
    "The form did not come from a page of the console in this browser, or the page is older than your sign-in. Open the"
    " console again, and repeat what you were doing.",
)


def answer_refusal(request: AnyRequest, error: KeyrackError) -> Response[Any]:
    """Answer what a use case refuses with a page in plain words; the status is that of the API."""
    headers = on_keyrack_error(request, error).headers
    status, _ = status_and_code(error)
    words = _FORM if isinstance(error, FormNotOurs) else _BY_STATUS.get(status, _FAULT)
    retry_after = headers.get("retry-after")
    return render(
        "refusal.html",
        status,
        headers={} if retry_after is None else {"retry-after": retry_after},
        root=request.app.state.root,
        title=words.title,
        said=[problem.detail for problem in error.problems] if words.says_why else [],
        hint=words.hint,
        reference=request_id_of(request.scope),
    )
