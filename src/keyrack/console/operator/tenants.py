"""`/console/installation/tenants` and `/audit`: all tenants, and what was done last in any of them."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.operator.installation import words
from keyrack.service.operator.operations import Operations
from keyrack.service.operator.permissions import SEE_GRANTS

_EVENTS = 50


@get("/installation/tenants", media_type=MediaType.HTML)
async def all_tenants(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """List tenants."""
    search = visit.asked("q")
    offset = offset_of(visit.page_number())
    found, total = await operations.tenants.page(visit.who, search, limit=ROWS, offset=offset)
    return visit.page(
        "operator/tenants.html",
        tenants=found,
        total=total,
        pager=visit.pager(total),
        search=search,
        sees_grants=visit.allows(SEE_GRANTS),
        **words(),
    )


@get("/installation/audit", media_type=MediaType.HTML)
async def newest_events(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """List the newest audit events of all tenants."""
    before = visit.asked("before")
    found = await operations.tenants.newest_events(visit.who, before or None, limit=_EVENTS + 1)
    older = found[_EVENTS - 1].event.id if len(found) > _EVENTS else ""
    return visit.page("operator/audit.html", events=found[:_EVENTS], before=before, older=older, **words())
