"""Knows in each process what is frozen, for the fast read (decision 47).

What is asked in the usual way is refused by what the database says in the same unit (`authz.freezing`). The fast read
asks nobody: it goes by what this process heard a moment ago, and when that is older, leaves the answer to the usual
way. So a freeze holds in every process within a second, whatever happens to the task that asks.
"""

import asyncio
import time
from collections.abc import Callable

from keyrack.background import Background
from keyrack.errors import DatabaseUnavailable
from keyrack.logs import log_fault
from keyrack.model.secrets import AuthSecret
from keyrack.store.core.store import Store
from keyrack.store.freezes import NOTHING_FROZEN, Freezes, Frozen

INTERVAL = 0.25
LONGEST = 0.8
"""Seconds for which what was heard is good."""


class FreezeWatch:
    """Keeps in memory what is frozen, for the fast read.

    Args:
        store: where it is.
        timer: seconds that only go forward.
    """

    def __init__(self, store: Store, timer: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._timer = timer
        self._frozen: Frozen = NOTHING_FROZEN
        self._asked_at = float("-inf")
        self._task = Background("freezes", self._run)

    def start(self) -> None:
        """Begin to listen."""
        self._task.start()

    async def close(self) -> None:
        """Stop; from then on nothing is known."""
        await self._task.stop()
        self._asked_at = float("-inf")

    def lets_through(self, secret: AuthSecret) -> bool:
        """Tell whether a secret is surely not frozen; False also where that is not known at this moment."""
        if self._timer() - self._asked_at > LONGEST:
            return False
        return not self._frozen.covers(secret.tenant_id, secret.auth_client_id)

    async def ask(self) -> None:
        """Ask the database once.

        Raises:
            DatabaseUnavailable: it cannot be reached.
        """
        asked_at = self._timer()  # what is told later was true then
        async with self._store.installation() as unit:
            frozen = await Freezes(unit).frozen()
        self._frozen, self._asked_at = frozen, asked_at

    async def _run(self) -> None:
        while True:
            try:
                await self.ask()
            except DatabaseUnavailable:
                pass  # what was heard is soon too old to go by
            except Exception as error:  # noqa: BLE001 - the next time may fare better; nothing may end the loop
                log_fault(error, "what is frozen could not be read")
            await asyncio.sleep(INTERVAL)
