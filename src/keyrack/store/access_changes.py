"""Tells all processes that somebody lost access, or a key, so that what they remember is true to within a second.

On PostgreSQL triggers say it (migration 0004), whichever process or command takes the access away: the id of a tenant
whose people, roles or flows changed, or the beginning of an API key's hash. On SQLite the database file tells whether
anybody wrote to it at all. Where neither can be relied on, what is remembered is good for less than a second.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from keyrack.store.core.listening import Listener

CHANNEL = "keyrack_access"
KEY_CHANNEL = "keyrack_keys"
"""On which triggers tell of data keys (`keyrack.store.migrations.key_guards`)."""
EVERYBODY = ""
"""Said when a change concerns the whole installation."""
_KEY = "key:"
_KEY_DIGITS = 16

LONGEST_SECONDS = 60.0
"""What is remembered is looked up again after this, come what may."""
SHORT_SECONDS = 0.8
"""How long it is good where nobody would tell: with the time that a request takes, less than a second."""
_MOST_SUBJECTS = 10_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment before something was looked up.

    Attributes:
        moment: of the timer.
        version: of the database, where it has one.
    """

    moment: float
    version: int | None


def key_subject(key_hash: str) -> str:
    """Return how a change of an API key is announced; the channel carries no whole hash."""
    return _KEY + key_hash[:_KEY_DIGITS]


class AccessChanges:
    """Tells whether what was looked up is still true.

    Args:
        listener: hears of changes.
        version: returns a number that changes with every commit to the database; None where there is none.
        timer: seconds that never go back; the listener's.
        channel: on which changes are told, with the id of the tenant they are about.
        exact: where the database has a version, believe nothing but that, however short ago something was looked up.
    """

    def __init__(
        self,
        listener: Listener,
        version: Callable[[], int | None] | None = None,
        timer: Callable[[], float] = time.monotonic,
        channel: str = CHANNEL,
        *,
        exact: bool = False,
    ) -> None:
        self._exact = exact
        self._listener = listener
        self._version = version
        self._timer = timer
        self._changed: dict[str, float] = {}
        self._all_changed = float("-inf")
        listener.on(channel, self._heard)

    def mark(self) -> Mark:
        """Take the time, before looking something up."""
        return Mark(self._timer(), None if self._version is None else self._version())

    def holds(self, mark: Mark, *subjects: str) -> bool:
        """Tell whether what was looked up after a mark can still be acted on.

        Args:
            mark: taken before it was looked up.
            subjects: whom it is about: ids of tenants, keys as `key_subject` names them.
        """
        age = self._timer() - mark.moment
        if age > LONGEST_SECONDS or mark.moment <= self._all_changed:
            return False
        for subject in subjects:
            if mark.moment <= self._changed.get(subject, -1.0):
                return False
        if self._exact and mark.version is not None and self._version is not None:
            return self._version() == mark.version
        if age <= SHORT_SECONDS or self._listener.missed_nothing_since(mark.moment):
            return True
        return mark.version is not None and self._version is not None and self._version() == mark.version

    def _heard(self, subject: str) -> None:
        now = self._timer()
        if subject == EVERYBODY or len(self._changed) >= _MOST_SUBJECTS:
            self._all_changed = now
            self._changed.clear()
        else:
            self._changed[subject] = now
