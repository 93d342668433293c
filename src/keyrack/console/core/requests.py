"""What all pages of the console need of a request: who is signed in, the form that was sent, and from where."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from litestar import Request, Response
from litestar.enums import MediaType
from litestar.exceptions import HTTPException

from keyrack.api.core.connections import source_of
from keyrack.api.core.middleware import caller_address, request_id_of
from keyrack.api.core.rate_limits import Throttle
from keyrack.console.core.forms import Form
from keyrack.console.core.rendering import HEADERS
from keyrack.console.core.session_cookie import SessionCookie, cookie_of, is_from_our_page, needs_https, new_cookie
from keyrack.errors import BadRequest, Forbidden, Unauthorized
from keyrack.fair_share import asking_for
from keyrack.service.identity.console_sign_in import ConsoleSignIn, SignedIn, Visitor
from keyrack.validation.strict_json import refuse_unstorable_text

PATH = "/console"
SIGN_IN = f"{PATH}/sign-in"
LIVE = "x-keyrack-live"
"""Header of requests that a page makes by itself to show what has changed; they do not count as use of a session."""

_MAX_FIELDS = 200
_OUR_PAGE = re.compile(r"/console(/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*(\?[A-Za-z0-9_.~%&=+:-]*)?")
_LONGEST_WAY_BACK = 2000

AnyRequest = Request[Any, Any, Any]


class FormNotOurs(Forbidden):
    """The form was not sent from a page of ours in this browser, or the page is older than your sign-in."""


class SignInNeeded(Exception):
    """Nobody is signed in.

    Attributes:
        answer: what sends the browser to sign in.
    """

    def __init__(self, answer: Response[Any]) -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Console:
    """How people get into the console, and what it needs to know about the installation.

    Attributes:
        public_url: the setting of this name.
    """

    sign_in: ConsoleSignIn
    throttle: Throttle
    public_url: str | None

    @property
    def root(self) -> str:
        """The path that a proxy has put in front of ours, or nothing."""
        return urlsplit(self.public_url or "").path

    async def signed_in(self, request: AnyRequest) -> SignedIn:
        """Return who is signed in.

        Raises:
            SignInNeeded: nobody, or not any more.
            RateLimited: the person, or all of the tenant, make too many requests.
        """
        cookie = self.cookie(request)
        if cookie is None:
            raise SignInNeeded(self._to_sign_in(request))
        where, reference = caller_address(request.scope), request_id_of(request.scope)
        try:
            found = await self.sign_in.signed_in(cookie.value, where, reference, used=LIVE not in request.headers)
        except Unauthorized:
            raise SignInNeeded(self._to_sign_in(request)) from None
        self.throttle.admit(found.who)
        asking_for.set(found.who.tenant_id or found.who.id)
        return found

    def cookie(self, request: AnyRequest) -> SessionCookie | None:
        """Return the browser's cookie, if it sends one."""
        return cookie_of(request.cookies, secure=needs_https(self.public_url))

    def new_cookie(self) -> SessionCookie:
        """Return a cookie for a browser that has none."""
        return new_cookie(secure=needs_https(self.public_url))

    async def form(self, request: AnyRequest) -> Form:
        """Return the fields of a form that a page of ours has sent.

        Raises:
            FormNotOurs: another site's page has, or one of another sign-in.
            BadRequest: it cannot be read.
        """
        if not is_from_our_page(request.headers, self.public_url):
            raise FormNotOurs
        form, cookie = Form(await _texts(request)), self.cookie(request)
        if cookie is None or not cookie.made_form(form.get("form_token", "")):
            raise FormNotOurs
        return form

    async def form_with_file(self, request: AnyRequest, name: str) -> tuple[Form, bytes]:
        """Return the fields of a form as `form` does, and the content of its one file; empty if none was chosen.

        Args:
            request: with a form of the type `multipart/form-data`.
            name: of the field with the file.

        Raises:
            FormNotOurs, BadRequest: as of `form`.
        """
        form = await self.form(request)
        file = (await Request.form(request)).get(name) if _is_in_parts(request) else None
        return form, b"" if file is None or isinstance(file, str) else await file.read()

    def go(self, path: str, headers: Mapping[str, str] | None = None, **query: str) -> Response[str]:
        """Send the browser to a page of ours, which it then gets with GET."""
        where = f"{self.root}{path}{'?' if query else ''}{urlencode(query)}"
        said = {**HEADERS, "location": where, **(headers or {})}
        return Response("", status_code=303, media_type=MediaType.HTML, headers=said)

    def _to_sign_in(self, request: AnyRequest) -> Response[Any]:
        """Send whoever is not signed in, or not any more, to sign in; and back afterwards."""
        if request.method != "GET":
            answer = self.go(SIGN_IN, why="ended")
        else:
            here = way_back(str(request.scope["path"]).rstrip("/") + _query_of(request))
            answer = self.go(SIGN_IN, next=here) if here != PATH else self.go(SIGN_IN)
        if "hx-request" not in request.headers:
            return answer
        # A redirect would put the sign-in page into a part of this one; so the whole page goes there.
        said = {**HEADERS, "hx-redirect": answer.headers["location"]}
        return Response("", status_code=200, media_type=MediaType.HTML, headers=said)


def way_back(address: str) -> str:
    """Return the page of ours that an address leads to, the first one if it leads elsewhere or to the sign-in."""
    ours = len(address) <= _LONGEST_WAY_BACK and _OUR_PAGE.fullmatch(address) is not None
    return address if ours and not address.startswith(f"{PATH}/sign-") else PATH


def answer_sign_in_needed(request: AnyRequest, error: SignInNeeded) -> Response[Any]:
    """Answer a request of somebody who is not signed in."""
    del request
    return error.answer


def visitor_of(request: AnyRequest) -> Visitor:
    """Return where somebody comes from."""
    address = caller_address(request.scope)
    browser = request.headers.get("user-agent", "")
    return Visitor(str(source_of(address)), address, browser, request_id_of(request.scope))


async def end_earlier_session(request: AnyRequest, console: Console) -> None:
    """End the session that a browser held before somebody signed in there anew, whose cookie takes its place."""
    earlier = console.cookie(request)
    if earlier is not None:
        await console.sign_in.leave(earlier.value, visitor_of(request))


def _query_of(request: AnyRequest) -> str:
    query = request.scope["query_string"].decode("ascii", "replace")
    return f"?{query}" if query else ""


def page_number(request: AnyRequest, name: str) -> int:
    """Return the page of a list that is asked for, from 1; the first one if that is no number."""
    text = request.query_params.get(name, "1")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 8 and int(text) > 0 else 1  # noqa: PLR2004 - enough for any list


async def _texts(request: AnyRequest) -> Mapping[str, Sequence[str]]:
    """Return the fields of a form but for files, sent as one string or in parts.

    All that people type into the console comes by here, so it is here that text is refused that no database keeps.

    Raises:
        BadRequest: it cannot be read, is not UTF-8, or has a NUL or a lone surrogate.
    """
    try:
        texts = await (_texts_of_parts(request) if _is_in_parts(request) else _texts_of_string(request))
    except (UnicodeDecodeError, LookupError):  # the latter: a part is said to be in an encoding that nobody knows
        raise BadRequest("the form is not in UTF-8") from None
    for name, values in texts.items():
        for text in (name, *values):
            refuse_unstorable_text(text, "the form")
    return texts


async def _texts_of_string(request: AnyRequest) -> Mapping[str, Sequence[str]]:
    text = (await Request.body(request)).decode("utf-8")
    try:
        return parse_qs(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
    except UnicodeDecodeError:
        raise
    except ValueError:
        raise BadRequest("the form has too many fields") from None


async def _texts_of_parts(request: AnyRequest) -> Mapping[str, Sequence[str]]:
    try:
        given = await Request.form(request)
    except HTTPException:
        raise BadRequest("the form cannot be read") from None
    texts: dict[str, list[str]] = {}
    for field, value in given.multi_items():
        if isinstance(value, str):
            texts.setdefault(field, []).append(value)
    return texts


def _is_in_parts(request: AnyRequest) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data")
