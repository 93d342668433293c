"""Hands the renewing of imported grants over to Keyrack, once the system that they came from has stopped (decision 52).

Until then a grant is neither refreshed by the background nor by readers, whatever its times say: where refresh tokens
rotate, two systems that renew one grant make each other's tokens dead. What a cutover lets go is written in the rows
themselves, which every replica reads, so that it holds everywhere from the moment it commits.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyrack.clock import Clock
from keyrack.errors import NotFound
from keyrack.service.authz.operator import operator
from keyrack.service.secrets.refresh.schedule import spread_out
from keyrack.store.audit_log import AuditLog
from keyrack.store.awaiting_cutover import AwaitingCutover, WaitingCount, waiting_counts
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory
from keyrack.store.import_batches import ENVIRONMENT, ImportBatch, ImportBatches, all_batches

AT_ONCE = 500
BATCH, CLIENT = "import-batch", "auth-client"
"""What is cut over, as the audit log names it."""
_ACTION = "import.cutover"

_Some = Callable[[AwaitingCutover, str, int], Awaitable[dict[str, datetime | None]]]
"""Lists some of those that are let go, after an id, as many as are asked for at most."""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """An import, and how many grants of it still await its cutover."""

    batch: ImportBatch
    waiting: WaitingCount


class Cutover:
    """For whoever works on the machine itself. It can be interrupted at any time, and run again.

    Args:
        store: all data.
        clock: the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def status(self) -> Sequence[BatchStatus]:
        """Return all imports of all tenants, with what of each is not renewed by Keyrack yet."""
        async with self._store.installation() as unit:
            counts = await waiting_counts(unit)
            batches = [each for each in await all_batches(unit) if each.source != ENVIRONMENT]
            return [BatchStatus(each, counts.get(each.id, WaitingCount())) for each in batches]

    async def of_batch(self, batch_id: str) -> AsyncIterator[int]:
        """Cut an import over: it takes nothing more, and its grants are let go.

        Yields:
            How many grants were let go in each step.

        Raises:
            NotFound: there is no such import.
        """
        found = next((each for each in await self.status() if each.batch.id == batch_id), None)
        if found is None:
            raise NotFound("there is no such import")
        async for number in self._of_batch(found):
            yield number

    async def of_client(self, auth_client_id: str) -> AsyncIterator[int]:
        """Let the imported grants of an auth client go, in whichever imports they came; others of these go on waiting.

        Yields:
            How many grants were let go in each step.

        Raises:
            NotFound: there is no such auth client.
        """
        async with self._store.installation() as unit:
            place = await Directory(unit).auth_client(auth_client_id)
            batches = await all_batches(unit)
            count = sum(each.grants for each in (await waiting_counts(unit)).values())
        if place is None:
            raise NotFound("there is no such auth client")
        tenants = [place.tenant_id] if place.tenant_id else sorted({each.tenant_id for each in batches})
        for tenant_id in tenants:
            async with self._store.unit(tenant_id, writes=True) as unit:
                await AuditLog(unit).append(operator(), _ACTION, (CLIENT, auth_client_id), "allowed")
            async for number in self._let_go(
                tenant_id, count, lambda rows, after, most: rows.of_client(auth_client_id, after, most)
            ):
                yield number

    async def of_everything(self) -> AsyncIterator[int]:
        """Cut all imports of all tenants over.

        Yields:
            How many grants were let go in each step.
        """
        for each in await self.status():
            if each.batch.cut_over_at is None or each.waiting.grants:
                async for number in self._of_batch(each):
                    yield number

    async def _of_batch(self, found: BatchStatus) -> AsyncIterator[int]:
        batch = found.batch
        async with self._store.unit(batch.tenant_id, writes=True) as unit:
            await ImportBatches(unit).cut_over(batch.id)
            await AuditLog(unit).append(operator(), _ACTION, (BATCH, batch.id), "allowed")
        async for number in self._let_go(
            batch.tenant_id, found.waiting.grants, lambda rows, after, most: rows.of_batch(batch.id, after, most)
        ):
            yield number

    async def _let_go(self, tenant_id: str, count: int, some: _Some) -> AsyncIterator[int]:
        last = ""
        while True:
            async with self._store.unit(tenant_id, writes=True) as unit:
                found = await some(AwaitingCutover(unit), last, AT_ONCE)
                if not found:
                    return
                await AwaitingCutover(unit).release(_spread(found, self._clock(), count))
            yield len(found)
            last = next(reversed(found))


def _spread(due: Mapping[str, datetime | None], now: datetime, count: int) -> Mapping[str, datetime | None]:
    """Return when secrets are due from now on: what is overdue, over a time that grows with all there are."""
    return {each: at and spread_out(each, at, now, count) for each, at in due.items()}
