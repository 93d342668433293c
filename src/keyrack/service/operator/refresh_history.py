"""Tells how many refreshes came to which result over the last hours, day or month, for the operator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from keyrack.clock import Clock, epoch_ms
from keyrack.model.identity import Principal
from keyrack.model.operations import RefreshResult
from keyrack.service.authz.access import Access
from keyrack.service.operator.permissions import require_operator
from keyrack.store.refresh_counts import HOURS, MINUTES, RefreshCounts

ResultCounts = Mapping[RefreshResult, int]


class Period(StrEnum):
    """How far back is looked."""

    hours = "hours"
    """Three hours, by five minutes."""
    day = "day"
    """A day, by hours."""
    month = "month"
    """Thirty days, by days."""


@dataclass(frozen=True, slots=True)
class _Shape:
    counted: int
    """The span that is read, in seconds."""
    shown: int
    """The span that is told, in seconds."""
    spans: int
    """How many."""


_SHAPES: Mapping[Period, _Shape] = {
    Period.hours: _Shape(MINUTES, MINUTES, 36),
    Period.day: _Shape(HOURS, HOURS, 24),
    Period.month: _Shape(HOURS, 24 * HOURS, 30),
}


@dataclass(frozen=True, slots=True)
class RefreshSpan:
    """What became of the refreshes of a span of time.

    Attributes:
        began_at: its beginning, a multiple of its length since 1970.
        seconds: its length.
        results: how many; results that none came to are missing.
    """

    began_at: datetime
    seconds: int
    results: ResultCounts

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.results.values())


class RefreshHistory:
    """What processes have counted; the last seconds, which they have not written yet, are missing."""

    def __init__(self, access: Access, clock: Clock) -> None:
        self._access = access
        self._clock = clock

    async def spans(self, who: Principal, period: Period, origin: str | None = None) -> Sequence[RefreshSpan]:
        """Return every span of a period, the oldest first and the one that is going on last, also those without any.

        Args:
            who: the caller.
            period: how far back.
            origin: only the refreshes at a provider.

        Raises:
            Forbidden: the caller may not watch the installation.
        """
        shape = _SHAPES[period]
        seconds = epoch_ms(self._clock()) // 1000
        last = seconds - seconds % shape.shown
        first = last - (shape.spans - 1) * shape.shown
        async with self._access.installation(who) as scope:
            require_operator(scope)
            counted = await RefreshCounts(scope.unit).by_time(shape.counted, _moment(first), origin)
        found: dict[int, dict[RefreshResult, int]] = {first + n * shape.shown: {} for n in range(shape.spans)}
        for began_at, result, refreshes in counted:
            at = epoch_ms(began_at) // 1000
            results = found.get(at - at % shape.shown)
            if results is not None:  # a process whose clock is ahead counts for what is to come
                results[result] = results.get(result, 0) + refreshes
        return [RefreshSpan(_moment(at), shape.shown, results) for at, results in found.items()]


def _moment(seconds: int) -> datetime:
    return _EPOCH + timedelta(seconds=seconds)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
