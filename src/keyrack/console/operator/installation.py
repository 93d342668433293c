"""`/console/installation`: the whole installation at a glance, each number leading to the rows behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.visit import Visit
from keyrack.console.operator.history_charts import PERIODS, history_charts
from keyrack.console.operator.words import CIRCUITS, RESULTS, STATES, duration, number
from keyrack.model.operations import AT_RISK, GrantState
from keyrack.service.operator.grant_overview import GrantCounts
from keyrack.service.operator.operations import Operations
from keyrack.service.operator.permissions import SEE_GRANTS, SEE_TENANTS
from keyrack.service.operator.refresh_history import Period
from keyrack.service.operator.refresh_queue import COUNTED_TO

_WORST = 5
"""Providers that are named on the first page."""


@dataclass(frozen=True, slots=True)
class StateShare:
    """How many grants are in a state.

    Attributes:
        state: the state.
        count: how many.
        percent: of all, 0 to 100.
    """

    state: GrantState
    count: int
    percent: float


@get("/installation", media_type=MediaType.HTML)
async def installation(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """Show how the installation is doing."""
    who, period = visit.who, period_asked(visit)
    counts, providers = await operations.grants.counts(who), await operations.providers.list(who)
    processes = await operations.processes.list(who)
    spans = await operations.history.spans(who, period)
    called = [each for each in providers if each.origin]
    return visit.page(
        "operator/installation.html",
        counts=counts,
        at_risk=sum(counts.by_state.get(state, 0) for state in AT_RISK),
        shares=state_shares(counts),
        queue=await operations.queue.numbers(who),
        counted_to=COUNTED_TO,
        providers=called[:_WORST],
        providers_total=len(called),
        not_closed=sum(each.circuit.value != "closed" for each in called),
        renewed=sum(each.refreshed for each in providers),
        failed=sum(each.failed for each in providers),
        processes=processes,
        silent=sum(each.is_silent for each in processes),
        keys=await operations.keys.in_use(who),
        rules=await operations.rules.list(who),
        charts=history_charts(spans, period),
        period=period,
        sees_grants=visit.allows(SEE_GRANTS),
        sees_tenants=visit.allows(SEE_TENANTS),
        **words(),
    )


def state_shares(counts: GrantCounts) -> Sequence[StateShare]:
    """Return the states that grants are in, in the order of `STATES`."""
    total = max(1, counts.total)
    return [
        StateShare(state, counts.by_state[state], round(100 * counts.by_state[state] / total, 2))
        for state in STATES
        if counts.by_state.get(state)
    ]


def period_asked(visit: Visit) -> Period:
    """Return the period that a chart is asked for; a day if none is."""
    asked = visit.asked("period")
    return Period(asked) if asked in set(Period) else Period.day


def words() -> dict[str, Any]:
    """Return what all these pages name things with."""
    return {
        "states": STATES, "results": RESULTS, "circuits": CIRCUITS, "periods": PERIODS, "duration": duration,
        "number": number, "kinds": {result.value: word.kind for result, word in RESULTS.items()},
    }  # fmt: skip
