"""Pushed authorization requests (RFC 9126): checked as if a browser had brought them, kept under a `request_uri`."""

from aiohttp import web

from keyrack.simulator.authorize import check, pending_for
from keyrack.simulator.client_endpoint import Asked, answer_client
from keyrack.simulator.wire import Refusal

_NOT_PUSHED = frozenset({"client_secret", "client_assertion", "client_assertion_type"})
"""What authenticates the client is no part of the authorization request."""


async def push(request: web.Request) -> web.StreamResponse:
    """Answer `POST /par` (RFC 9126 sections 2.1 to 2.3)."""
    return await answer_client(request, "par", _keep, "fail")


def _keep(asked: Asked) -> web.Response:
    if "request_uri" in asked.form:
        raise Refusal("invalid_request", "request_uri cannot be pushed")
    parameters = {name: value for name, value in asked.form.items() if name not in _NOT_PUSHED}
    pending = pending_for(asked.client, parameters, asked.behaviour, {})
    if pending is None:
        raise Refusal("invalid_request", "redirect_uri is missing or is not one of this client's")
    check(asked.client, pending)
    lifetime = asked.behaviour.request_uri_lifetime
    document = {
        "request_uri": asked.state.pushed.keep(asked.client.client_id, parameters, lifetime),
        "expires_in": lifetime,
    }
    return web.json_response(document, status=201, headers={"Cache-Control": "no-store"})
