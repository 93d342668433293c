"""Counts refreshes by time, provider and result, many in one write, for the operator's charts (decision 34).

Each process counts in memory and adds what it has to the database every few seconds and when it stops, so that no
refresh costs a statement more. A process that is killed loses what it counted since; and what was written when the
connection broke, so that nobody knows whether it was, is counted twice.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

from keyrack.background import NowAndThen
from keyrack.clock import Clock, epoch_ms
from keyrack.errors import ProviderUnavailable
from keyrack.model.operations import RefreshResult
from keyrack.model.secrets import ErrorCode
from keyrack.oauth.failure_classes import FailureClass
from keyrack.service.secrets.refresh.outcome import RefreshOutcome, Result
from keyrack.store.core.store import Store
from keyrack.store.refresh_counts import HOURS, MINUTES, RefreshCount, RefreshCounts

INTERVAL = 5.0
OTHER = "other"
"""What providers are called together once there are too many."""
_MOST_ORIGINS = 50
"""Providers that are counted by name within an hour; whoever may create auth clients can name any number."""
_MOST = 10_000
"""Counts that are remembered at most; more are only there when the database has been gone for long."""
_HELD_BACK = frozenset({"circuit_open", "busy", "quota"})
_ENDED = frozenset({ErrorCode.reauthorization_required, ErrorCode.refresh_interrupted})


class _Key(NamedTuple):
    number: int
    """Of the span, counted from 1970."""
    origin: str
    result: RefreshResult


class RefreshCounter:
    """Counts what became of this process's refreshes.

    Args:
        store: where they are added up.
        clock: the time.
        interval: seconds between two writings.
    """

    def __init__(self, store: Store, clock: Clock, interval: float = INTERVAL) -> None:
        self._store = store
        self._clock = clock
        self._counts: Counter[_Key] = Counter()
        self._origins: set[str] = set()
        self._hour = 0
        self._writing = NowAndThen("refresh counts", self.flush, interval, "refreshes could not be counted")

    def count(self, origin: str, result: RefreshResult) -> None:
        """Count a refresh that has just ended. Cheap, never waits, never fails."""
        seconds = epoch_ms(self._clock()) // 1000
        if seconds // HOURS != self._hour:
            self._hour, self._origins = seconds // HOURS, set()
        if origin not in self._origins:
            if len(self._origins) < _MOST_ORIGINS:
                self._origins.add(origin)
            else:
                origin = OTHER
        key = _Key(seconds // MINUTES, origin, result)
        if len(self._counts) < _MOST or key in self._counts:
            self._counts[key] += 1

    async def flush(self) -> None:
        """Add what was counted to what the database has.

        Raises:
            DatabaseUnavailable: the database is gone; what was counted stays, for the next time.
        """
        counted, self._counts = self._counts, Counter()
        if not counted:
            return
        hours: Counter[_Key] = Counter()
        for key, refreshes in counted.items():
            hours[key._replace(number=key.number * MINUTES // HOURS)] += refreshes
        rows = [_row(MINUTES, key, refreshes) for key, refreshes in counted.items()]
        rows += [_row(HOURS, key, refreshes) for key, refreshes in hours.items()]
        try:
            async with self._store.installation(writes=True) as unit:
                await RefreshCounts(unit).add(rows)
        except BaseException:
            self._counts.update(counted)
            raise

    async def start(self) -> None:
        """Begin to write now and then."""
        self._writing.start()

    async def close(self) -> None:
        """Write a last time and stop."""
        await self._writing.close()


def refresh_result(outcome: RefreshOutcome, result: Result) -> RefreshResult:
    """Return what a refresh's end is counted as.

    Args:
        outcome: what was written down.
        result: what the provider sent, or why it sent nothing.
    """
    secret = outcome.secret
    if outcome.fate is None:
        unusable = secret.error_code is ErrorCode.unsupported_token_type
        return RefreshResult.refused if unusable else RefreshResult.renewed
    if isinstance(result, ProviderUnavailable):
        return RefreshResult.held_back if result.failure.reason in _HELD_BACK else RefreshResult.unavailable
    if secret.error_code in _ENDED:
        return RefreshResult.reauthorization_required
    kind = "" if secret.failure is None else secret.failure.kind
    if kind == FailureClass.CLIENT_REJECTED.value:
        return RefreshResult.client_rejected
    return RefreshResult.unavailable if kind == FailureClass.TEMPORARY.value else RefreshResult.refused


def _row(span: int, key: _Key, refreshes: int) -> RefreshCount:
    return RefreshCount(span, _began(key.number, span), key.origin, key.result, refreshes)


def _began(number: int, span: int) -> datetime:
    return _EPOCH + timedelta(seconds=number * span)


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
