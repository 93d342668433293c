"""The routes that a person's browser uses: start page, login, consent."""

from aiohttp import web

from keyrack.simulator import device, oauth1
from keyrack.simulator.authorize import grant_code, refuse
from keyrack.simulator.interaction import COOKIE, Lost, check_password, friendly, set_session, show, waiting
from keyrack.simulator.pages import page
from keyrack.simulator.wire import STATE, Refusal, read_form


async def start(request: web.Request) -> web.Response:
    """Answer `GET /` with what this is and where things are."""
    state = request.app[STATE]
    return page("start", issuer=state.issuer, users=state.config.users, clients=list(state.clients.values())[:20])


@friendly
async def login(request: web.Request) -> web.Response:
    """Answer `POST /login`; a new session id is given to who signs in."""
    state = request.app[STATE]
    fields = await read_form(request)
    pending_id, pending, session = waiting(request, fields, posted=True)
    name = check_password(state, fields)
    if name is None:
        return show(state, session, pending_id, pending, failed=True)
    session_id = state.renew(request.cookies[COOKIE], name)
    response = web.Response(status=303, headers={"Location": f"/consent?request={pending_id}"})
    set_session(response, session_id)
    return response


@friendly
async def consent(request: web.Request) -> web.Response:
    """Answer `GET /consent` with the page that is due."""
    pending_id, pending, session = waiting(request, dict(request.query), posted=False)
    return show(request.app[STATE], session, pending_id, pending)


@friendly
async def decide(request: web.Request) -> web.Response:
    """Answer `POST /consent`: back to the client with a code, or with `access_denied`; a device learns it by asking."""
    state = request.app[STATE]
    fields = await read_form(request)
    pending_id, pending, session = waiting(request, fields, posted=True)
    if session.login is None or pending.client_id not in state.clients:
        raise Lost
    del state.pending[pending_id]
    if pending.device is not None:
        return device.decided(state, pending.device, session.login if fields.get("decision") == "allow" else None)
    if pending.temporary is not None:
        if fields.get("decision") == "allow":
            return oauth1.approve(state, pending, pending.temporary, session.login, status=303)
        return oauth1.refuse(pending, pending.temporary, "access_denied", status=303)
    if fields.get("decision") == "allow":
        return grant_code(state, pending, session.login, status=303)
    return refuse(state, pending, Refusal("access_denied", "the user said no"), status=303)
