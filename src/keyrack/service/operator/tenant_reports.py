"""Tells the operator which grants of a tenant nobody reads, and which will end."""

from keyrack.model.grant_reports import EndingGrant, ReportedGrant, ReportPage
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.operator.permissions import SEE_AUDIT, require_operator
from keyrack.service.secrets.grant_reports import GrantReports


class TenantReports:
    """Reports on any tenant."""

    def __init__(self, access: Access, reports: GrantReports) -> None:
        self._access = access
        self._reports = reports

    async def idle(
        self, who: Principal, tenant_id: str, *, days: int, after: str = "", limit: int
    ) -> ReportPage[ReportedGrant]:
        """Return a part of what `GrantReports.idle` returns; of no tenant, where none is named, nothing.

        Raises:
            Forbidden: the caller may not watch the installation, or not read audit logs.
            NotFound: there is no such tenant.
        """
        await self._require(who)
        if not tenant_id:
            return ReportPage((), None)
        return await self._reports.idle(who, tenant_id, days=days, after=after, limit=limit)

    async def ending(
        self, who: Principal, tenant_id: str, *, days: int, after: str = "", limit: int
    ) -> ReportPage[EndingGrant]:
        """Return a part of what `GrantReports.ending` returns, as `idle`."""
        await self._require(who)
        if not tenant_id:
            return ReportPage((), None)
        return await self._reports.ending(who, tenant_id, days=days, after=after, limit=limit)

    async def _require(self, who: Principal) -> None:
        async with self._access.installation(who) as scope:
            require_operator(scope, SEE_AUDIT)
