"""When something that failed is tried again: after waits that grow, spread lest all that failed come back at once."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """How patient we are.

    Attributes:
        first: the wait after the first failure.
        factor: how many times longer each further wait is.
        longest: the most that it grows to.
        tries: how often it is tried in all.
    """

    first: timedelta
    factor: int
    longest: timedelta
    tries: int

    def next_try(self, made: int, now: datetime, retry_after: int | None = None) -> datetime | None:
        """Return when to try again.

        Args:
            made: how many tries there were, at least 1.
            now: the current time.
            retry_after: seconds the other side asked for; never earlier than that.

        Returns:
            A time, the wait lengthened by up to a fifth at random; None when that was the last try.
        """
        if made >= self.tries:
            return None
        grown: int = self.factor ** (made - 1)
        wait = min(self.first * grown, self.longest)
        wait *= random.uniform(1.0, 1.2)  # noqa: S311 - spreads load, guards nothing
        return now + max(wait, timedelta(seconds=retry_after or 0))
