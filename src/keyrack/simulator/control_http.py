"""Shared by the control API's parts: authorization, bodies, errors."""

from typing import TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from keyrack import errors
from keyrack.simulator.codec import convert
from keyrack.simulator.config import is_loopback

T = TypeVar("T")

_STATUS: dict[type[errors.KeyrackError], int] = {
    errors.BadRequest: 400,
    errors.NotFound: 404,
    errors.AlreadyExists: 409,
    errors.StateConflict: 409,
}


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep web pages out and turn errors into JSON.

    A page that a person visits can send requests to loopback: one under a foreign host name (rebinding) is
    refused by its `Host`, a forged form post by its content type, which no form can set.
    """
    if not is_loopback(request.url.host or ""):
        return _problem(403, "the control API answers to loopback host names only")
    if request.method in {"POST", "PUT", "PATCH"} and request.content_type != "application/json":
        return _problem(415, "the content type must be application/json")
    try:
        return await handler(request)
    except errors.KeyrackError as exc:
        return _problem(_STATUS[type(exc)], exc.problem.detail)


async def read_body(request: web.Request, kind: type[T]) -> T:
    """Read a JSON body; an empty one counts as `{}`.

    Raises:
        errors.BadRequest: it does not fit; the message names the place.
    """
    try:
        return convert(msgspec.json.decode(await request.read() or b"{}"), kind)
    except (ValueError, RecursionError) as exc:
        raise errors.BadRequest(str(exc)) from None


def _problem(status: int, detail: str) -> web.Response:
    return web.json_response({"error": detail}, status=status)
