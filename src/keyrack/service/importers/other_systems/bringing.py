"""Brings what another system's file has into one tenant: clients first, then grants, some at a time.

Each step is a transaction of its own, so that a process that dies leaves whole entries behind, and a second run goes
on: what was brought is known by the other system's id. Nothing that Keyrack has made its own is overwritten.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from keyrack.errors import NotFound, StateConflict
from keyrack.model.clients import AuthClient
from keyrack.service.authz.operator import operator
from keyrack.service.importers.other_systems.brought_clients import ClientBringer
from keyrack.service.importers.other_systems.brought_grants import GrantBringer
from keyrack.service.importers.other_systems.entries import (
    EntryResult,
    FoundClient,
    FoundGrant,
    LeftOut,
    OtherSystem,
    Outcome,
)
from keyrack.service.importers.other_systems.json_objects import Found
from keyrack.service.importers.other_systems.results import Import
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.database_errors import ConstraintViolated
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.import_batches import ImportBatch, ImportBatches

AT_ONCE = 200
_MEANWHILE = "something that the entries belong to was deleted meanwhile; run it again"
_CUT_OVER = "this import was cut over, and takes nothing more; for what is new, name another with --batch"

_TAKEN_BACK = "this import was taken back meanwhile; run it again"

Tell = Callable[[EntryResult], None]
_Bring = Callable[[Unit, Sequence[Any]], Awaitable[Sequence[EntryResult]]]


class Bringing:
    """Brings files into an installation.

    Args:
        store: all data.
        clients: brings clients.
        grants: brings grants.
    """

    def __init__(self, store: Store, clients: ClientBringer, grants: GrantBringer) -> None:
        self._store = store
        self._clients = clients
        self._grants = grants

    async def run(
        self, system: OtherSystem, wanted: Import, read: Callable[[], Iterator[Found]], tell: Tell
    ) -> ImportBatch | None:
        """Bring a file.

        Args:
            system: what reads its objects.
            wanted: where to, and whether at all.
            read: begins to read the file; called twice, since clients come first.
            tell: is told what became of each entry, once that is known.

        Returns:
            The import; None for a dry run of one that is not there yet.

        Raises:
            NotFound: there is no such tenant.
            BadRequest: the file cannot be read on; what was brought so far is kept.
            StateConflict: the import was cut over, or something was deleted meanwhile.
        """
        batch = await self._batch(system, wanted)
        known: dict[str, AuthClient] = {}

        async def clients(unit: Unit, some: Sequence[FoundClient]) -> Sequence[EntryResult]:
            brought = await self._clients.bring(unit, system.source, batch, wanted, some)
            known.update({result.external_id: client for result, client in brought if client is not None})
            return [result for result, _ in brought]

        async def grants(unit: Unit, some: Sequence[FoundGrant]) -> Sequence[EntryResult]:
            return await self._grants.bring(unit, system.source, batch, wanted, some, known)

        await self._each(wanted, batch, (each for found in read() for each in system.clients(found)), clients, tell)
        await self._each(wanted, batch, (each for found in read() for each in system.grants(found)), grants, tell)
        return batch

    async def _batch(self, system: OtherSystem, wanted: Import) -> ImportBatch | None:
        tenant_id = wanted.target.tenant_id
        async with self._store.installation() as unit:
            if await Directory(unit).tenant(tenant_id) is None:
                raise NotFound("there is no such tenant")
        async with self._store.unit(tenant_id, writes=not wanted.dry_run) as unit:
            rows = ImportBatches(unit)
            if wanted.dry_run:
                batch = await rows.named(system.source, wanted.batch_name)
            else:
                batch = await rows.obtain(system.source, wanted.batch_name)
                await AuditLog(unit).append(operator(), "import.bring", ("import-batch", batch.id), "allowed")
        if batch is not None and batch.cut_over_at is not None:
            raise StateConflict(_CUT_OVER)
        return batch

    async def _each(
        self,
        wanted: Import,
        batch: ImportBatch | None,
        entries: Iterator[Any],
        bring: _Bring,
        tell: Tell,
    ) -> None:
        """Bring entries, some at a time; of one that the file has twice, the second comes in a later step."""
        some: dict[str, FoundClient | FoundGrant] = {}
        for each in entries:
            if isinstance(each, LeftOut):
                tell(EntryResult(each.kind, each.external_id, Outcome.left_out, why=each.why))
                continue
            if each.external_id in some or len(some) == AT_ONCE:
                await self._some(wanted, batch, list(some.values()), bring, tell)
                some = {}
            some[each.external_id] = each
        if some:
            await self._some(wanted, batch, list(some.values()), bring, tell)

    async def _some(
        self, wanted: Import, batch: ImportBatch | None, some: Sequence[Any], bring: _Bring, tell: Tell
    ) -> None:
        """Bring some entries in one transaction, and tell what became of them once that is committed."""
        try:
            async with self._store.unit(wanted.target.tenant_id, writes=not wanted.dry_run) as unit:
                if batch is not None and not wanted.dry_run:
                    held = await ImportBatches(unit).hold(batch.id)
                    if held is None:
                        raise StateConflict(_TAKEN_BACK)
                    if held.cut_over_at is not None:  # in this moment
                        raise StateConflict(_CUT_OVER)
                results = await bring(unit, some)
        except ConstraintViolated:
            raise StateConflict(_MEANWHILE) from None
        for result in results:
            tell(result)
