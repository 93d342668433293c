"""Lists all tenants with the number of their grants, and the newest audit events of all, for the operator."""

from collections.abc import Sequence

from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.operator.permissions import SEE_AUDIT, SEE_TENANTS, require_operator
from keyrack.store.audit_across_tenants import AuditAcrossTenants, TenantEvent
from keyrack.store.tenant_list import ListedTenant, TenantList


class TenantOverview:
    """Tenants of the whole installation, and who did what in them."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def page(self, who: Principal, search: str, *, limit: int, offset: int) -> tuple[Sequence[ListedTenant], int]:
        """List tenants; return a page and how many there are.

        Args:
            who: the caller.
            search: part of the name or domain, or an id; empty for all.
            limit: how many at most.
            offset: how many to pass over.

        Raises:
            Forbidden: the caller may not watch the installation, or not see tenants.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope, SEE_TENANTS)
            return await TenantList(scope.unit).page(search, limit=limit, offset=offset)

    async def newest_events(self, who: Principal, before: str | None, *, limit: int) -> Sequence[TenantEvent]:
        """List the newest audit events of all tenants; the installation's own are for who works on the machine.

        Args:
            who: the caller.
            before: an event's id; only older ones.
            limit: how many at most.

        Raises:
            Forbidden: the caller may not watch the installation, or not read tenants' audit logs.
        """
        async with self._access.installation(who) as scope:
            require_operator(scope, SEE_AUDIT)
            return await AuditAcrossTenants(scope.unit).newest(before, limit=limit)
