"""Collects the metrics of this process and of the installation."""

import asyncio
import time
from collections.abc import Mapping

from keyrack import exposition, metrics
from keyrack.background import Background
from keyrack.errors import DatabaseUnavailable, Forbidden, Unauthorized
from keyrack.logs import log_fault
from keyrack.model.identity import Principal
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.service.secrets.refresh.provider_limiter import Circuit, ProviderLimiter
from keyrack.store.audit_chain import AuditChains
from keyrack.store.core.store import Store
from keyrack.store.data_key_list import DataKeyList
from keyrack.store.expiring_clients import EndingSecrets
from keyrack.store.key_rotations import KeyRotations
from keyrack.store.queue_stats import queue_stats
from keyrack.store.spool import Spool

PERMISSION = "global.metrics.get"
_CACHED_SECONDS = 3.0
_REPORT_SECONDS = 2.0
_LEVELS = {Circuit.closed: 0, Circuit.half_open: 1, Circuit.open: 2}


class MetricsReader:
    """Tells what there is to watch.

    Args:
        store: the database.
        limiter: how this process stands with providers.
        journal: what it holds in memory.
        spool: what waits on this machine's disk.
        open_to_all: answer everybody (`KEYRACK_METRICS_OPEN`).
    """

    def __init__(
        self, store: Store, limiter: ProviderLimiter, journal: Journal, spool: Spool, *, open_to_all: bool
    ) -> None:
        self._store = store
        self._limiter = limiter
        self._journal = journal
        self._spool = spool
        self._open = open_to_all
        self._facts: Mapping[str, exposition.Fact] = {}
        self._asked_at = -_CACHED_SECONDS
        self._asking = asyncio.Lock()
        self._task = Background("metrics", self._run)

    async def read(self, who: Principal | None) -> bytes:
        """Return all metrics of all processes of this server, in Prometheus' text format.

        Raises:
            Unauthorized: nobody in particular asks, and that is not enough.
            Forbidden: the caller is no service account with `global.metrics.get`.
        """
        if not self._open:
            if who is None:
                raise Unauthorized
            if who.tenant_id is not None or PERMISSION not in who.permissions:
                raise Forbidden(f"this needs a service account with the permission {PERMISSION}")
        async with self._asking:  # however many ask, the database is asked once in a while
            if time.monotonic() - self._asked_at >= _CACHED_SECONDS:
                self._facts, self._asked_at = await self._ask(), time.monotonic()
        self.report()
        return exposition.exposition(self._facts)

    def report(self) -> None:
        """Tell how this process stands; the process that is asked answers for the others with what they last told."""
        circuits = self._limiter.circuits().items()
        metrics.providers_are({origin: (_LEVELS[circuit], running) for origin, (circuit, running) in circuits})
        in_use, most = self._store.connections()
        metrics.process_is(answers_in_memory=self._journal.in_memory, connections=in_use, connections_most=most)

    async def start(self) -> None:
        """Begin to tell every few seconds."""
        self._task.start()

    async def close(self) -> None:
        """Stop telling."""
        await self._task.stop()

    async def _ask(self) -> Mapping[str, exposition.Fact]:
        facts: dict[str, exposition.Fact] = {"keyrack_answers_spooled": self._spool.count()}
        kek_id = self._store.keyring.kek_id
        try:
            async with self._store.installation() as unit:
                load = await queue_stats(unit)
                ending = await EndingSecrets(unit).count()
                under_others = await KeyRotations(unit).count_under_others(kek_id)
                ages = await DataKeyList(unit).ages(kek_id)
                unchained, oldest = await AuditChains(unit).waiting()
                waited = 0.0 if oldest is None else (unit.clock() - oldest).total_seconds()
        except DatabaseUnavailable:
            return facts | {"keyrack_database_up": 0}
        return facts | {
            "keyrack_database_up": 1,
            "keyrack_secrets_due": load.due,
            "keyrack_secrets_due_oldest_seconds": load.oldest_due_seconds,
            "keyrack_attempts_open": load.open_attempts,
            "keyrack_data_keys_under_old_keys": under_others,
            "keyrack_key_age_seconds": ages,
            "keyrack_audit_unchained": unchained,
            "keyrack_audit_unchained_oldest_seconds": max(0.0, waited),
            "keyrack_client_secrets_ending": {str(days): count for days, count in ending.items()},
        }

    async def _run(self) -> None:
        while True:
            try:
                self.report()
            except Exception as error:  # noqa: BLE001 - the next round may fare better; nothing may end the loop
                log_fault(error, "the state of this process could not be told")
            await asyncio.sleep(_REPORT_SECONDS)
