"""The device authorization grant (RFC 8628): codes for a client, a page for the person, tokens for who asks in time."""

from collections.abc import Mapping

from aiohttp import web

from keyrack.simulator.behaviour import TRAVELLING, Behaviour
from keyrack.simulator.client_endpoint import Asked, answer_client
from keyrack.simulator.config import Client
from keyrack.simulator.device_book import SLOWER, DeviceCode
from keyrack.simulator.interaction import ask, friendly
from keyrack.simulator.issue import granted_scope, token_response
from keyrack.simulator.pages import page
from keyrack.simulator.pending import Pending
from keyrack.simulator.state import State
from keyrack.simulator.wire import STATE, Refusal, read_form

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:device_code"

_NOBODY_WAITS = "No device waits under this code. It may have expired; look at the device again."


async def device_authorization(request: web.Request) -> web.StreamResponse:
    """Answer `POST /device_authorization` (RFC 8628 sections 3.1 and 3.2)."""
    return await answer_client(request, "device", _codes, "fail")


def _codes(asked: Asked) -> web.Response:
    state, behaviour = asked.state, asked.behaviour
    parameters = {name: value for name, value in asked.form.items() if name != "client_secret"}
    travelling = {name: value for name, value in asked.sim.items() if name in TRAVELLING}
    scope = granted_scope(asked.client, asked.form.get("scope", ""))
    device_code, made = state.devices.issue(asked.client.client_id, scope, parameters, behaviour, travelling)
    if behaviour.deny or behaviour.approval == "auto":
        state.devices.decide(made.user_code, None if behaviour.deny else state.config.users[0].login)
    address = f"{state.issuer}/device"
    document = {
        "device_code": device_code,
        "user_code": made.user_code,
        "verification_uri": address,
        "verification_uri_complete": f"{address}?user_code={made.user_code}",
        "expires_in": behaviour.device_code_lifetime,
        "interval": behaviour.device_interval,
    }
    return web.json_response(document, headers={"Cache-Control": "no-store"})


async def device_page(request: web.Request) -> web.Response:
    """Answer `GET /device`: where the person enters the code; one in the address still has to be confirmed (3.3.1)."""
    return page("device", user_code=request.query.get("user_code", "")[:100], failed="")


@friendly
async def code_entered(request: web.Request) -> web.Response:
    """Answer `POST /device` with the login or consent page, if a device waits under the code."""
    user_code = (await read_form(request)).get("user_code", "")
    found = request.app[STATE].devices.waiting(user_code)
    if found is None:
        return page("device", status=400, user_code=user_code[:100], failed=_NOBODY_WAITS)
    pending = Pending(
        client_id=found.client_id,
        redirect_uri="",
        redirect_uri_sent=False,
        state="",
        scope=found.scope,
        challenge="",
        prompt=frozenset(),
        login_hint="",
        parameters=found.parameters,
        behaviour=found.behaviour,
        travelling=found.travelling,
        device=found,
    )
    return ask(request, pending)


def decided(state: State, found: DeviceCode, login: str | None) -> web.Response:
    """Note what a person decided, and send the browser to the page that says so.

    Args:
        state: the simulator's memory.
        found: what it is about.
        login: who allows it; None denies it.
    """
    if state.devices.waiting(found.user_code) is None:
        return page("device", status=400, user_code="", failed=_NOBODY_WAITS)
    state.devices.decide(found.user_code, login)
    return page("device_done", allowed=login is not None)


def device_tokens(
    state: State, behaviour: Behaviour, client: Client, form: Mapping[str, str], jkt: str
) -> web.Response:
    """Answer a token request with a device code (RFC 8628 sections 3.4 and 3.5).

    Raises:
        Refusal: it is too soon, too late, or nobody has allowed it.
    """
    found = state.devices.find(form.get("device_code", ""))
    if found is None or found.client_id != client.client_id or found.used:
        raise Refusal("invalid_grant", "the device code is not known, or was used")
    now, before = state.devices.now(), found.polled_at
    found.polled_at = now
    if found.expires_at <= now:
        raise Refusal("expired_token", "the device code has expired")
    if before is not None and now - before < found.interval:
        found.interval += SLOWER
        found.slowed += 1
        raise Refusal("slow_down", f"ask every {found.interval} seconds at most")
    if found.denied:
        raise Refusal("access_denied", "the user said no")
    if found.login is None:
        raise Refusal("authorization_pending", "nobody has decided yet")
    found.used = True
    grant = state.book.open_grant(client.client_id, found.login, found.scope, found.parameters, found.travelling)
    return token_response(state, behaviour, grant, grant.scope, jkt)
