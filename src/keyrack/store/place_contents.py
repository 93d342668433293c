"""Counts what is in a contract, and so would be deleted with it (contract section 22)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, bindparam, func, select

from keyrack.store import schema as t
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import TENANT, Unit
from keyrack.store.schema.base import Id

_CONTRACT: ColumnElement[str] = bindparam("contract", type_=Id)
_INSIDE = select(t.workspaces.c.id).where(t.workspaces.c.contract_id == _CONTRACT, t.workspaces.c.tenant_id == TENANT)


def _number(table: Table, *conditions: ColumnElement[bool]) -> ColumnElement[Any]:
    return select(func.count()).select_from(table).where(*conditions).scalar_subquery()


def _in_workspaces(table: Table) -> ColumnElement[Any]:
    return _number(table, table.c.workspace_id.in_(_INSIDE))


_COUNTS = Query(
    select(
        _number(
            t.contract_members,
            t.contract_members.c.contract_id == _CONTRACT,
            t.contract_members.c.tenant_id == TENANT,
        ).label("members"),
        _number(t.workspaces, t.workspaces.c.contract_id == _CONTRACT, t.workspaces.c.tenant_id == TENANT).label(
            "workspaces"
        ),
        _in_workspaces(t.flows).label("flows"),
        _in_workspaces(t.auth_secrets).label("secrets"),
        _in_workspaces(t.credentials).label("credentials"),
        _number(t.components, t.components.c.contract_id == _CONTRACT, t.components.c.tenant_id == TENANT).label(
            "components"
        ),
    ),
    scans=True,
)


@dataclass(frozen=True, slots=True)
class ContractContents:
    """How much there is in a contract."""

    members: int
    workspaces: int
    flows: int
    secrets: int
    credentials: int
    components: int


class PlaceContents:
    """Counts what is in contracts of the unit's tenant."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def of_contract(self, contract_id: str) -> ContractContents:
        """Return how much there is in a contract; nothing, if it is another tenant's."""
        (row,) = await _COUNTS.rows(self._unit.connection, tenant_id=self._unit.tenant_id, contract=contract_id)
        return ContractContents(*row)
