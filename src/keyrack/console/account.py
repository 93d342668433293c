"""`/console/account`: one's own sessions, API keys and password."""

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.rendering import ROWS, Pager
from keyrack.console.requests import AnyRequest, Console, page_number, visitor_of
from keyrack.errors import NotFound, RateLimited, ValidationFailed
from keyrack.service.identity.console_sign_in import SignedIn, WrongPassword
from keyrack.validation.emails import email_key

_PATH = "/console/account"
_DONE = {
    "password": "Your password is changed, and all other sessions have ended.",
    "session": "That session has ended.",
    "sessions": "All other sessions have ended.",
    "gone": "That session had ended already.",
}


@get("/account", media_type=MediaType.HTML)
async def account(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Show what is one's own."""
    done = _DONE.get(request.query_params.get("done", ""), "")
    return await _page(request, console, await console.signed_in(request), done=done)


@post("/account/password", media_type=MediaType.HTML)
async def password_changed(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Change the password, which ends all other sessions."""
    signed_in = await console.signed_in(request)
    fields = await console.form(request)
    key, visitor = email_key(signed_in.who.name), visitor_of(request)
    current, new = fields.get("current_password", ""), fields.get("new_password", "")
    try:
        console.throttle.password_tried(key, visitor.address)
        await console.sign_in.change_password(signed_in, current, new, visitor.source)
    except WrongPassword:
        return await _page(request, console, signed_in, status=400, wrong="That is not your current password.")
    except ValidationFailed as error:
        console.throttle.password_right(key, visitor.address)
        wrong = f"Your password stays as it was: {error}."
        return await _page(request, console, signed_in, status=400, weak=wrong)
    except RateLimited as error:
        wait = f"Too many attempts. Wait {error.retry_after} seconds, then try again."
        return await _page(request, console, signed_in, status=429, wrong=wait)
    console.throttle.password_right(key, visitor.address)
    return console.go(_PATH, done="password")


@post("/account/sessions/end", media_type=MediaType.HTML)
async def session_ended(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """End one of one's own sessions; one's own of now is a sign-out."""
    signed_in = await console.signed_in(request)
    fields = await console.form(request)
    try:
        await console.sign_in.end_session(signed_in.who, fields.get("session", "")[:24])
    except NotFound:
        return console.go(_PATH, done="gone")
    return console.go(_PATH, done="session")


@post("/account/sessions/end-others", media_type=MediaType.HTML)
async def other_sessions_ended(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """End all of one's own sessions but this one."""
    signed_in = await console.signed_in(request)
    await console.form(request)
    await console.sign_in.end_other_sessions(signed_in)
    return console.go(_PATH, done="sessions")


async def _page(
    request: AnyRequest,
    console: Console,
    signed_in: SignedIn,
    *,
    status: int = 200,
    done: str = "",
    wrong: str = "",
    weak: str = "",
) -> Response[str]:
    number = page_number(request, "keys")
    keys, total = await console.users.api_keys(signed_in.who, limit=ROWS, offset=(number - 1) * ROWS)
    own = await console.sign_in.own_sessions(signed_in.who)
    return console.page(
        request,
        signed_in,
        "account.html",
        status=status,
        person=await console.users.me(signed_in.who),
        sessions=own.sessions,
        password_since=own.password_since,
        current=signed_in.session.id,
        keys=keys,
        pager=Pager("keys", number, total),
        done=done,
        wrong=wrong,
        weak=weak,
    )
