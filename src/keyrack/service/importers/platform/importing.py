"""`keyrack import platform`: checks a whole file first, then writes it in one transaction, or nothing of it.

So a process that dies in the middle leaves nothing behind, and a second run finds what is there already unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import msgspec

from keyrack.errors import Problem, StateConflict
from keyrack.ids import is_id
from keyrack.service.authz.operator import operator
from keyrack.service.clients.auth_client_credentials import CredentialRules
from keyrack.service.importers.platform.catalogue import ComponentKind, OAuthClientKind
from keyrack.service.importers.platform.clients import AuthClientKind
from keyrack.service.importers.platform.flows import FlowKind
from keyrack.service.importers.platform.grants import CredentialKind, SecretKind
from keyrack.service.importers.platform.kinds import Piece, RecordKind
from keyrack.service.importers.platform.known import Known
from keyrack.service.importers.platform.places import ContractKind, TeamKind, WorkspaceKind
from keyrack.service.importers.platform.reading import Report, records
from keyrack.service.importers.platform.sections import FileSections, OpenFile, again
from keyrack.service.importers.platform.tenancy import TenantKind, UserKind
from keyrack.service.importers.platform.told_ids import ToldIds
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.bulk import ORDER, Bulk, Complete, RowResult, RowToWrite
from keyrack.store.core.database_errors import ConstraintViolated
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.schema import tenants

_BATCH = 500
_CHANGED = (
    "what is stored changed meanwhile, or two records exchange something unique; nothing was written, run it again"
)


class Progress(Protocol):
    """Is told how far it is."""

    def section(self, doing: str, name: str, total: int) -> None:
        """Begin with a section of so many records."""

    def advance(self, count: int) -> None:
        """So many more are done."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file: counts by section, or the problems for which nothing was written."""

    problems: Sequence[Problem]
    warnings: Sequence[Problem]
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    tenants: Sequence[str] = ()
    """The ids of those that were written."""


class Importer:
    """Imports files into one installation."""

    def __init__(self, store: Store, rules: CredentialRules, schedule: Schedule) -> None:
        """Make an importer.

        Args:
            store: where to.
            rules: what credentials of auth clients may hold.
            schedule: when tokens are due.
        """
        self._store = store
        self._rules = rules
        self._schedule = schedule

    async def run(self, open_file: OpenFile, progress: Progress) -> Imported:
        """Import a file, or report everything that is wrong with it and write nothing but an audit event.

        Args:
            open_file: opens the file, in clear; it is read several times.
            progress: is told how far it is.

        Raises:
            ValidationFailed: it is no file of this format.
            StateConflict: somebody changed something in between; nothing was written.
        """
        sections = FileSections(open_file)
        owners = _ids(sections.of("tenants"))
        try:
            with ToldIds() as told:
                async with self._store.installation(writes=True) as unit:
                    return await self._run(unit, sections, owners, progress, told)
        except BaseException as error:
            for tenant_id in owners:  # a key that was made for it is gone with the transaction
                self._store.keyring.forget(tenant_id)
            if isinstance(error, ConstraintViolated):
                raise StateConflict(_CHANGED) from None
            raise

    async def _run(
        self, unit: Unit, sections: FileSections, owners: Sequence[str], progress: Progress, told: ToldIds
    ) -> Imported:
        bulk, report = Bulk(unit), Report()
        await bulk.alone()
        known = Known(unit, bulk, report, told, tenants=tuple(owners))
        kinds = self._kinds(sections.counts["auth_secrets"])
        for name, raws in sections.each():
            progress.section("checking", name, sections.counts[name])
            await _check(known, name, kinds[name], raws, progress)
        if report.problems:
            await AuditLog(unit).append(operator(), "platform.import", ("platform", None), "failed")
            return Imported(report.problems, report.warnings)
        counts = {}
        for name, raws in sections.each():
            progress.section("writing", name, sections.counts[name])
            counts[name] = await _write(known, name, kinds[name], raws, progress)
        await AuditLog(unit).append(operator(), "platform.import", ("platform", None), "allowed")
        for tenant_id in owners:
            await AuditLog(unit.of_tenant(tenant_id)).append(
                operator(), "tenant.import", ("tenant", tenant_id), "allowed"
            )
        return Imported((), report.warnings, counts, owners)

    def _kinds(self, secrets: int) -> Mapping[str, RecordKind]:
        return {
            "tenants": TenantKind(),
            "users": UserKind(),
            "contracts": ContractKind(),
            "workspaces": WorkspaceKind(),
            "teams": TeamKind(),
            "components": ComponentKind(),
            "oauth_clients": OAuthClientKind(),
            "auth_clients": AuthClientKind(self._rules),
            "credentials": CredentialKind(),
            "auth_secrets": SecretKind(self._schedule, secrets),
            "flows": FlowKind(),
        }


def _ids(raws: Iterable[str]) -> Sequence[str]:
    """Return the ids of tenants, without judging them."""
    found = []
    for raw in raws:
        try:
            value = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            continue
        given = value.get("id") if isinstance(value, dict) else None
        if isinstance(given, str) and is_id(given):
            found.append(given)
    return list(dict.fromkeys(found))


async def _check(known: Known, name: str, kind: RecordKind, raws: Iterable[str], progress: Progress) -> None:
    broken = known.broken.setdefault(name, set())
    batch: list[tuple[str, Any]] = []
    for at, record in records(name, raws, known.report, broken, known.told_ids):
        batch.append((at, record))
        if len(batch) == _BATCH:
            await _check_batch(known, kind, batch)
            progress.advance(len(batch))
            batch = []
    await _check_batch(known, kind, batch)
    progress.advance(len(batch))


async def _check_batch(known: Known, kind: RecordKind, batch: Sequence[tuple[str, Any]]) -> None:
    rows = await known.bulk.rows(kind.table.c.id, [record.id for _, record in batch])
    stored = {row.id: row for row in rows}
    for at, record in batch:
        await kind.check(known, record, at, stored.get(record.id))


async def _write(
    known: Known, name: str, kind: RecordKind, raws: Iterator[str], progress: Progress
) -> Mapping[str, int]:
    counts = dict.fromkeys((fate.value for fate in RowResult), 0)
    while some := list(islice(raws, _BATCH)):
        part = [await kind.piece(known, again(name, raw)) for raw in some]
        for fate in await _put(known, part):
            counts[fate.value] += 1
        progress.advance(len(part))
    return counts


async def _put(known: Known, pieces: Sequence[Piece]) -> Sequence[RowResult]:
    """Write the rows of some records; a record is changed if any of its rows is."""
    fates = list(await known.bulk.put(pieces[0].main.table, [piece.main for piece in pieces]))
    if pieces[0].main.table is tenants:
        for piece, fate in zip(pieces, fates, strict=True):
            if fate is RowResult.created:
                await known.unit.keyring.create_key(known.unit.connection, piece.main.id)
    await _add(known, fates, [(index, piece.others, piece.complete) for index, piece in enumerate(pieces)])
    changed = [
        (index, piece.index, piece.index_complete)
        for index, piece in enumerate(pieces)
        if fates[index] is not RowResult.unchanged
    ]
    await _add(known, fates, changed)
    return fates


async def _add(
    known: Known, fates: list[RowResult], parts: Sequence[tuple[int, Sequence[RowToWrite], Sequence[Complete]]]
) -> None:
    by_table: dict[Any, list[tuple[int, RowToWrite]]] = {}
    for index, rows, exact in parts:
        for wanted in exact:
            if fates[index] is not RowResult.created and await known.bulk.complete(wanted):
                fates[index] = RowResult.updated
        for row in rows:
            by_table.setdefault(row.table, []).append((index, row))
    for table in sorted(by_table, key=ORDER.__getitem__):
        results = await known.bulk.put(table, [row for _, row in by_table[table]])
        for (index, _), fate in zip(by_table[table], results, strict=True):
            if fate is not RowResult.unchanged and fates[index] is RowResult.unchanged:
                fates[index] = RowResult.updated
