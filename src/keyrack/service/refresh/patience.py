"""When an attempt without an answer may be taken for lost: not while its process may still bring the answer in."""

from collections.abc import Callable
from dataclasses import dataclass, field

from keyrack.store.node import is_dead, node_id

Monotonic = Callable[[], float]


@dataclass(slots=True)
class Patience:
    """Knows how long this process has seen the database without a break.

    After an outage every process that lives brings in what it had put aside. So the answer of another process's
    attempt is given up only when that process is known to be dead, or had time enough since the database is back.

    Attributes:
        grace: seconds that others get.
        monotonic: seconds that never jump.
    """

    grace: float
    monotonic: Monotonic
    _since: float | None = field(default=None)

    def database_is_up(self) -> None:
        """Note that the database was reached."""
        if self._since is None:
            self._since = self.monotonic()

    def database_is_down(self) -> None:
        """Note that the database was not reached; the time starts anew."""
        self._since = None

    def is_over(self, owner: str) -> bool:
        """Tell whether an attempt of `owner`, whose lease has ended, may be given up."""
        if is_certain(owner):
            return True
        return self._since is not None and self.monotonic() - self._since >= self.grace


def is_certain(owner: str) -> bool:
    """Tell whether nobody else can be in the middle of an attempt: it is our own, or its process is dead."""
    return owner == node_id() or is_dead(owner)
