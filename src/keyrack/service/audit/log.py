"""Reads the audit log (contract 0.16)."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from keyrack.model.audit import AuditEvent
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.store.audit_log import AuditLog


class AuditTrail:
    """Who did what in a tenant."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def page(
        self,
        who: Principal,
        tenant_id: str,
        equal: Mapping[str, str],
        since: datetime | None,
        until: datetime | None,
        *,
        limit: int | None,
        offset: int = 0,
    ) -> tuple[Sequence[AuditEvent], int]:
        """List a tenant's events, oldest first; return a page and the total."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require("tenants.audit.get")
            return await AuditLog(scope.unit).page(equal, since, until, limit=limit, offset=offset)
