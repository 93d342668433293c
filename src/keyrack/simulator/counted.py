"""Processes a request at an endpoint with the faults chosen for it, and counts the outcome."""

from collections.abc import Callable
from dataclasses import replace

from aiohttp import web

from keyrack.simulator.behaviour import Behaviour
from keyrack.simulator.faults import perform
from keyrack.simulator.state import Call
from keyrack.simulator.wire import STATE

Processed = tuple[str, web.Response]
"""An outcome, as it is counted (`Call.outcome`), and the answer."""


async def counted(
    request: web.Request, behaviour: Behaviour, call: Call, process: Callable[[], Processed]
) -> web.StreamResponse:
    """Process a request as `perform` does, and count it; it counts as a fault if it was not processed.

    Args:
        request: what came in.
        behaviour: how to answer.
        call: what is counted, without its outcome.
        process: makes the answer; called at most once.
    """
    outcome = call.outcome

    def processed() -> web.Response:
        nonlocal outcome
        outcome, response = process()
        return response

    try:
        return await perform(request, behaviour, processed)
    finally:
        request.app[STATE].count(replace(call, outcome=outcome))
