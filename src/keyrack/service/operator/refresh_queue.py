"""Tells what is due to be refreshed, for how long, and what comes next, for the operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from keyrack.clock import Clock
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.operator.grant_overview import GrantView, grant_views
from keyrack.service.operator.permissions import SEE_GRANTS, require_operator
from keyrack.store.core.unit import Unit
from keyrack.store.queue_stats import MOST, queue_stats
from keyrack.store.refresh_queue import RefreshQueueRows

COUNTED_TO = MOST
"""How far each number is counted."""


class Due(StrEnum):
    """When the refreshes of a list are due."""

    now = "now"
    soon = "soon"
    """Within five minutes."""
    later = "later"
    """Within an hour."""


_WITHIN = {Due.soon: timedelta(minutes=5), Due.later: timedelta(hours=1)}


@dataclass(frozen=True, slots=True)
class QueueNumbers:
    """What waits; each is counted up to `COUNTED_TO`.

    Attributes:
        due: secrets whose refresh is due, those being refreshed included.
        lag_seconds: for how long the longest due one has been.
        soon: more that are due within five minutes.
        later: more that are due within an hour, `soon` included.
        open_requests: token requests under way or not settled yet.
    """

    due: int
    lag_seconds: float
    soon: int
    later: int
    open_requests: int


class RefreshQueue:
    """The queue of the whole installation."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    async def numbers(self, who: Principal) -> QueueNumbers:
        """Return how much waits.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope)
            return await _numbers(scope.unit)

    async def page(
        self, who: Principal, due: Due = Due.now, *, limit: int, offset: int
    ) -> tuple[Sequence[GrantView], int]:
        """List the secrets whose refresh is due or will be, the earliest first; return a page and how many there are.

        Args:
            who: is asking.
            due: when they are; with `soon` and `later` those that are due now are left out.
            limit: how many at most.
            offset: how many to pass over.

        Raises:
            Forbidden: the caller may not watch the installation, or not see grants.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope, SEE_GRANTS)
            rows = RefreshQueueRows(scope.unit)
            if due is Due.now:
                found = await rows.due(limit=limit, offset=offset)
                total = (await queue_stats(scope.unit)).due
            else:
                found = await rows.next_due(_WITHIN[due], limit=limit, offset=offset)
                total = await rows.due_within(_WITHIN[due])
        return grant_views(found, self._clock()), total


async def _numbers(unit: Unit) -> QueueNumbers:
    stats, rows = await queue_stats(unit), RefreshQueueRows(unit)
    soon, later = await rows.due_within(_WITHIN[Due.soon]), await rows.due_within(_WITHIN[Due.later])
    return QueueNumbers(stats.due, stats.oldest_due_seconds, soon, later, stats.open_attempts)
