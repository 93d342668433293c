"""Claiming what is due: each row by one worker at a time, without a lock or a transaction held while it works.

A claim moves the row's `due_at` to the end of a lease and writes a name of its own into `claim`; what a worker that
died had claimed is due again when its lease ends. Only the holder of the claim can settle the row. This gives "at
least once": a worker that stands still for longer than the lease does not keep others from trying again.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Select, Table, exists, select

from keyrack.store.unit import Unit


async def any_due(unit: Unit, table: Table) -> bool:
    """Tell whether a row of any tenant is due; cheap, and takes no lock."""
    query = select(exists().where(table.c.due_at <= unit.clock()))
    return bool((await unit.connection.execute(query)).scalar())


def unlocked_due(query: "Select[Any]", table: Table, now: datetime, most: int) -> "Select[Any]":
    """Limit a query to rows that are due and that no other transaction is claiming, the longest due first.

    PostgreSQL locks the rows and skips those that are locked; on SQLite writers queue up anyway.
    """
    due = query.where(table.c.due_at <= now).order_by(table.c.due_at).limit(most)
    return due.with_for_update(of=table, skip_locked=True)
