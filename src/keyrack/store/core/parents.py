"""Parents of new rows: whatever a row belongs to is its own tenant's or the installation's, whoever has looked before.

A second line behind the services, which find a parent in its tenant before they put something into it. It is in the
statement that inserts, and costs none of its own. Foreign keys with the tenant in them would hold for changes too, but
a global auth client and a shared component have many tenants' rows below them, and SQLite gives a table that others
refer to new keys only by making it, and all below it, anew.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Table, exists

from keyrack.store.core.keyring import INSTALLATION

ELSEWHERE = frozenset({("auth_client_components", "component_id"), ("component_whitelists", "component_id")})
"""Parents that may be another tenant's: a component that is shared."""


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
    return [(name, parent) for name, parent in named if "tenant_id" in parent.c and (table.name, name) not in ELSEWHERE]
