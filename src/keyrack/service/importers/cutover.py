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
from keyrack.service.operator.installation import OPERATOR
from keyrack.service.secrets.refresh.schedule import spread_out
from keyrack.store.audit_log import AuditLog
from keyrack.store.awaiting_cutover import AwaitingCutover, WaitingCount, waiting_counts
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.import_batches import ENVIRONMENT, ImportBatch, ImportBatches, all_batches, batch_of_id

AT_ONCE = 500
BATCH, CLIENT = "import-batch", "auth-client"
"""What is cut over, as the audit log names it."""
_ACTION = "import.cutover"

_Some = Callable[[AwaitingCutover, int], Awaitable[Mapping[str, datetime | None]]]


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
        async with self._store.installation() as unit:
            found = await batch_of_id(unit, batch_id)
            count = (await waiting_counts(unit)).get(batch_id, WaitingCount()).grants
        if found is None or found.source == ENVIRONMENT:
            raise NotFound("there is no such import")
        async with self._store.unit(found.tenant_id, writes=True) as unit:
            await ImportBatches(unit).cut_over(batch_id)
            await AuditLog(unit).append(OPERATOR, _ACTION, (BATCH, batch_id), "allowed")
        async for number in self._let_go(found.tenant_id, count, lambda rows, most: rows.of_batch(batch_id, most)):
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
                await AuditLog(unit).append(OPERATOR, _ACTION, (CLIENT, auth_client_id), "allowed")
            async for number in self._let_go(tenant_id, count, lambda rows, most: rows.of_client(auth_client_id, most)):
                yield number

    async def of_everything(self) -> AsyncIterator[int]:
        """Cut all imports of all tenants over.

        Yields:
            How many grants were let go in each step.
        """
        for each in await self.status():
            if each.batch.cut_over_at is None or each.waiting.grants:
                async for number in self.of_batch(each.batch.id):
                    yield number

    async def _let_go(self, tenant_id: str, count: int, some: _Some) -> AsyncIterator[int]:
        while True:
            async with self._store.unit(tenant_id, writes=True) as unit:
                number = await _release_some(unit, count, some, self._clock())
            if number:
                yield number
            if number < AT_ONCE:
                return


async def _release_some(unit: Unit, count: int, some: _Some, now: datetime) -> int:
    """Let some secrets go; what is overdue is spread over a time that grows with all there are."""
    rows = AwaitingCutover(unit)
    found = await some(rows, AT_ONCE)
    if found:
        await rows.release({each: due and spread_out(each, due, now, count) for each, due in found.items()})
    return len(found)
