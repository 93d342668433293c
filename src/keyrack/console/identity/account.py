"""`/console/account`: one's own sessions, API keys and password."""

from collections.abc import Sequence

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.browsers import browser_name
from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.requests import visitor_of
from keyrack.console.core.visit import Visit
from keyrack.console.identity.attempts import attempt_of
from keyrack.errors import NotFound, RateLimited, ValidationFailed
from keyrack.model.identity import ApiKey, ConsoleSession, PrincipalKind
from keyrack.service.identity.console_sign_in import WrongPassword
from keyrack.service.identity.users import Users

_PATH = "/console/account"
_DONE = {
    "password": "Your password is changed, and all other sessions have ended.",
    "session": "That session has ended.",
    "sessions": "All other sessions have ended.",
    "gone": "That session had ended already.",
    "key": "The API key is revoked; whatever uses it is refused.",
}


@get("/account", media_type=MediaType.HTML)
async def account(visit: NamedDependency[Visit], users: NamedDependency[Users]) -> Response[str]:
    """Show what is one's own."""
    return await _page(visit, users, done=visit.done(_DONE))


@post("/account/password", media_type=MediaType.HTML)
async def password_changed(visit: NamedDependency[Visit], users: NamedDependency[Users]) -> Response[str]:
    """Change the password, which ends all other sessions."""
    fields = await visit.form()
    attempt = await attempt_of(visit.request, visit.console, visit.who.name)
    current, new = fields.get("current_password", ""), fields.get("new_password", "")
    source = visitor_of(visit.request).source
    try:
        attempt.count()
        await visit.console.sign_in.change_password(visit.signed_in, current, new, source)
    except WrongPassword:
        return await _page(visit, users, status=400, wrong="That is not your current password.")
    except ValidationFailed as error:
        attempt.was_right()
        return await _page(visit, users, status=400, weak=f"Your password stays as it was: {error}.")
    except RateLimited as error:
        wait = f"Too many attempts. Wait {error.retry_after} seconds, then try again."
        return await _page(visit, users, status=429, wrong=wait)
    attempt.was_right()
    return visit.go(_PATH, done="password")


@post("/account/sessions/end", media_type=MediaType.HTML)
async def session_ended(visit: NamedDependency[Visit]) -> Response[str]:
    """End one of one's own sessions; one's own of now is a sign-out."""
    fields = await visit.form()
    try:
        await visit.console.sign_in.end_session(visit.who, fields.get("session", "")[:24])
    except NotFound:
        return visit.go(_PATH, done="gone")
    return visit.go(_PATH, done="session")


@post("/account/sessions/end-others", media_type=MediaType.HTML)
async def other_sessions_ended(visit: NamedDependency[Visit]) -> Response[str]:
    """End all of one's own sessions but this one."""
    await visit.form()
    await visit.console.sign_in.end_other_sessions(visit.signed_in)
    return visit.go(_PATH, done="sessions")


async def _page(
    visit: Visit, users: Users, *, status: int = 200, done: str = "", wrong: str = "", weak: str = ""
) -> Response[str]:
    own = await visit.console.sign_in.own_sessions(visit.who)
    session = visit.asked("session")
    found, begin = sessions_with(own.sessions, session), offset_of(visit.page_number("sessions"))
    keys: Sequence[ApiKey] = ()
    person, total = None, 0
    if visit.who.kind is PrincipalKind.user:
        person = await users.me(visit.who)
        keys, total = await users.api_keys(
            visit.who, part=visit.asked("key"), limit=ROWS, offset=offset_of(visit.page_number("keys"))
        )
    return visit.page(
        "identity/account.html",
        status=status,
        person=person,
        permissions=sorted(visit.who.permissions),
        sessions=found[begin : begin + ROWS],
        session_total=len(own.sessions),
        session=session,
        session_pager=visit.pager(len(found), "sessions"),
        password_since=own.password_since,
        two_step=own.two_step_since,
        current=visit.signed_in.session.id,
        keys=keys,
        key=visit.asked("key"),
        pager=visit.pager(total, "keys"),
        done=done,
        wrong=wrong,
        weak=weak,
    )


def sessions_with(sessions: Sequence[ConsoleSession], part: str) -> Sequence[ConsoleSession]:
    """Return the sessions of one account, of which there are never many, that somebody looks for.

    Args:
        sessions: all of them.
        part: what the browser, as it is shown or as it names itself, or the address must have in it; empty for all.
    """
    part = part.casefold()
    return [
        each
        for each in sessions
        if any(part in text.casefold() for text in (browser_name(each.browser), each.browser, each.address or ""))
    ]
