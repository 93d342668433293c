"""Watches in each server process whether its key sources can be used, and takes note of keys that were exchanged."""

import asyncio
import time
from collections.abc import Callable

import structlog

from keyrack import metrics
from keyrack.background import Background
from keyrack.errors import ConfigurationError, DatabaseUnavailable, KeyrackError, KeyServiceUnavailable
from keyrack.logs import log_fault
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store

log = structlog.get_logger()

INTERVAL = 2.0
_SERVICE_SECONDS = 30.0
"""A service that works is asked this often; one that does not, or has just failed a request, every time."""


class KeyWatch:
    """Reads key files again that have changed, and sees that key services answer.

    Args:
        store: with the keyring of this process.
        interval: seconds between two looks.
        timer: seconds that never go back.
    """

    def __init__(self, store: Store, interval: float = INTERVAL, timer: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._interval = interval
        self._timer = timer
        self._fault: KeyrackError | None = None
        self._asked_at = float("-inf")
        self._task = Background("keys", self._run)

    @property
    def fault(self) -> KeyrackError | None:
        """Why a key source cannot be used, as of the last look; None: all can."""
        return self._fault

    def start(self) -> None:
        """Begin to watch."""
        self._task.start()

    async def close(self) -> None:
        """Stop."""
        await self._task.stop()

    async def look(self) -> None:
        """Look once.

        Raises:
            DatabaseUnavailable: the database is gone; nothing is known of the key sources by that.
        """
        keyring, now = self._store.keyring, self._timer()
        in_doubt = self._fault is not None or keyring.kek.has_failed
        asks = keyring.kek.is_remote and (in_doubt or now - self._asked_at >= _SERVICE_SECONDS)
        if asks:
            self._asked_at = now
        try:
            await keyring.kek.refresh(services=asks)
            if asks:
                async with self._store.installation() as unit:
                    rows = await keyring.look(unit.connection, INSTALLATION)
                await keyring.require_unwrapping(rows[:1], INSTALLATION)
        except (ConfigurationError, KeyServiceUnavailable) as fault:
            if self._fault is None:
                log.warning("a key source cannot be used", why="; ".join(fault.for_operators))
            self._fault = fault
            metrics.key_sources_are(usable=False)
        else:
            if self._fault is not None:
                log.info("the key sources can be used again")
            self._fault = None
            metrics.key_sources_are(usable=True)

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except DatabaseUnavailable:
                pass  # next time
            except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
                log_fault(error, "the key sources could not be looked at")
            await asyncio.sleep(self._interval)
