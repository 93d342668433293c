"""`/console/sign-in` and `/console/sign-out`."""

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.rendering import render
from keyrack.console.core.requests import (
    PATH,
    SIGN_IN,
    AnyRequest,
    Console,
    FormNotOurs,
    SignInNeeded,
    visitor_of,
    way_back,
)
from keyrack.console.core.session_cookie import SessionCookie
from keyrack.errors import RateLimited
from keyrack.service.identity.console_sign_in import WrongPassword
from keyrack.validation.emails import email_key
from keyrack.visible import visible

_LONGEST_EMAIL = 320
_WRONG = "That email and password do not go together, or the account has no password yet."
_FORM_OLD = (
    "This page was open for too long, or your browser keeps no cookies for this address. Sign in again; if it goes on"
    " like this, allow cookies, and open the console with https."
)
_WHY = {
    "ended": "Your session had ended before this was sent, so nothing was changed. Sign in to go on.",
    "out": "You are signed out.",
}


@get("/sign-in", media_type=MediaType.HTML)
async def sign_in_page(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Show the form; whoever is signed in already is sent on."""
    if await _is_signed_in(request, console):
        return console.go(_next(request))
    why = _WHY.get(request.query_params.get("why", ""), "")
    return _form(request, console, why=why)


@post("/sign-in", media_type=MediaType.HTML)
async def signed_in(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Check email and password, and begin a session with a cookie that is new."""
    try:
        fields = await console.form(request)
    except FormNotOurs:
        if await _is_signed_in(request, console):  # in another tab, meanwhile, or by the same button
            return console.go(_next(request))
        return _form(request, console, status=403, wrong=_FORM_OLD)
    email = fields.get("email", "").strip()
    account, visitor = email_key(email[:_LONGEST_EMAIL]), visitor_of(request)
    try:
        console.throttle.password_tried(account, visitor.address)
        token = await console.sign_in.sign_in(email, fields.get("password", ""), visitor)
    except WrongPassword:
        return _form(request, console, status=400, wrong=_WRONG, email=email)
    except RateLimited as error:
        wait = f"Too many attempts. Wait {error.retry_after} seconds, then try again."
        headers = {"retry-after": str(error.retry_after)}
        return _form(request, console, status=429, wrong=wait, email=email, headers=headers)
    console.throttle.password_right(account, visitor.address)
    made = SessionCookie(token, console.new_cookie().secure)
    return console.go(_next(request), made.header())


@post("/sign-out", media_type=MediaType.HTML)
async def signed_out(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """End the session of this browser, and give it another cookie."""
    found = await console.signed_in(request)
    await console.form(request)
    await console.sign_in.sign_out(found)
    return console.go(SIGN_IN, console.new_cookie().header(), why="out")


async def _is_signed_in(request: AnyRequest, console: Console) -> bool:
    try:
        await console.signed_in(request)
    except SignInNeeded:
        return False
    return True


def _next(request: AnyRequest) -> str:
    """Return where somebody wanted to go: a page of ours, whatever the address says."""
    return way_back(str(request.query_params.get("next", "")))


def _form(
    request: AnyRequest,
    console: Console,
    *,
    status: int = 200,
    why: str = "",
    wrong: str = "",
    email: str = "",
    headers: dict[str, str] | None = None,
) -> Response[str]:
    cookie = console.cookie(request)
    made = cookie or console.new_cookie()
    return render(
        "identity/sign_in.html",
        status,
        headers={**(made.header() if cookie is None else {}), **(headers or {})},
        root=console.root,
        now=console.sign_in.now(),
        next="" if _next(request) == PATH else _next(request),
        form_token=made.form_token,
        why=why,
        wrong=wrong,
        email=visible(email[:_LONGEST_EMAIL]),
    )
