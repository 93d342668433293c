"""Settles what crashes, outages and stalled processes left in the journal. Runs in every process that refreshes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from keyrack.background import Background
from keyrack.errors import DatabaseUnavailable
from keyrack.logs import log_fault
from keyrack.service.secrets.refresh.abandonment import Abandonment
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.store.attempts import Attempt, AttemptKind, open_attempts
from keyrack.store.core.store import Store

log = structlog.get_logger()

Settle = Callable[[Attempt], Awaitable[bool]]
"""Settles one interrupted attempt and tells whether that was possible."""

_INTERVAL = 1.0


class Recovery:
    """Looks through open attempts now and then.

    Args:
        store: where they are.
        journal: knows which are running here, and what waits in the spool.
        abandonment: knows which may be given up.
        settlers: how to settle each kind; more may be added.
    """

    def __init__(
        self, store: Store, journal: Journal, abandonment: Abandonment, settlers: Mapping[AttemptKind, Settle]
    ) -> None:
        self._store = store
        self._journal = journal
        self._abandonment = abandonment
        self._settlers = dict(settlers)
        self._task = Background("recovery", self._run)

    def add(self, kind: AttemptKind, settle: Settle) -> None:
        """Learn how to settle one more kind of attempts."""
        self._settlers[kind] = settle

    async def tick(self) -> int:
        """Bring answers in and settle what can be settled; return how many attempts were.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        await self._journal.bring_in()
        async with self._store.installation() as unit:
            left = await open_attempts(unit)
        self._abandonment.database_is_up(left)
        settled = 0
        for attempt in left:
            if attempt.id in self._journal.running or not self._abandonment.is_over(attempt):
                continue
            try:
                settled += await self._settlers[attempt.kind](attempt)
            except DatabaseUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - one attempt's fault is not the others'
                log_fault(error, "an interrupted token request cannot be settled", attempt=attempt.id)
        if settled:
            log.info("settled interrupted token requests", attempts=settled)
        return settled

    async def start(self) -> None:
        """Begin to look, now and every second."""
        self._task.start()

    async def close(self) -> None:
        """Stop looking."""
        await self._task.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self.tick()
            except DatabaseUnavailable:
                self._abandonment.database_is_down()
            except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
                log_fault(error, "recovery failed")
            await asyncio.sleep(_INTERVAL)
