"""The token endpoint's answers, in the shapes that servers in the field really use."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from aiohttp import web

from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.wire import FORM, Refusal

_NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_HTML = "<!doctype html><title>Down for maintenance</title><h1>We will be back soon</h1>"


def token_reply(
    behaviour: Behaviour, access_token: str, lifetime: int, refresh_token: str | None, scope: str
) -> web.Response:
    """Build a successful token response (RFC 6749 section 5.1).

    Args:
        behaviour: its shape.
        access_token: the token.
        lifetime: its lifetime in seconds.
        refresh_token: the refresh token, None for none.
        scope: granted scope, empty for none.
    """
    members: dict[str, Any] = {"access_token": access_token, "token_type": behaviour.token_type}
    if behaviour.expires_in != "omit":
        members["expires_in"] = str(lifetime) if behaviour.expires_in == "string" else lifetime
    if refresh_token is not None:
        members["refresh_token"] = refresh_token
    if scope and not behaviour.omit_scope:
        members["scope"] = scope
    if behaviour.nest_under:
        members = {"ok": True, behaviour.nest_under: members}
    members.update(behaviour.extra_members)
    return _render(behaviour, members, 200)


def refusal_reply(behaviour: Behaviour, refusal: Refusal, challenge: str = "") -> web.Response:
    """Build an error response (RFC 6749 section 5.2).

    Args:
        behaviour: its shape.
        refusal: what is refused.
        challenge: value of `WWW-Authenticate` for a 401, empty for none.
    """
    if behaviour.bare_errors and refusal.code in {"invalid_client", "invalid_grant"}:
        return web.Response(status=403 if refusal.code == "invalid_client" else 400, headers=_NO_STORE)
    members = {"error": refusal.code, "error_description": refusal.description}
    response = _render(behaviour, members, 200 if behaviour.errors_as_200 else refusal.status)
    if challenge and response.status == 401:  # noqa: PLR2004 - the only status with a challenge
        response.headers["WWW-Authenticate"] = challenge
    return response


def _render(behaviour: Behaviour, members: Mapping[str, Any], status: int) -> web.Response:
    if behaviour.reply_format == "html":
        return web.Response(text=_HTML, content_type="text/html", headers=_NO_STORE)
    if behaviour.reply_format == "form":
        flat = {name: value if isinstance(value, str) else _json(value) for name, value in members.items()}
        return web.Response(body=urlencode(flat).encode(), status=status, content_type=FORM, headers=_NO_STORE)
    body = msgspec.json.encode(members)
    return web.Response(body=body, status=status, content_type="application/json", headers=_NO_STORE)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
