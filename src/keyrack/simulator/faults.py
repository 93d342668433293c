"""Injects faults on the way: delays, refusals, cut connections, bodies of any size."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from email.utils import format_datetime

from aiohttp import web
from aiohttp.hdrs import CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER

from keyrack.clock import now
from keyrack.simulator.behaviour import TRANSPORT, Behaviour

_CHUNK = b" " * 65_536
_SOUND = Behaviour()
_FIELDS = tuple(sorted(TRANSPORT - {"faults_at"}))


async def perform(
    request: web.Request, behaviour: Behaviour, process: Callable[[], web.Response]
) -> web.StreamResponse:
    """Process a request with the faults chosen for it.

    Args:
        request: what came in.
        behaviour: how to answer; only its transport fields matter here.
        process: makes the answer; called at most once, and not at all for a fault that comes before it.
    """
    if all(getattr(behaviour, name) == getattr(_SOUND, name) for name in _FIELDS):
        return process()
    if behaviour.latency:
        await asyncio.sleep(behaviour.latency / 1000)
    if behaviour.hang_up == "before":
        return _cut(request)
    if behaviour.status:
        return _refused(behaviour)
    if behaviour.redirect_to:
        return web.Response(status=307, headers={LOCATION: behaviour.redirect_to})
    return await _deliver(request, behaviour, process())


async def _deliver(request: web.Request, behaviour: Behaviour, response: web.Response) -> web.StreamResponse:
    if behaviour.latency_after:
        await asyncio.sleep(behaviour.latency_after / 1000)
    if behaviour.hang_up == "after":
        return _cut(request)
    if behaviour.hang_up == "midway":
        return await _half(request, response)
    return await _padded(request, response, behaviour.padding) if behaviour.padding else response


def _cut(request: web.Request) -> web.Response:
    """Close the TCP connection without an answer; the response returned is written to nobody."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _refused(behaviour: Behaviour) -> web.Response:
    if behaviour.status_bare:
        response = web.Response(status=behaviour.status)
    else:
        response = web.json_response({"error": "temporarily_unavailable"}, status=behaviour.status)
    if behaviour.retry_after >= 0:
        wait = timedelta(seconds=behaviour.retry_after)
        response.headers[RETRY_AFTER] = (
            format_datetime(now() + wait, usegmt=True) if behaviour.retry_after_as_date else str(behaviour.retry_after)
        )
    return response


def _streamed(response: web.Response) -> tuple[web.StreamResponse, bytes]:
    stream = web.StreamResponse(status=response.status, headers=response.headers)
    body = response.body if isinstance(response.body, bytes) else b""
    return stream, body


async def _half(request: web.Request, response: web.Response) -> web.Response:
    stream, body = _streamed(response)
    stream.headers[CONTENT_LENGTH] = str(len(body) + 1)
    await stream.prepare(request)
    await stream.write(body[: len(body) // 2])
    await asyncio.sleep(0)
    if request.transport is not None:
        request.transport.close()
    return web.Response(status=response.status)


async def _padded(request: web.Request, response: web.Response, padding: int) -> web.StreamResponse:
    stream, body = _streamed(response)
    stream.headers.popall(CONTENT_LENGTH, None)
    stream.headers.setdefault(CONTENT_TYPE, "application/json")
    await stream.prepare(request)
    for _ in range(padding // len(_CHUNK)):
        await stream.write(_CHUNK)
    await stream.write(_CHUNK[: padding % len(_CHUNK)] + body)
    await stream.write_eof()
    return stream
