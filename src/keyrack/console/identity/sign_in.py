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
    end_earlier_session,
    visitor_of,
    way_back,
)
from keyrack.console.core.session_cookie import SessionCookie
from keyrack.console.identity.attempts import Attempt, attempt_of
from keyrack.crypto.secret import Secret
from keyrack.errors import RateLimited, Unauthorized
from keyrack.model.identity import Principal
from keyrack.service.identity.console_sign_in import WrongPassword
from keyrack.service.identity.one_time_codes import WrongCode
from keyrack.service.single_sign_on.sign_in import OrganisationSignIn
from keyrack.visible import visible

CODE = f"{SIGN_IN}/code"
_A_MINUTE = 60
_LONGEST_NAME = 320
_WRONG = (
    "That name and password do not go together, or the account has no password, or its organisation wants people to"
    " sign in with the organisation."
)
_WRONG_CODE = "That code is wrong, or was used before. Wait for the next one, or use a recovery code."
_FORM_OLD = (
    "This page was open for too long, or your browser keeps no cookies for this address. Sign in again; if it goes on"
    " like this, allow cookies, and open the console with https."
)
_WHY = {
    "ended": "Your session had ended before this was sent, so nothing was changed. Sign in to go on.",
    "late": "That took too long, or the account was changed meanwhile. Sign in again.",
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
    """Check the password, and begin a session with a cookie that is new, or ask for a code."""
    try:
        fields = await console.form(request)
    except FormNotOurs:
        if await _is_signed_in(request, console):  # in another tab, meanwhile, or by the same button
            return console.go(_next(request))
        return _form(request, console, status=403, wrong=_FORM_OLD)
    name = fields.get("email", "").strip()
    attempt = await attempt_of(request, console, name)
    try:
        attempt.count()
        begun = await console.sign_in.sign_in(name, fields.get("password", ""), visitor_of(request))
    except WrongPassword:
        return _form(request, console, status=400, wrong=_WRONG, name=name)
    except RateLimited as error:
        return _form(request, console, status=429, wrong=_wait(error), name=name, headers=_retry_after(error))
    attempt.was_right(signed_in=not begun.needs_code)
    if begun.needs_code:
        await end_earlier_session(request, console)
        cookie = SessionCookie(begun.token, console.new_cookie().secure)
        return console.go(CODE, cookie.header(), **_kept(request))
    return await _inside(request, console, attempt, begun.token)


@get("/sign-in/code", media_type=MediaType.HTML)
async def code_page(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Ask for the code, where the password was right."""
    try:
        await _waiting(request, console)
    except Unauthorized:
        return console.go(SIGN_IN, None, **_kept(request))
    return _code_form(request, console)


@post("/sign-in/code", media_type=MediaType.HTML)
async def code_given(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Check the code, and begin a session with a cookie that is new."""
    try:
        fields = await console.form(request)
        cookie, who = await _waiting(request, console)
    except (FormNotOurs, Unauthorized):  # also where the same button was pressed twice
        return console.go(_next(request)) if await _is_signed_in(request, console) else console.go(SIGN_IN, why="late")
    attempt = await attempt_of(request, console, who.name)
    try:
        attempt.count()
        token = await console.sign_in.sign_in_with_code(cookie.value, fields.get("code", ""), visitor_of(request))
    except WrongCode:
        return _code_form(request, console, status=400, wrong=_WRONG_CODE)
    except RateLimited as error:
        return _code_form(request, console, status=429, wrong=_wait(error), headers=_retry_after(error))
    except Unauthorized:
        return console.go(SIGN_IN, why="late")
    attempt.was_right()
    return await _inside(request, console, attempt, token)


@post("/sign-out", media_type=MediaType.HTML)
async def signed_out(
    request: AnyRequest, console: NamedDependency[Console], organisation_sign_in: NamedDependency[OrganisationSignIn]
) -> Response[str]:
    """End the session of this browser, and give it another cookie; say where one may be signed in still."""
    found = await console.signed_in(request)
    await console.form(request)
    await console.sign_in.sign_out(found)
    cookie = console.new_cookie().header()
    there = await organisation_sign_in.sign_out_of(found.who)
    if there is None:
        return console.go(SIGN_IN, cookie, why="out")
    return render("identity/signed_out.html", headers=cookie, root=console.root, now=console.sign_in.now(), there=there)


async def _is_signed_in(request: AnyRequest, console: Console) -> bool:
    try:
        await console.signed_in(request)
    except SignInNeeded:
        return False
    return True


def _next(request: AnyRequest) -> str:
    """Return where somebody wanted to go: a page of ours, whatever the address says."""
    return way_back(str(request.query_params.get("next", "")))


async def _inside(request: AnyRequest, console: Console, attempt: Attempt, token: Secret) -> Response[str]:
    """Lead somebody in who has just signed in, with the cookie of the new session; an earlier one here ends."""
    await end_earlier_session(request, console)
    answer = console.go(_next(request), SessionCookie(token, console.new_cookie().secure).header())
    await attempt.remember(answer)
    return answer


async def _waiting(request: AnyRequest, console: Console) -> tuple[SessionCookie, Principal]:
    """Return the cookie of a browser in which the password was right, and whose it was.

    Raises:
        Unauthorized: it was not, or too long ago.
    """
    cookie = console.cookie(request)
    if cookie is None:
        raise Unauthorized
    return cookie, await console.sign_in.waiting(cookie.value)


def _kept(request: AnyRequest) -> dict[str, str]:
    """Return what of the address goes on with somebody who signs in."""
    return {} if _next(request) == PATH else {"next": _next(request)}


def _wait(error: RateLimited) -> str:
    if error.retry_after > _A_MINUTE:
        return f"Too many attempts. Wait {-(-error.retry_after // _A_MINUTE)} minutes, then try again."
    return f"Too many attempts. Wait {error.retry_after} seconds, then try again."


def _retry_after(error: RateLimited) -> dict[str, str]:
    return {"retry-after": str(error.retry_after)}


def _form(
    request: AnyRequest,
    console: Console,
    *,
    status: int = 200,
    why: str = "",
    wrong: str = "",
    name: str = "",
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
        next=_kept(request).get("next", ""),
        form_token=made.form_token,
        why=why,
        wrong=wrong,
        name=visible(name[:_LONGEST_NAME]),
    )


def _code_form(
    request: AnyRequest,
    console: Console,
    *,
    status: int = 200,
    wrong: str = "",
    headers: dict[str, str] | None = None,
) -> Response[str]:
    cookie = console.cookie(request)
    return render(
        "identity/sign_in_code.html",
        status,
        headers=headers,
        root=console.root,
        now=console.sign_in.now(),
        next=_kept(request).get("next", ""),
        form_token="" if cookie is None else cookie.form_token,
        wrong=wrong,
    )
