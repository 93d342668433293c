"""Deletes old events, deliveries, mails, revocations, refresh attempts, consents, links and console sessions."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

from keyrack.store.core.store import Store
from keyrack.store.retention import BATCH, ExpiredRows

_Forget = Callable[[ExpiredRows, datetime], Awaitable[int]]

# Deliveries first: an event stays as long as one of its deliveries does.
_WHAT: tuple[_Forget, ...] = (
    ExpiredRows.forget_deliveries,
    ExpiredRows.forget_revocations,
    ExpiredRows.forget_events,
    ExpiredRows.forget_attempts,
    ExpiredRows.forget_consents,
    ExpiredRows.forget_connect_links,
    ExpiredRows.forget_mails,
    ExpiredRows.forget_setup_links,
    ExpiredRows.forget_console_sessions,
    ExpiredRows.forget_pending_sign_ins,
    ExpiredRows.forget_authentication_requests,
)
_COUNTS: tuple[tuple[_Forget, timedelta], ...] = (
    (ExpiredRows.forget_refreshes_by_minutes, timedelta(days=2)),
    (ExpiredRows.forget_refreshes_by_hours, timedelta(days=32)),
)
"""What is kept as long as the operator's charts need it, whatever the setting."""


class Retention:
    """Removes after a time what is over.

    Args:
        store: where they are.
        days: how long they are kept (`KEYRACK_EVENT_RETENTION_DAYS`).
    """

    def __init__(self, store: Store, days: int) -> None:
        self._store = store
        self._kept = timedelta(days=days)

    async def reap(self) -> int:
        """Remove what is old enough, in small transactions; return how many rows.

        Raises:
            DatabaseUnavailable: the database cannot be reached.
        """
        over = [(forget, self._kept) for forget in _WHAT]
        return sum([await self._all(forget, kept) for forget, kept in (*over, *_COUNTS)])

    async def _all(self, forget: _Forget, kept: timedelta) -> int:
        total, removed = 0, BATCH
        while removed >= BATCH:
            async with self._store.installation(writes=True) as unit:
                removed = await forget(ExpiredRows(unit), self._store.clock() - kept)
            total += removed
        return total
