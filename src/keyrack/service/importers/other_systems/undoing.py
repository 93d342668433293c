"""Takes an import back that was not cut over: what it brought goes, and the other system notices nothing.

Tokens are not revoked: the other system uses them. What Keyrack has made its own meanwhile stays, and so do auth
clients that something else uses by then.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from keyrack.clock import epoch_ms
from keyrack.errors import NotFound, StateConflict
from keyrack.service.authz.operator import operator
from keyrack.service.importers.other_systems.entries import EntryKind
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.import_batches import (
    ENVIRONMENT,
    PLATFORM,
    ImportBatch,
    ImportBatches,
    ImportEntries,
    ImportEntry,
    batch_of_id,
)
from keyrack.store.usage import Usages

_AT_ONCE = 200
_NONE = "there is no such import"
_CUT_OVER = "this import was cut over: its grants are renewed here, and the other system's tokens may be dead"
_MOVED = "these grants came with a platform's file, which may have changed what was there: it cannot be taken back"


@dataclass(slots=True)
class Undone:
    """How much of an import went, and how much stays.

    Attributes:
        deleted: secrets and clients that went.
        kept: those that stay: changed or used in Keyrack since.
        gone: those that somebody had deleted before.
    """

    deleted: int = 0
    kept: int = 0
    gone: int = 0


class Undoing:
    """For whoever works on the machine itself. It can be interrupted at any time, and run again."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(self, batch_id: str) -> Undone:
        """Take an import back.

        Raises:
            NotFound: there is no such import.
            StateConflict: it was cut over, or is of another installation of Keyrack.
        """
        async with self._store.installation() as unit:
            batch = await batch_of_id(unit, batch_id)
        if batch is None or batch.source == ENVIRONMENT:
            raise NotFound(_NONE)
        if batch.source == PLATFORM:
            raise StateConflict(_MOVED)
        done = Undone()
        async with self._store.unit(batch.tenant_id, writes=True) as unit:
            await AuditLog(unit).append(operator(), "import.undo", ("import-batch", batch_id), "allowed")
        for kind in (EntryKind.grant, EntryKind.client):
            after = ""
            while True:
                async with self._store.unit(batch.tenant_id, writes=True) as unit:
                    await _held(unit, batch)
                    some = await ImportEntries(unit).of_batch(batch_id, kind, after, _AT_ONCE)
                    await _undo(unit, kind, some, done)
                if len(some) < _AT_ONCE:
                    break
                after = some[-1].external_key
        async with self._store.unit(batch.tenant_id, writes=True) as unit:
            await _held(unit, batch)
            if not await ImportEntries(unit).has_any(batch_id):  # nor has anybody brought something meanwhile
                await ImportBatches(unit).remove(batch_id)
        return done


async def _held(unit: Unit, batch: ImportBatch) -> None:
    """Keep an import from being cut over, and from taking something, until the transaction ends.

    Raises:
        NotFound: somebody else took it back.
        StateConflict: it was cut over.
    """
    held = await ImportBatches(unit).hold(batch.id)
    if held is None:
        raise NotFound(_NONE)
    if held.cut_over_at is not None:
        raise StateConflict(_CUT_OVER)


async def _undo(unit: Unit, kind: EntryKind, some: Sequence[ImportEntry], done: Undone) -> None:
    for entry in some:
        if kind is EntryKind.grant:
            went = await _without_secret(unit, entry)
        else:
            went = await _without_client(unit, entry)
        if went is False:
            done.kept += 1
            continue
        done.deleted, done.gone = done.deleted + (went is True), done.gone + (went is None)
        await ImportEntries(unit).forget(entry)


async def _without_secret(unit: Unit, entry: ImportEntry) -> bool | None:
    """Delete a secret that still awaits its cutover; tell whether it went, None: it was gone."""
    secret = await AuthSecrets(unit).find(entry.resource_id, locked=True)
    if secret is None:
        return None
    if secret.cutover_batch_id != entry.batch_id or secret.generation != entry.resource_version:
        return False
    if await Usages(unit).active_flows_with_secret(secret.id):
        return False
    return await AuthSecrets(unit).remove(secret.id)


async def _without_client(unit: Unit, entry: ImportEntry) -> bool | None:
    """Delete an auth client that is as it was brought, and that nothing uses."""
    rows = AuthClientRows(unit)
    await rows.lock_to_delete(entry.resource_id)
    client = await rows.find(entry.resource_id)
    if client is None:
        return None
    changed = client.updated_at is None or epoch_ms(client.updated_at) != entry.resource_version
    if changed or await Directory(unit).secrets_attached(client.id):
        return False
    return await rows.remove(client.id)
