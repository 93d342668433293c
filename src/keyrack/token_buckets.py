"""Counts how often somebody does something in a minute: token buckets, kept for a bounded number of holders."""

from collections import OrderedDict
from collections.abc import Callable

_MINUTE = 60.0
_MOST_BUCKETS = 10_000


class TokenBuckets:
    """A bucket for each holder: `limit` at once, refilled over a minute; of too many buckets, the oldest is forgotten.

    Args:
        limit: in a minute; 0: no limit.
        timer: monotonic seconds.
    """

    def __init__(self, limit: int, timer: Callable[[], float]) -> None:
        self._limit = limit
        self._timer = timer
        self._buckets: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def take(self, whose: object) -> float:
        """Take one; return 0, or after how many seconds there is one again."""
        if self._limit == 0:
            return 0.0
        now = self._timer()
        left = self._left(whose, now)
        admitted = left >= 1
        self._buckets[whose] = (left - 1 if admitted else left, now)
        self._buckets.move_to_end(whose)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        return 0.0 if admitted else (1 - left) * _MINUTE / self._limit

    def give_back(self, whose: object) -> None:
        """Give one back that was taken for nothing."""
        if (found := self._buckets.get(whose)) is not None:
            self._buckets[whose] = (found[0] + 1, found[1])

    def scarce(self, below: int) -> dict[object, int]:
        """Return how many holders may take at once, of those who may take fewer than `below` and than usual.

        Buckets that are full again are forgotten.
        """
        now = self._timer()
        left = {whose: self._left(whose, now) for whose in self._buckets}
        for whose, count in left.items():
            if count >= self._limit:
                del self._buckets[whose]
        return {whose: int(count) for whose, count in left.items() if count < min(below, self._limit)}

    def _left(self, whose: object, now: float) -> float:
        left, since = self._buckets.get(whose) or (float(self._limit), now)
        return min(self._limit, left + (now - since) * self._limit / _MINUTE)
