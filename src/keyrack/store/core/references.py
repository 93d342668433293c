"""References between rows: a new row's parents are its own tenant's or the installation's, and still there.

That is a second line behind the services, which find a parent in its tenant before they put something into it. It is
in the statement that inserts, and costs none of its own. Foreign keys with the tenant in them would hold for changes
too, but a global auth client and a shared component have many tenants' rows below them, and SQLite gives a table that
others refer to new keys only by making it, and all below it, anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, exists
from sqlalchemy.exc import IntegrityError

from keyrack.errors import RelatedNotFound
from keyrack.store.core.keyring import INSTALLATION

PARENT_DELETED = "a resource that this belongs to has just been deleted"
SHARED_PARENTS = frozenset({("auth_client_components", "component_id"), ("component_whitelists", "component_id")})
"""Columns whose parents may be another tenant's: a component that is shared."""

_REFERS = ("INSERT", "UPDATE")  # a DELETE that a foreign key forbids is a fault of ours


def own_parents(table: Table, values: Mapping[str, Any]) -> Sequence[ColumnElement[bool]]:
    """Return what must be true of the parents that a row names: each is there, and of the row's tenant or of none.

    Args:
        table: the row's.
        values: the row, with its `tenant_id`.
    """
    owners = (values["tenant_id"], INSTALLATION)
    return [
        exists().where(parent.c.id == values[name], parent.c.tenant_id.in_(owners))
        for name, parent in _parents(table)
        if values.get(name) is not None
    ]


@cache
def _parents(table: Table) -> Sequence[tuple[str, FromClause]]:
    """Return the columns of a table that name something of a tenant, and where that is."""
    named = sorted((key.parent.name, key.column.table) for key in table.foreign_keys)
    return [
        (name, parent) for name, parent in named if "tenant_id" in parent.c and (table.name, name) not in SHARED_PARENTS
    ]


@contextmanager
def deleted_parent_refused() -> Iterator[None]:
    """Turn a foreign key that leads nowhere into a refusal; the transaction is lost either way.

    What a request names is looked up before it is written down. Somebody else may delete it in between.

    Raises:
        RelatedNotFound: what a new or changed row refers to is gone.
    """
    try:
        yield
    except IntegrityError as error:
        if _leads_nowhere(error):
            raise RelatedNotFound(PARENT_DELETED) from error
        raise


def _leads_nowhere(error: IntegrityError) -> bool:
    code = getattr(error.orig, "sqlstate", None)
    broken = code == "23503" or "FOREIGN KEY constraint failed" in str(error.orig)
    return broken and (error.statement or "").lstrip().upper().startswith(_REFERS)
