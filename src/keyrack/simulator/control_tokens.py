"""The control API for tokens: list them, end them, make them."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import msgspec
from aiohttp import web

from keyrack import errors
from keyrack.simulator.codec import convert
from keyrack.simulator.control_http import read_body
from keyrack.simulator.issue import issue_access, issue_refresh
from keyrack.simulator.tokens import Kind, Token, TokenState
from keyrack.simulator.wire import STATE

_MAX_LISTED = 1_000
_MAX_MINTED = 1_000


class Selection(msgspec.Struct, forbid_unknown_fields=True):
    """Which tokens: all whose fields have the given values; `token` is a token's text."""

    client_id: str | None = None
    family: str | None = None
    kind: Kind | None = None
    state: TokenState | None = None
    token: str | None = None

    def test(self, now: float) -> Callable[[Token], bool]:
        """Return the test that a token has to pass."""

        def chosen(token: Token) -> bool:
            return (
                self.client_id in {None, token.grant.client_id}
                and self.family in {None, token.grant.id}
                and self.kind in {None, token.kind}
                and self.token in {None, token.value}
                and self.state in {None, token.state(now)}
            )

        return chosen


class MintRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /_sim/grants`: tokens without a consent, as if the user had allowed it before."""

    client_id: str
    login: str | None = None
    scope: str = ""
    count: int = 1


class DeviceDecision(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /_sim/device`: what a person decides who has entered a code."""

    user_code: str
    decision: Literal["allow", "deny"] = "allow"
    login: str | None = None


async def decide_device(request: web.Request) -> web.Response:
    """`POST /_sim/device`: allow or deny what waits under a code, as a user; nobody has to visit the page."""
    state = request.app[STATE]
    wanted = await read_body(request, DeviceDecision)
    login = wanted.login or state.config.users[0].login
    if state.user(login) is None:
        raise errors.BadRequest("login must be a known user")
    state.devices.decide(wanted.user_code, login if wanted.decision == "allow" else None)
    return web.Response(status=204)


async def list_tokens(request: web.Request) -> web.Response:
    """`GET /_sim/tokens`: the newest tokens that fit the query; a token is named by its SHA-256, not shown."""
    book = request.app[STATE].book
    now = book.now()
    try:
        wanted = convert(dict(request.query), Selection)
    except ValueError as exc:
        raise errors.BadRequest(str(exc)) from None
    found = sorted(book.all(wanted.test(now)), key=lambda token: token.issued_at, reverse=True)
    listed = [_describe(token, now) for token in found[:_MAX_LISTED]]
    return web.json_response({"total": len(found), "tokens": listed})


def _describe(token: Token, now: float) -> dict[str, Any]:
    return {
        "sha256": hashlib.sha256(token.value.encode()).hexdigest(),
        "kind": token.kind,
        "state": token.state(now),
        "client_id": token.grant.client_id,
        "family": token.grant.id,
        "login": token.grant.login,
        "scope": token.scope,
        "issued_at": token.issued_at,
        "expires_at": token.expires_at,
    }


async def list_grants(request: web.Request) -> web.Response:
    """`GET /_sim/grants`: the newest families: refreshes, the most at one time, why revoked."""
    grants = list(request.app[STATE].book.grants.values())
    members = ("id", "client_id", "login", "scope", "refreshes", "in_flight", "parallel_peak", "revoked")
    listed = [{name: getattr(grant, name) for name in members} for grant in reversed(grants[-_MAX_LISTED:])]
    return web.json_response({"total": len(grants), "grants": listed})


async def mint(request: web.Request) -> web.Response:
    """`POST /_sim/grants`: families without a consent; returns their tokens."""
    state = request.app[STATE]
    wanted = await read_body(request, MintRequest)
    client = state.client(wanted.client_id)
    login = wanted.login or state.config.users[0].login
    if state.user(login) is None or not 1 <= wanted.count <= _MAX_MINTED:
        raise errors.BadRequest(f"login must be a known user, count 1 to {_MAX_MINTED}")
    behaviour = state.behaviour("token", client.client_id, {})
    minted = []
    for _ in range(wanted.count):
        grant = state.book.open_grant(client.client_id, login, wanted.scope)
        access = issue_access(state, behaviour, grant, wanted.scope)
        refresh = issue_refresh(state, behaviour, grant, wanted.scope)
        minted.append({"family": grant.id, "access_token": access.value, "refresh_token": refresh.value})
    return web.json_response({"grants": minted}, status=201)


def _ending(action: Literal["expire", "revoke"]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def end(request: web.Request) -> web.Response:
        book = request.app[STATE].book
        chosen = (await read_body(request, Selection)).test(book.now())
        count = book.expire(chosen) if action == "expire" else book.revoke(chosen)
        return web.json_response({"count": count})

    return end


TOKEN_ROUTES = (
    web.get("/tokens", list_tokens),
    web.post("/tokens/expire", _ending("expire")),
    web.post("/tokens/revoke", _ending("revoke")),
    web.get("/grants", list_grants),
    web.post("/grants", mint),
    web.post("/device", decide_device),
)
