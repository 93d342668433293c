"""References between rows: a new row's parents are its own tenant's or the installation's, and still there.

That is a second line behind the services, which find a parent in its tenant before they put something into it. It is
in the statement that inserts, and costs none of its own. Foreign keys with the tenant in them would hold for changes
too, but a global auth client and a shared component have many tenants' rows below them, and SQLite gives a table that
others refer to new keys only by making it, and all below it, anew.
"""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache

from sqlalchemy import ColumnElement, FromClause, Table, bindparam, exists, or_

from keyrack.errors import DataKeyRetired, RelatedNotFound
from keyrack.store.core.database_errors import ConstraintViolated, Rule
from keyrack.store.core.keyring import INSTALLATION

PARENT_DELETED = "a resource that this belongs to has just been deleted"
SHARED_PARENTS = frozenset({("auth_client_components", "component_id"), ("component_whitelists", "component_id")})
"""Columns whose parents may be another tenant's: a component that is shared."""


def own_parents(table: Table, named: Collection[str]) -> Sequence[ColumnElement[bool]]:
    """Return what must be true of the parents that a row names: each is there, and of the row's tenant or of none.

    Args:
        table: the row's.
        named: the columns that have a value, which is the parameter of the same name; so is the row's `tenant_id`.
    """
    return [
        exists().where(
            parent.c.id == bindparam(name, type_=table.c[name].type),
            or_(
                parent.c.tenant_id == bindparam("tenant_id", type_=table.c.tenant_id.type),
                parent.c.tenant_id == INSTALLATION,
            ),
        )
        for name, parent in _parents(table)
        if name in named
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
        DataKeyRetired: a value was encrypted with a data key that is gone.
    """
    try:
        yield
    except ConstraintViolated as error:
        if error.rule is Rule.reference and not error.deletes:  # a deletion that is forbidden is a fault of ours
            raise RelatedNotFound(PARENT_DELETED) from error
        if error.rule is Rule.data_key:
            raise DataKeyRetired from error
        raise
