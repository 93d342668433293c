"""Reports on the grants of a tenant: those that nobody reads, and those that will end (docs/grant-reports.md)."""

from dataclasses import replace
from datetime import timedelta

from keyrack.model.clients import is_oauth2
from keyrack.model.grant_reports import EndingGrant, ReportedGrant, ReportPage
from keyrack.model.identity import Principal
from keyrack.service.authz.access import Access
from keyrack.service.authz.permissions import GET_SECRET
from keyrack.service.authz.scope import Scope
from keyrack.service.secrets.grant_forecast import ends_of_client, forecast, learned_of_clients
from keyrack.store.auth_clients import find_usable_among
from keyrack.store.core.unit import Unit
from keyrack.store.grant_reports import GrantReportRows

PERMISSION = "tenants.audit.get"
MOST_DAYS = 3650
IDLE_DAYS, ENDING_DAYS = 90, 30
"""Where nobody says how many."""


class GrantReports:
    """Reads reports, a part at a time."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def idle(
        self, who: Principal, tenant_id: str, *, days: int, after: str = "", limit: int
    ) -> ReportPage[ReportedGrant]:
        """Return a part of the grants of a tenant that were not read for some days.

        Args:
            who: the caller.
            tenant_id: whose grants.
            days: for how many days.
            after: `ReportPage.after` of the part before; empty: the first part.
            limit: how many at most.

        Raises:
            Forbidden: the caller may not read the tenant's audit log.
            NotFound: there is no such tenant.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(PERMISSION)
            page = await idle_grants(scope.unit, days, after, limit)
        if _may_name(scope):
            return page
        return replace(page, rows=[replace(each, name="") for each in page.rows])

    async def ending(
        self, who: Principal, tenant_id: str, *, days: int, after: str = "", limit: int
    ) -> ReportPage[EndingGrant]:
        """Return a part of the grants of a tenant that will end within some days.

        Args and raises:
            As `idle`.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(PERMISSION)
            page = await ending_grants(scope.unit, days, after, limit)
        if _may_name(scope):
            return page
        unnamed = [replace(each, grant=replace(each.grant, name="")) for each in page.rows]
        return replace(page, rows=unnamed)


def _may_name(scope: Scope) -> bool:
    """Tell whether the caller may know what connections are called, which the audit log does not tell."""
    return scope.is_tenant_admin or scope.allows(GET_SECRET)


async def idle_grants(unit: Unit, days: int, after: str, limit: int) -> ReportPage[ReportedGrant]:
    """Return a part of the grants of the unit's tenant that were not read for some days, for whoever may see them."""
    rows = GrantReportRows(unit)
    last = await rows.last_of_window(after)
    return await rows.idle(unit.clock() - timedelta(days=days), after, last, limit)


async def ending_grants(unit: Unit, days: int, after: str, limit: int) -> ReportPage[EndingGrant]:
    """Return a part of the grants of the unit's tenant that will end within some days, for whoever may see them."""
    now, rows = unit.clock(), GrantReportRows(unit)
    until = now + timedelta(days=days)
    last = await rows.last_of_window(after)
    usable = await find_usable_among(unit, await rows.clients_of_window(after, last))
    clients = {each.id: each for each in usable.values() if is_oauth2(each.type) and not each.damaged}
    lifetimes = learned_of_clients(clients, await rows.lives())
    one_by_one = [
        client_id
        for client_id, client in clients.items()
        if ends_of_client(client, until, lifetimes.get(client_id), now)
    ]
    page = await rows.ending(until, one_by_one, after, last, limit)
    found = [
        EndingGrant(grant, ends)
        for grant in page.rows
        if (client := clients.get(grant.auth_client_id)) is not None
        and (ends := forecast(grant, client, until, lifetimes.get(client.id), now))
    ]
    return ReportPage(found, page.after)
