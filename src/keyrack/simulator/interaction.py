"""Serves login and consent pages, with a session cookie and a form token against forged posts."""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from keyrack.crypto.secret import Secret
from keyrack.simulator.pages import error_page, onward, page
from keyrack.simulator.pending import Pending, Session
from keyrack.simulator.state import State
from keyrack.simulator.wire import STATE, Refusal

COOKIE = "keyrack_simulator"


class Lost(Exception):
    """A form or page that belongs to no waiting authorization of this browser."""


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_LOST = (
    "There is no sign-in waiting here: it was answered already, or it belongs to another browser. "
    "Start again from the application."
)


def friendly(handler: Handler) -> Handler:
    """Turn what a handler cannot go on with into a page."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Lost:
            return error_page(_LOST)
        except Refusal as refusal:
            return error_page(refusal.description)

    return handle


def ask(request: web.Request, pending: Pending) -> web.Response:
    """Show the login page, or the consent page to who is signed in.

    Raises:
        Refusal: the client forbade pages (`prompt=none`, OpenID Connect Core 3.1.2.1).
    """
    state = request.app[STATE]
    session_id = request.cookies.get(COOKIE, "")
    session = state.sessions.get(session_id)
    signed_in = session is not None and session.login is not None
    if "none" in pending.prompt:
        raise Refusal("consent_required" if signed_in else "login_required", "a page would be needed")
    if session is None or pending.prompt & {"login", "select_account"}:
        session_id = state.new_session()
        session = state.sessions[session_id]
    pending.session = session
    pending_id = state.wait(pending)
    response = show(state, session, pending_id, pending)
    set_session(response, session_id)
    return response


def show(state: State, session: Session, pending_id: str, pending: Pending, *, failed: bool = False) -> web.Response:
    """Render the page that a waiting authorization needs next."""
    client = state.clients.get(pending.client_id)
    if client is None:
        raise Lost
    shared: dict[str, Any] = {
        "client": client.name or client.client_id,
        "request_id": pending_id,
        "form_token": form_token(session, pending_id),
    }
    user = state.user(session.login) if session.login is not None else None
    if user is None:
        users = [(one.login, one.password.reveal()) for one in state.config.users]
        wanted = pending.login_hint or users[0][0]
        return page("login", status=401 if failed else 200, failed=failed, users=users, wanted=wanted, **shared)
    return page(
        "consent",
        form_action=onward(pending.redirect_uri),
        user=user,
        scopes=pending.scope.split(),
        redirect_uri=pending.redirect_uri,
        user_code="" if pending.device is None else pending.device.user_code,
        **shared,
    )


def waiting(request: web.Request, fields: Mapping[str, str], *, posted: bool) -> tuple[str, Pending, Session]:
    """Find the authorization that a page or form of this browser belongs to.

    Args:
        request: what came in; its cookie names the session.
        fields: the query or the form, with `request` and, if posted, `form_token`.
        posted: whether the form token must be there.

    Raises:
        Lost: there is none, or the form was not made by our page for this browser.
    """
    state = request.app[STATE]
    pending_id = fields.get("request", "")
    pending = state.pending.get(pending_id)
    session = state.sessions.get(request.cookies.get(COOKIE, ""))
    if pending is None or session is None or pending.session is not session:
        raise Lost
    if posted and not secrets.compare_digest(
        fields.get("form_token", "").encode(), form_token(session, pending_id).encode()
    ):
        raise Lost
    return pending_id, pending, session


def check_password(state: State, fields: Mapping[str, str]) -> str | None:
    """Return the login name if name and password are right."""
    user = state.user(fields.get("login", ""))
    return user.login if user and user.password == Secret(fields.get("password", "")) else None


def form_token(session: Session, pending_id: str) -> str:
    """Return the token that a form of this session and authorization carries."""
    return hmac.new(session.csrf_key, pending_id.encode(), hashlib.sha256).hexdigest()


def set_session(response: web.Response, session_id: str) -> None:
    """Send the session cookie; the simulator speaks plain HTTP on loopback, so it cannot be `Secure`."""
    response.set_cookie(COOKIE, session_id, httponly=True, samesite="Lax", path="/")
