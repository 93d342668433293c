"""`keyrack export platform`: the inverse of the import; the same content gives the same bytes on both databases."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence

import msgspec
from sqlalchemy import Table

from keyrack.errors import NotFound
from keyrack.model import Json
from keyrack.service.authz.operator import operator
from keyrack.service.importers.platform.format import FORMAT, VERSION
from keyrack.service.importers.platform.from_rows import Made, Records
from keyrack.service.importers.platform.importing import Progress
from keyrack.store import schema as t
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.directory import Directory
from keyrack.store.dump import Dump

Write = Callable[[bytes], Awaitable[None]]


class Exporter:
    """Exports some tenants of an installation, or all."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def run(
        self, write: Write, tenants: Sequence[str], progress: Progress, *, secrets: bool
    ) -> Mapping[str, int]:
        """Write a file; return how many records of each section it has.

        Args:
            write: takes the file, part by part.
            tenants: ids of the tenants to export; none for all, and global auth clients.
            progress: is told how far it is.
            secrets: whether secret values are written too.

        Raises:
            NotFound: there is no such tenant.
        """
        counts: dict[str, int] = {}
        async with self._store.snapshot() as unit:
            dump = Dump(unit, tenants)
            for tenant_id in tenants:
                if await Directory(unit).tenant(tenant_id) is None:
                    raise NotFound("there is no such tenant")
            await write(f'{{"format":"{FORMAT}","version":{VERSION},"secrets":{str(secrets).lower()}'.encode())
            for name, (table, made) in Records(dump, secrets=secrets).sections().items():
                progress.section("exporting", name, await dump.count(table))
                await write(f',\n"{name}":['.encode())
                counts[name] = 0
                async for record in _each(dump, table, made, progress):
                    await write(b",\n" if counts[name] else b"\n")
                    await write(msgspec.json.encode(record, order="sorted"))
                    counts[name] += 1
                await write(b"]")
            await write(b"}\n")
        await self._audit(tenants, secrets=secrets)
        return counts

    async def _audit(self, tenants: Sequence[str], *, secrets: bool) -> None:
        kind = "export-with-secrets" if secrets else "export"
        async with self._store.installation(writes=True) as unit:
            await AuditLog(unit).append(operator(), f"platform.{kind}", ("platform", None), "allowed")
            async for rows in Dump(unit, tenants).pages(t.tenants):
                for row in rows:
                    log = AuditLog(unit.of_tenant(row.id))
                    await log.append(operator(), f"tenant.{kind}", ("tenant", row.id), "allowed")


async def _each(dump: Dump, table: Table, made: Made, progress: Progress) -> AsyncIterator[Json]:
    async for rows in dump.pages(table):
        for record in await made(rows):
            yield record
        progress.advance(len(rows))
