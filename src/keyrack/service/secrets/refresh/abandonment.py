"""Decides when an attempt without an answer is lost: not while its process may still bring one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from keyrack.store.attempts import Attempt
from keyrack.store.core.process_id import is_dead, node_id

Monotonic = Callable[[], float]


@dataclass(slots=True)
class Abandonment:
    """Knows how long this process has seen the database without a break, and each attempt without an answer.

    After an outage every process that lives brings in what it had put aside. So the attempt of another process is
    given up only when that process is known to be dead, or had time enough since the database is back and since the
    attempt was first seen here.

    Attributes:
        grace: seconds that others get.
        monotonic: seconds that never jump.
    """

    grace: float
    monotonic: Monotonic
    _since: float | None = field(default=None)
    _seen: dict[str, float] = field(default_factory=dict)

    def database_is_up(self, open_attempts: Iterable[Attempt]) -> None:
        """Note that the database was reached, and which attempts are open in it."""
        now = self.monotonic()
        self._since = now if self._since is None else self._since
        self._seen = {attempt.id: self._seen.get(attempt.id, now) for attempt in open_attempts}

    def database_is_down(self) -> None:
        """Note that the database was not reached; the time starts anew."""
        self._since = None

    def is_over(self, attempt: Attempt) -> bool:
        """Tell whether an attempt, whose lease has ended, may be settled by this process."""
        if attempt.owner == node_id() or is_dead(attempt.owner):
            return True
        long_ago = self.monotonic() - self.grace
        seen = self._seen.get(attempt.id)
        return self._since is not None and self._since <= long_ago and seen is not None and seen <= long_ago
