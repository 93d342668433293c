"""Removes what only works with a tenant's data keys, once these are destroyed."""

from sqlalchemy import delete, update

from keyrack.store.core.unit import TenantChange, Unit
from keyrack.store.schema import (
    attempts,
    auth_secrets,
    authentication_requests,
    connect_links,
    consents,
    deleted_clients,
    deliveries,
    device_polls,
    mails,
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
_UNDUE = TenantChange(
    auth_secrets, update(auth_secrets).where(auth_secrets.c.due_at.is_not(None)).values(due_at=None), scans=True
)


class ShreddedWork:
    """The work of the unit's tenant, which is shredded in this transaction; needs a unit that writes."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit

    async def end(self) -> None:
        """Remove what is begun, due or could be restored, and have no secret refreshed any more."""
        for change in (*_WORK, _UNDUE):
            await change.run(self._unit.connection, tenant_id=self._unit.tenant_id)
