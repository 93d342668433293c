"""Computes when a secret is due for refresh or retry (contract 0.12, 0.13). Pure functions of time."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyrack.service.jobs.backoff import BackOff

_TENTH = 10
_LONGEST_JITTER = timedelta(minutes=10)
_LONGEST_MARGIN = timedelta(days=7)
_JITTER = (0.5, 1.0)
_WINDOW = timedelta(minutes=10)
_PER_SECRET = timedelta(milliseconds=20)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The operator's choices about time.

    Attributes:
        lead: how long before its expiry a token is due.
        first_retry: about how long after a failure a grant is tried again; for the background, doubled with every
            further failure of its own tries.
        longest_retry: the most that doubling leads to.
        give_up: how long past a token's expiry the background goes on trying.
    """

    lead: timedelta = timedelta(seconds=30)
    first_retry: timedelta = timedelta(seconds=5)
    longest_retry: timedelta = timedelta(minutes=15)
    give_up: timedelta = timedelta(hours=24)

    def due(self, issued_at: datetime, expires_at: datetime) -> datetime:
        """Return when a token is due: `lead` before expiry, or its last tenth if that is shorter (contract 0.12)."""
        return expires_at - min(self.lead, (expires_at - issued_at) / _TENTH)

    def background_due(self, secret_id: str, issued_at: datetime, expires_at: datetime) -> datetime:
        """Return when the background refreshes: earlier than `due` by a stable share of a tenth of the lifetime.

        The share depends on the id alone, so grants made together do not fall due together.
        """
        spread = min((expires_at - issued_at) / _TENTH, _LONGEST_JITTER)
        return max(self.due(issued_at, expires_at) - spread * share(secret_id), issued_at)

    def said_before(self, issued_at: datetime, expires_at: datetime, before: timedelta) -> datetime:
        """Return when a token is renewed that its provider wants renewed so long before its end, and no sooner.

        At the earliest when half of its life is over, so that a token which lives shorter is not renewed at once.
        """
        return expires_at - min(before, (expires_at - issued_at) / 2)

    def before_unused(self, secret_id: str, issued_at: datetime, ends_at: datetime) -> datetime:
        """Return when to refresh so that a refresh token does not end for want of use, with time for failures.

        Between one and two tenths of its life before, at most one to two weeks; the same for an id each time.
        """
        margin = min((ends_at - issued_at) / _TENTH, _LONGEST_MARGIN)
        return ends_at - margin * (1 + share(secret_id))

    def retry(self, failures: int, now: datetime, retry_after: int | None = None) -> datetime:
        """Return when to try again after the given number of failures in a row that count.

        The wait doubles up to `longest_retry`, of which at least half is waited; never before the `Retry-After`
        (seconds) that the provider asked for.
        """
        back_off = BackOff(first=self.first_retry, factor=2, longest=self.longest_retry, jitter=_JITTER)
        return now + back_off.wait(failures, retry_after)


def spread_out(secret_id: str, due: datetime, now: datetime, count: int) -> datetime:
    """Return when one of many secrets that were not looked after until now is refreshed: never at once.

    Args:
        secret_id: decides its place among those that are overdue.
        due: when it would be.
        now: the current time.
        count: how many there are; what is overdue is spread over a time that grows with it.
    """
    return due if due > now else now + (_WINDOW + count * _PER_SECRET) * share(secret_id)


def share(secret_id: str) -> float:
    """Return a number in [0, 1) that is the same for an id in every process."""
    return int.from_bytes(hashlib.sha256(secret_id.encode()).digest()[:4], "big") / 2**32
