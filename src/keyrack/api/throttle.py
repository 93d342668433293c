"""Rate limiting per caller, off until an operator sets a limit (contract 0.18)."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from keyrack.errors import RateLimited
from keyrack.model import Principal

_MINUTE = 60.0
_MOST_CALLERS = 10_000


class Throttle:
    """A token bucket per caller: `limit` requests at once, refilled over a minute. Counts within one process."""

    def __init__(self, limit: int, timer: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._timer = timer
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admit(self, who: Principal) -> None:
        """Count a request.

        Raises:
            RateLimited: the caller has used up its requests; says after how many seconds there is one again.
        """
        if self._limit == 0:
            return
        now = self._timer()
        left, since = self._buckets.pop(who.id, (float(self._limit), now))
        left = min(self._limit, left + (now - since) * self._limit / _MINUTE)
        admitted = left >= 1
        self._buckets[who.id] = (left - 1 if admitted else left, now)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        if not admitted:
            raise RateLimited(max(1, math.ceil((1 - left) * _MINUTE / self._limit)))
