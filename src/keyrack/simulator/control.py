"""The control API under `/_sim/`: clients, behaviour, overrides, counters, tokens. JSON in and out."""

from typing import Any

import msgspec
from aiohttp import web

from keyrack import errors
from keyrack.simulator.behaviour import ENDPOINTS, Behaviour, Endpoint, check_overrides
from keyrack.simulator.codec import convert, plain
from keyrack.simulator.config import Client
from keyrack.simulator.control_http import read_body
from keyrack.simulator.control_tokens import TOKEN_ROUTES
from keyrack.simulator.reference import entries
from keyrack.simulator.state import Queued
from keyrack.simulator.wire import STATE


class OverrideRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Body of `POST /_sim/overrides`."""

    endpoint: Endpoint
    behaviour: dict[str, Any]
    times: int = 1
    client_id: str | None = None


def _checked(behaviour: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(check_overrides(behaviour))
    except ValueError as exc:
        raise errors.BadRequest(str(exc)) from None


def _show(client: Client) -> dict[str, Any]:
    shown: dict[str, Any] = plain(client)
    return shown


async def reference(_request: web.Request) -> web.Response:
    """`GET /_sim/behaviours`: every behaviour with its values, default and description."""
    return web.json_response({"endpoints": ENDPOINTS, "behaviours": entries()})


async def list_clients(request: web.Request) -> web.Response:
    """`GET /_sim/clients`; secrets are masked."""
    return web.json_response({"clients": [_show(client) for client in request.app[STATE].clients.values()]})


async def create_client(request: web.Request) -> web.Response:
    """`POST /_sim/clients`."""
    client = await read_body(request, Client)
    request.app[STATE].add_client(client)
    return web.json_response(_show(client), status=201)


async def read_client(request: web.Request) -> web.Response:
    """`GET /_sim/clients/{client_id}`."""
    return web.json_response(_show(request.app[STATE].client(request.match_info["client_id"])))


async def update_client(request: web.Request) -> web.Response:
    """`PATCH /_sim/clients/{client_id}`: the members given replace those there."""
    state = request.app[STATE]
    old = state.client(request.match_info["client_id"])
    changes = await read_body(request, dict[str, Any])
    if changes.get("client_id", old.client_id) != old.client_id:
        raise errors.BadRequest("client_id cannot be changed")
    further = [secret.reveal() for secret in old.further_secrets]
    current = {**plain(old), "client_secret": old.client_secret.reveal(), "further_secrets": further}
    try:
        client = convert({**current, **changes}, Client)
    except ValueError as exc:
        raise errors.BadRequest(str(exc)) from None
    state.put_client(client)
    return web.json_response(_show(client))


async def delete_client(request: web.Request) -> web.Response:
    """`DELETE /_sim/clients/{client_id}`: its tokens are revoked."""
    request.app[STATE].delete_client(request.match_info["client_id"])
    return web.Response(status=204)


async def set_client_behaviour(request: web.Request) -> web.Response:
    """`PUT /_sim/clients/{client_id}/behaviour`: the fields that differ for this client, all of them."""
    state = request.app[STATE]
    client = state.client(request.match_info["client_id"])
    behaviour = _checked(await read_body(request, dict[str, Any]))
    state.put_client(msgspec.structs.replace(client, behaviour=behaviour))
    return web.json_response(plain(behaviour))


async def read_defaults(request: web.Request) -> web.Response:
    """`GET /_sim/behaviour`: the behaviour of a client without one of its own, in full."""
    full = convert(dict(request.app[STATE].defaults), Behaviour)
    return web.json_response(plain(msgspec.structs.asdict(full)))


async def set_defaults(request: web.Request) -> web.Response:
    """`PUT /_sim/behaviour`: the fields that differ for all clients."""
    behaviour = _checked(await read_body(request, dict[str, Any]))
    request.app[STATE].set_defaults(behaviour)
    return web.json_response(plain(behaviour))


async def list_overrides(request: web.Request) -> web.Response:
    """`GET /_sim/overrides`: what waits for coming requests, in order."""
    return web.json_response({"overrides": plain(request.app[STATE].queue)})


async def add_override(request: web.Request) -> web.Response:
    """`POST /_sim/overrides`: behaviour for the next requests of one endpoint."""
    wanted = await read_body(request, OverrideRequest)
    if wanted.times < 1:
        raise errors.BadRequest("times must be at least 1")
    queued = Queued(wanted.endpoint, wanted.times, _checked(wanted.behaviour), wanted.client_id)
    request.app[STATE].enqueue(queued)
    return web.json_response(plain(queued), status=201)


async def clear_overrides(request: web.Request) -> web.Response:
    """`DELETE /_sim/overrides`."""
    request.app[STATE].queue.clear()
    return web.Response(status=204)


async def read_counters(request: web.Request) -> web.Response:
    """`GET /_sim/counters`: how many calls, by endpoint, client, grant type and outcome."""
    counted = request.app[STATE].counters.items()
    return web.json_response({"calls": [{**plain(call), "count": number} for call, number in counted]})


async def clear_counters(request: web.Request) -> web.Response:
    """`DELETE /_sim/counters`."""
    request.app[STATE].counters.clear()
    return web.Response(status=204)


async def reset(request: web.Request) -> web.Response:
    """`POST /_sim/reset`: back to the configuration."""
    request.app[STATE].reset()
    return web.Response(status=204)


ROUTES = (
    web.get("/behaviours", reference),
    web.get("/clients", list_clients),
    web.post("/clients", create_client),
    web.get("/clients/{client_id}", read_client),
    web.patch("/clients/{client_id}", update_client),
    web.delete("/clients/{client_id}", delete_client),
    web.put("/clients/{client_id}/behaviour", set_client_behaviour),
    web.get("/behaviour", read_defaults),
    web.put("/behaviour", set_defaults),
    web.get("/overrides", list_overrides),
    web.post("/overrides", add_override),
    web.delete("/overrides", clear_overrides),
    web.get("/counters", read_counters),
    web.delete("/counters", clear_counters),
    *TOKEN_ROUTES,
    web.post("/reset", reset),
)
