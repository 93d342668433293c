"""Tells what is due to be refreshed, for how long, and what comes next, for the operator."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

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
_SOON, _LATER = timedelta(minutes=5), timedelta(hours=1)


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

    async def page(self, who: Principal, *, limit: int, offset: int) -> tuple[Sequence[GrantView], int]:
        """List the secrets whose refresh is due, the longest due first; return a page and how many there are.

        Raises:
            Forbidden: the caller may not watch the installation, or not see grants.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope, SEE_GRANTS)
            found = await RefreshQueueRows(scope.unit).due(limit=limit, offset=offset)
            total = (await queue_stats(scope.unit)).due
        return grant_views(found, self._clock()), total


async def _numbers(unit: Unit) -> QueueNumbers:
    stats, rows = await queue_stats(unit), RefreshQueueRows(unit)
    soon, later = await rows.due_within(_SOON), await rows.due_within(_LATER)
    return QueueNumbers(stats.due, stats.oldest_due_seconds, soon, later, stats.open_attempts)
