"""The database of a world on SQLite: put back as it was, and compared row by row."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

from keyrack.store.schema import metadata
from support.app import World

AUDIT = "audit_events"


class Snapshot:
    """A copy of a world's rows."""

    def __init__(self, world: World) -> None:
        self._path = world.settings.sqlite_path
        self._kept = sqlite3.connect(":memory:")
        with closing(self._connect()) as live:
            live.backup(self._kept)

    def restore(self) -> None:
        """Make the world as it was."""
        with closing(self._connect()) as live:
            self._kept.backup(live)

    def digests(self, *, audit_of: str | None) -> dict[str, str]:
        """Return a digest of each table as it is now; of the audit log only a tenant's part, or nothing."""
        with closing(self._connect()) as live:
            found = {table: _digest(live, table) for table in metadata.tables if table != AUDIT}
            return found | {AUDIT: "" if audit_of is None else _digest(live, AUDIT, audit_of)}

    def close(self) -> None:
        """Forget the copy."""
        self._kept.close()

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=30)


@contextmanager
def snapshot(world: World) -> Iterator[Snapshot]:
    """Keep a copy of a world's rows while the block runs."""
    kept = Snapshot(world)
    try:
        yield kept
    finally:
        kept.close()


def _digest(live: sqlite3.Connection, table: str, tenant_id: str | None = None) -> str:
    query = f'SELECT * FROM "{table}"'
    found = live.execute(query) if tenant_id is None else live.execute(f"{query} WHERE tenant_id = ?", (tenant_id,))
    rows = sorted(repr(row) for row in found)
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
