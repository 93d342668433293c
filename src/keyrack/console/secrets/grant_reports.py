"""`/console/unused-connections` and `/console/ending-connections`, and the same of any tenant for the operator."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import AFTER, ROWS
from keyrack.console.core.visit import Visit
from keyrack.ids import is_id
from keyrack.model.grant_reports import EndReason
from keyrack.service.authz.access import home
from keyrack.service.operator.operations import Operations
from keyrack.service.operator.tenant_reports import TenantReports
from keyrack.service.secrets.grant_reports import ENDING_DAYS, IDLE_DAYS, MOST_DAYS, GrantReports

REASONS = {
    EndReason.grant_lifetime: "The grant ends",
    EndReason.token_not_renewable: "The token ends",
    EndReason.refresh_token_unused: "The refresh token ends",
    EndReason.client_secret: "The client's secret ends",
    EndReason.provider_rule: "The provider's rules change",
    EndReason.google_testing: "An app that is being tested",
    EndReason.learned_lifetime: "Others ended at this age",
}
_IDLE, _ENDING = "unused", "ending"


@get("/unused-connections", media_type=MediaType.HTML)
async def unused_connections(
    visit: NamedDependency[Visit], grant_reports: NamedDependency[GrantReports]
) -> Response[str]:
    """List connections that nobody reads."""
    return await _page(visit, grant_reports, _IDLE, home(visit.who))


@get("/ending-connections", media_type=MediaType.HTML)
async def ending_connections(
    visit: NamedDependency[Visit], grant_reports: NamedDependency[GrantReports]
) -> Response[str]:
    """List connections that will end."""
    return await _page(visit, grant_reports, _ENDING, home(visit.who))


@get("/installation/reports", media_type=MediaType.HTML)
async def reports(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """Show the operator either report of a tenant."""
    tenant_id = visit.asked("tenant")
    asked = visit.asked("report")
    report = asked if asked in (_IDLE, _ENDING) else _ENDING
    return await _page(visit, operations.reports, report, tenant_id, operator=True)


async def _page(
    visit: Visit, read_from: GrantReports | TenantReports, report: str, tenant_id: str, *, operator: bool = False
) -> Response[str]:
    asked = visit.asked("days")
    usual = IDLE_DAYS if report == _IDLE else ENDING_DAYS
    good = asked.isascii() and asked.isdigit() and len(asked) <= len(str(MOST_DAYS)) and 1 <= int(asked) <= MOST_DAYS
    days = int(asked) if good else usual
    after = visit.asked(AFTER)
    after = after if is_id(after) else ""
    read = read_from.idle if report == _IDLE else read_from.ending
    found = await read(visit.who, tenant_id, days=days, after=after, limit=ROWS)
    return visit.page(
        "secrets/grant_reports.html",
        rows=found.rows,
        later=found.after,
        began=bool(after),
        report=report,
        days=days,
        wrong="" if good or not asked else f"Write a whole number of days from 1 to {MOST_DAYS}.",
        tenant_id=tenant_id,
        operator=operator,
        reasons=REASONS,
    )
