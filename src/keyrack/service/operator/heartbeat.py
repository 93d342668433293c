"""Says every few seconds, in the database, that this process runs and how it stands with providers (decision 34)."""

import asyncio
import os
import socket
from collections.abc import Sequence

from keyrack import __version__
from keyrack.background import Background
from keyrack.clock import Clock
from keyrack.errors import DatabaseUnavailable
from keyrack.logs import log_fault
from keyrack.model.operations import CircuitState, ProcessState, RunningProcess
from keyrack.service.secrets.refresh.composition import RefreshParts
from keyrack.service.secrets.refresh.provider_limiter import Circuit
from keyrack.store.core.process_id import node_id
from keyrack.store.core.store import Store
from keyrack.store.processes import Processes
from keyrack.store.spool import Spool

INTERVAL = 5.0
_STEP = 0.5
"""Seconds between two looks whether the keys of this process have changed, which is told at once."""
MOST_CIRCUITS = 50
"""Providers that a process tells of, the worst first."""
_WORST_FIRST = (Circuit.open, Circuit.half_open, Circuit.closed)
_LONGEST_HOST = 255


class Heartbeat:
    """Tells that this process runs; another process on the same database tells the operator.

    Args:
        store: where it is told.
        refreshing: what is going on.
        spool: what waits on this machine's disk.
        clock: the time.
        interval: seconds between two.
    """

    def __init__(
        self, store: Store, refreshing: RefreshParts, spool: Spool, clock: Clock, interval: float = INTERVAL
    ) -> None:
        self._store = store
        self._refreshing = refreshing
        self._spool = spool
        self._clock = clock
        self._interval = interval
        self._roles: Sequence[str] = ()
        self._started_at = clock()
        self._told_keys: tuple[Sequence[str], str] | None = None
        self._task = Background("heartbeat", self._run)

    async def start(self, roles: Sequence[str]) -> None:
        """Begin to tell every few seconds.

        Args:
            roles: what this process does: `api`, `worker`.
        """
        self._roles, self._started_at = roles, self._clock()
        self._task.start()

    async def close(self) -> None:
        """Stop, and tell that this process is gone."""
        await self._task.stop()
        try:
            async with self._store.installation(writes=True) as unit:
                await Processes(unit).leave(node_id())
        except DatabaseUnavailable:
            pass  # it is forgotten after a while
        except Exception as error:  # noqa: BLE001 - whatever else is to be closed must be
            log_fault(error, "this process could not tell that it has ended")

    async def beat(self) -> None:
        """Tell it once.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        process = self._process()
        async with self._store.installation(writes=True) as unit:
            await Processes(unit).say(process)
        self._told_keys = (process.state.keys, process.state.wraps_with)

    def _process(self) -> RunningProcess:
        return RunningProcess(
            id=node_id(),
            host=socket.gethostname()[:_LONGEST_HOST],
            pid=os.getpid(),
            version=__version__,
            roles=self._roles,
            state=self._state(),
            started_at=self._started_at,
        )

    def _state(self) -> ProcessState:
        in_use, most = self._store.connections()
        told = sorted(
            self._refreshing.limiter.circuits().items(), key=lambda each: (_WORST_FIRST.index(each[1][0]), -each[1][1])
        )
        return ProcessState(
            refreshing=self._refreshing.refresher.running,
            answers_in_memory=self._refreshing.journal.in_memory,
            answers_spooled=self._spool.count(),
            connections=in_use,
            connections_most=most,
            circuits=[CircuitState(origin, circuit.value, running) for origin, (circuit, running) in told][
                :MOST_CIRCUITS
            ],
            keys=self._store.keyring.kek.ids,
            wraps_with=self._store.keyring.kek_id,
        )

    async def _run(self) -> None:
        forgotten = False
        while True:
            try:
                await self.beat()
                if not forgotten:
                    await self._forget()
                    forgotten = True
            except DatabaseUnavailable:
                pass  # next time
            except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
                log_fault(error, "this process could not tell that it runs")
            await self._pause()

    async def _pause(self) -> None:
        """Wait until the next beat is due: sooner if other keys are at hand, which an exchange of keys waits for."""
        left = self._interval
        while left > 0:
            await asyncio.sleep(min(_STEP, left))
            left -= _STEP
            if self._told_keys not in (None, (self._store.keyring.kek.ids, self._store.keyring.kek_id)):
                return

    async def _forget(self) -> None:
        """Forget processes that ended without telling; each new one does, so there are never many."""
        async with self._store.installation(writes=True) as unit:
            await Processes(unit).forget()
