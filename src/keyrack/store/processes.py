"""The processes that run on this database, as each says of itself every few seconds (decision 34)."""

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import BigInteger, bindparam, delete, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from keyrack.model.operations import ProcessState, RunningProcess
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit
from keyrack.store.lease_clock import LEASE_NOW, since_boot_ms
from keyrack.store.schema import processes

KEPT_MS = 10 * 60 * 1000
"""Milliseconds for which a process that says nothing any more is still shown."""
MOST = 500
"""Processes that are read at most."""

_p = processes.c
_NAMES = [column.name for column in _p if column is not _p.seen_ms]


def _saying() -> dict[str, Change]:
    values = {name: bindparam(name, type_=_p[name].type) for name in _NAMES}
    made = {}
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite)):
        insertion = dialect.insert(processes).values(**values, seen_ms=LEASE_NOW)
        changed = {each: insertion.excluded[each] for each in ("roles", "state", "seen_ms")}
        made[name] = Change(insertion.on_conflict_do_update(index_elements=[_p.id], set_=changed))
    return made


_SAYING = _saying()
_LEAVING = Change(delete(processes).where(_p.id == bindparam("process")))
_KEPT = bindparam("kept_ms", type_=BigInteger)
_FORGETTING = Change(delete(processes).where(or_(_p.seen_ms < LEASE_NOW - _KEPT, _p.seen_ms > LEASE_NOW + _KEPT)))
_HEARD_OF = Query(
    select(*_p, LEASE_NOW.label("shown"))
    .where(_p.seen_ms >= LEASE_NOW - _KEPT, _p.seen_ms <= LEASE_NOW + _KEPT)
    .order_by(_p.host, _p.started_at, _p.id)
    .limit(MOST)
)


class Processes:
    """The installation's processes; made from the unit of the installation.

    How long one has been silent is measured by the lease clock, so no clock of any machine matters.
    """

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def say(self, process: RunningProcess) -> None:
        """Note that a process runs, and what it says of itself; needs a unit that writes."""
        connection = self._unit.connection
        row: dict[str, Any] = {
            "id": process.id,
            "host": process.host,
            "pid": process.pid,
            "version": process.version,
            "roles": list(process.roles),
            "state": msgspec.to_builtins(process.state),
            "started_at": process.started_at,
        }
        await _SAYING[connection.dialect.name].run(connection, **row, lease_now=since_boot_ms())

    async def leave(self, process_id: str) -> None:
        """Note that a process has ended."""
        await _LEAVING.run(self._unit.connection, process=process_id)

    async def forget(self) -> int:
        """Forget processes that have said nothing for long, or said it before a reboot; return how many."""
        return await _FORGETTING.run(self._unit.connection, lease_now=since_boot_ms(), kept_ms=KEPT_MS)

    async def list(self) -> Sequence[RunningProcess]:
        """List those that run, and those that were killed within the last minutes, by machine."""
        rows = await _HEARD_OF.rows(self._unit.connection, lease_now=since_boot_ms(), kept_ms=KEPT_MS)
        return [
            RunningProcess(
                id=row.id,
                host=row.host,
                pid=row.pid,
                version=row.version,
                roles=tuple(row.roles),
                state=msgspec.convert(row.state, ProcessState),
                started_at=row.started_at,
                silent_seconds=max(0.0, (row.shown - row.seen_ms) / 1000),
            )
            for row in rows
        ]
