"""Removes what only works with a tenant's data keys, once these are destroyed."""

from sqlalchemy import delete, update

from keyrack.store.core.unit import TenantChange, Unit
from keyrack.store.schema import (
    attempts,
    auth_clients,
    auth_secrets,
    authentication_requests,
    connect_links,
    consents,
    deleted_clients,
    deliveries,
    device_polls,
    mails,
    oauth_clients,
    revocations,
)

_WORK: tuple[TenantChange, ...] = tuple(
    TenantChange(table, delete(table), scans=True)
    for table in (
        attempts,
        authentication_requests,
        connect_links,
        consents,
        deleted_clients,
        deliveries,
        device_polls,
        mails,
        revocations,
    )
)
"""What is begun or due, and could only fail from now on; and clients that can no longer be restored."""
_UNDUE = tuple(
    TenantChange(column.table, update(column.table).where(column.is_not(None)).values({column.name: None}), scans=True)
    for column in (auth_secrets.c.due_at, auth_clients.c.rotation_due_at, oauth_clients.c.rotation_due_at)
)
"""What a worker would take up later."""


class ShreddedWork:
    """The work of the unit's tenant, which is shredded in this transaction; needs a unit that writes."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def end(self) -> None:
        """Remove what is begun, due or could be restored; no secret is refreshed any more, and no client's rotated."""
        for change in (*_WORK, *_UNDUE):
            await change.run(self._unit.connection, tenant_id=self._unit.tenant_id)
