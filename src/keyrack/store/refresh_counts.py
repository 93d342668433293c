"""Refreshes counted by time, provider and result, of all tenants together (decision 34)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from keyrack.model.operations import RefreshResult
from keyrack.store.core.statements import Change, Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import refresh_counts

MINUTES, HOURS = 300, 3600
"""Spans that are counted, in seconds: the shorter one is kept for two days, the longer one for a month."""

_r = refresh_counts.c
_SUM: ColumnElement[Any] = func.sum(_r.refreshes).label("refreshes")


def _addition() -> dict[str, Change]:
    values = {column.name: bindparam(column.name, type_=column.type) for column in _r}
    made = {}
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite)):
        insertion = dialect.insert(refresh_counts).values(**values)
        made[name] = Change(
            insertion.on_conflict_do_update(
                index_elements=[_r.span, _r.began_at, _r.origin, _r.result],
                set_={"refreshes": _r.refreshes + insertion.excluded.refreshes},
            )
        )
    return made


_ADDITION = _addition()
_SINCE = (_r.span == bindparam("of_span"), _r.began_at >= bindparam("since"))
_BY_TIME = Query(select(_r.began_at, _r.result, _SUM).where(*_SINCE).group_by(_r.began_at, _r.result), scans=True)
_OF_ORIGIN = Query(
    select(_r.began_at, _r.result, _SUM)
    .where(*_SINCE, _r.origin == bindparam("provider"))
    .group_by(_r.began_at, _r.result),
    scans=True,
)
_BY_ORIGIN = Query(select(_r.origin, _r.result, _SUM).where(*_SINCE).group_by(_r.origin, _r.result), scans=True)


@dataclass(frozen=True, slots=True)
class RefreshCount:
    """How many refreshes of a span of time at a provider came to one result."""

    span: int
    began_at: datetime
    origin: str
    result: RefreshResult
    refreshes: int


class RefreshCounts:
    """Looks at all tenants' refreshes; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def add(self, counts: Sequence[RefreshCount]) -> None:
        """Add to what is counted already, whichever process has; needs a unit that writes."""
        rows = [
            {
                "span": c.span,
                "began_at": c.began_at,
                "origin": c.origin,
                "result": c.result.value,
                "refreshes": c.refreshes,
            }
            for c in sorted(counts, key=lambda c: (c.span, c.began_at, c.origin, c.result))  # all lock in one order
        ]
        if rows:
            connection = self._unit.connection
            await _ADDITION[connection.dialect.name].run_each(connection, rows)

    async def by_time(
        self, span: int, since: datetime, origin: str | None = None
    ) -> Sequence[tuple[datetime, RefreshResult, int]]:
        """Return how many refreshes began to be counted when, by result.

        Args:
            span: one of those that are counted.
            since: the beginning of the first span.
            origin: only those at a provider.
        """
        connection = self._unit.connection
        if origin is None:
            rows = await _BY_TIME.rows(connection, of_span=span, since=since)
        else:
            rows = await _OF_ORIGIN.rows(connection, of_span=span, since=since, provider=origin)
        return [(row.began_at, RefreshResult(row.result), int(row.refreshes)) for row in rows]

    async def by_origin(self, span: int, since: datetime) -> Sequence[tuple[str, RefreshResult, int]]:
        """Return how many refreshes there were at each provider, by result."""
        rows = await _BY_ORIGIN.rows(self._unit.connection, of_span=span, since=since)
        return [(row.origin, RefreshResult(row.result), int(row.refreshes)) for row in rows]
