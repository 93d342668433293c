"""Claims due rows: each by one worker at a time, without holding a lock or a transaction.

A claim moves the row's `due_at` to the end of a lease and writes a name of its own into `claim`; what a worker that
died had claimed is due again when its lease ends. Only the holder of the claim can settle the row. This gives "at
least once": a worker that stands still for longer than the lease does not keep others from trying again.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, bindparam, exists, or_, select

from keyrack.errors import KeyServiceUnavailable, NotFound, WrongKey
from keyrack.fair_share import Places
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit

WINDOW = 200
"""Rows that are looked at in one round of `chosen_fairly`."""

_ROUNDS = 5


async def any_due(unit: Unit, table: Table) -> bool:
    """Tell whether a row of any tenant is due; cheap, and takes no lock."""
    rows = await _due_in(table).rows(unit.connection, now=unit.clock())
    return bool(rows[0].there)


@cache
def _due_in(table: Table) -> Query:
    """Return the query whether a row of a table is due, made once for each table."""
    return Query(select(exists().where(table.c.due_at <= bindparam("now")).label("there")))


def unlocked_due(query: "Select[Any]", table: Table, now: datetime, most: int) -> "Select[Any]":
    """Limit a query to rows that are due and that no other transaction is claiming, the longest due first.

    PostgreSQL locks the rows and skips those that are locked; on SQLite writers queue up anyway.
    """
    due = query.where(table.c.due_at <= now).order_by(table.c.due_at).limit(most)
    return due.with_for_update(of=table, skip_locked=True)


async def fairly_due(unit: Unit, table: Table, slow: ColumnElement[bool], places: Places) -> Sequence["Row[Any]"]:
    """Choose due rows of a table, the longest due first, and take a place for each of them.

    Args:
        unit: of the installation.
        table: has `id`, `tenant_id` and `due_at`.
        slow: whether a row belongs into the slow lane; the rows have it as `slow`.
        places: how many can be worked on, and who holds how many of them.
    """
    seen = list[str]()

    async def window() -> Sequence[Row[Any]]:
        query = select(table, slow.label("slow")).where(table.c.id.not_in(seen))
        query = query.where(*may_take(places, table.c.tenant_id, slow))
        due = unlocked_due(query, table, unit.clock(), WINDOW)
        rows: Sequence[Row[Any]] = (await unit.connection.execute(due)).all()
        seen.extend(row.id for row in rows)
        return rows

    def takes(row: "Row[Any]") -> bool:
        return places.take(row.tenant_id, slow=bool(row.slow))

    return await chosen_fairly(window, takes, places)


async def chosen_fairly(
    window: Callable[[], Awaitable[Sequence["Row[Any]"]]],
    takes: Callable[["Row[Any]"], bool],
    places: Places,
    size: int = WINDOW,
) -> "list[Row[Any]]":
    """Choose among what is due, the longest due first, so that no tenant gets more than its share.

    Args:
        window: reads the next `size` rows at most, without those that `takes` could only refuse now (see `may_take`)
            or has taken before.
        takes: takes a place for a row and says whether there was one.
        places: what is divided; only to know when there is none left.
        size: rows that are looked at in one round.
    """
    chosen: list[Row[Any]] = []
    for _ in range(_ROUNDS):
        rows = await window()
        chosen += [row for row in rows if takes(row)]
        if len(rows) < size or not places.free:
            break
    return chosen


async def with_keys(unit: Unit, rows: Sequence["Row[Any]"], places: Places) -> "list[Row[Any]]":
    """Return the claimed rows of tenants whose data keys can be had now; the others' places are given back.

    Those are due again when their claim ends: a key service that is gone for a while spoils no work, and delays nobody
    else's.
    """
    without = set[str]()
    for tenant_id in {row.tenant_id for row in rows}:
        try:
            await unit.keyring.prepare(unit.connection, tenant_id)
        except KeyServiceUnavailable:
            without.add(tenant_id)
        except (NotFound, WrongKey):
            pass  # it will never open; whoever works on the row says so
    for row in rows:
        if row.tenant_id in without:
            places.give_back(row.tenant_id, slow=bool(row.slow))
    return [row for row in rows if row.tenant_id not in without]


def may_take(places: Places, tenant_id: ColumnElement[Any], slow: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    """Return the conditions that leave out what could get no place now.

    Args:
        places: what is divided.
        tenant_id: the column that says whose a row is.
        slow: whether a row belongs into the slow lane.
    """
    conditions: list[ColumnElement[bool]] = []
    if full := places.full:
        conditions.append(tenant_id.not_in(sorted(full)))
    if places.slow_lane_full:
        conditions.append(~slow)
    elif slow_full := places.slow_full:
        conditions.append(or_(~slow, tenant_id.not_in(sorted(slow_full))))
    return conditions
