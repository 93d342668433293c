"""Answers requests of authenticated clients at the endpoints beside the token endpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from aiohttp import web

from keyrack.simulator.behaviour import Behaviour, Endpoint, Overrides
from keyrack.simulator.client_auth import authenticate, read_claim
from keyrack.simulator.config import Client
from keyrack.simulator.counted import Processed, counted
from keyrack.simulator.reply import refusal_reply
from keyrack.simulator.state import Call, State
from keyrack.simulator.wire import STATE, Refusal, read_form, sim_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose client has authenticated.

    Attributes:
        state: the simulator's memory.
        client: who asks.
        form: the body.
        behaviour: how to answer.
        sim: behaviour that the address asks for.
    """

    state: State
    client: Client
    form: Mapping[str, str] = field(repr=False)
    behaviour: Behaviour
    sim: Overrides


async def answer_client(
    request: web.Request, endpoint: Endpoint, answer: Callable[[Asked], web.Response], fail: str = ""
) -> web.StreamResponse:
    """Answer a request with a form.

    Args:
        request: what came in.
        endpoint: where.
        answer: makes the answer, or raises `Refusal`.
        fail: the field of the behaviour with an error to refuse everything with, if the endpoint has one.
    """
    state = request.app[STATE]
    sim = sim_of(request)
    try:
        form = await read_form(request)
    except Refusal as refusal:
        return refusal_reply(Behaviour(), refusal)
    claim = read_claim(request, form)
    known = claim.client_id if claim.client_id in state.clients else ""
    behaviour = state.behaviour(endpoint, known, sim)

    def process() -> Processed:
        try:
            client = authenticate(state, claim)
            if told := getattr(behaviour, fail, ""):
                return told, refusal_reply(behaviour, Refusal(told, "the simulator was told to fail"))
            return "ok", answer(Asked(state, client, form, behaviour, sim))
        except Refusal as refusal:
            return refusal.code, refusal_reply(behaviour, refusal, claim.challenge)

    return await counted(request, behaviour, Call(endpoint, known, ""), process)
