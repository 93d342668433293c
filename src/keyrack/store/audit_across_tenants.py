"""The newest audit events of all tenants together, for the operator."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Integer, String, bindparam, func, select

from keyrack.model.audit import AuditEvent
from keyrack.store.audit_log import event_of
from keyrack.store.core.statements import Query
from keyrack.store.core.unit import Unit
from keyrack.store.schema import audit_events, tenants

_e = audit_events.c
_LISTED = (
    select(*_e, func.coalesce(tenants.c.name, "").label("tenant_name"))
    .join_from(audit_events, tenants, _e.tenant_id == tenants.c.id, isouter=True)
    .where(_e.tenant_id != "")  # the installation's own are for who works on the machine
    .order_by(_e.id.desc())
    .limit(bindparam("most", type_=Integer))
)
_NEWEST = Query(_LISTED, scans=True)
_OLDER = Query(_LISTED.where(_e.id < bindparam("before", type_=String)), scans=True)


@dataclass(frozen=True, slots=True)
class TenantEvent:
    """An event, and whose it is; the name is empty if the tenant is gone."""

    tenant_id: str
    tenant_name: str
    event: AuditEvent


class AuditAcrossTenants:
    """Looks across tenants; made from the unit of the installation."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def newest(self, before: str | None, *, limit: int) -> Sequence[TenantEvent]:
        """List events by id, newest first: ids sort by the time they were made.

        Args:
            before: an event's id; only those that are older.
            limit: how many at most.
        """
        connection = self._unit.connection
        if before is None:
            rows = await _NEWEST.rows(connection, most=limit)
        else:
            rows = await _OLDER.rows(connection, most=limit, before=before)
        return [TenantEvent(row.tenant_id, row.tenant_name, event_of(row)) for row in rows]
