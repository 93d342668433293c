"""Computes when something that failed is tried again: after waits that grow and are spread."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

_MOST_STEPS = 16
"""Of growth; keeps the numbers small however often something failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """Exponential back-off with jitter, so that not all that failed together comes back together.

    Attributes:
        first: the wait after the first failure.
        factor: how many times longer each further wait is.
        longest: the most that it grows to.
        jitter: bounds of what a wait is multiplied with at random.
        tries: how often something is tried in all; None for no end.
    """

    first: timedelta
    factor: int
    longest: timedelta
    jitter: tuple[float, float] = (1.0, 1.2)
    tries: int | None = None

    def next_try(self, made: int, now: datetime, retry_after: int | None = None) -> datetime | None:
        """Return when to try again, or None when that was the last try.

        Args:
            made: how many tries there were, at least 1.
            now: the current time.
            retry_after: seconds the other side asked for; never earlier than that.
        """
        if self.tries is not None and made >= self.tries:
            return None
        return now + self.wait(made, retry_after)

    def wait(self, failures: int, retry_after: int | None = None) -> timedelta:
        """Return how long to wait after some failures in a row, however many tries are left.

        Args:
            failures: how many; fewer than 1 count as 1.
            retry_after: as for `next_try`.
        """
        growth: int = self.factor ** min(max(failures - 1, 0), _MOST_STEPS)
        spread = random.uniform(*self.jitter)  # noqa: S311 - spreads load, guards nothing
        return max(min(self.first * growth, self.longest) * spread, timedelta(seconds=retry_after or 0))
