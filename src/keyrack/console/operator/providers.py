"""`/console/installation/providers`: every provider with its grants, its last refreshes and its circuit."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.operator.history_charts import history_charts
from keyrack.console.operator.installation import period_asked, words
from keyrack.errors import NotFound
from keyrack.service.operator.operations import Operations
from keyrack.service.operator.permissions import SEE_GRANTS


@get("/installation/providers", media_type=MediaType.HTML)
async def providers(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """List the providers, those in trouble first."""
    search = visit.asked("q")
    found = [
        each for each in await operations.providers.list(visit.who) if each.origin and search.lower() in each.origin
    ]
    start = offset_of(visit.page_number())
    return visit.page(
        "operator/providers.html",
        providers=found[start : start + ROWS],
        total=len(found),
        pager=visit.pager(len(found)),
        search=search,
        sees_grants=visit.allows(SEE_GRANTS),
        **words(),
    )


@get("/installation/providers/named", media_type=MediaType.HTML)
async def provider(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """Show one provider, which the address names by its origin.

    Raises:
        NotFound: no grant, no refresh of the last hour and no process names it.
    """
    origin, period = visit.asked("origin"), period_asked(visit)
    found = [each for each in await operations.providers.list(visit.who) if each.origin == origin]
    if not origin or not found:
        raise NotFound
    spans = await operations.history.spans(visit.who, period, origin)
    return visit.page(
        "operator/provider.html",
        provider=found[0],
        charts=history_charts(spans, period),
        period=period,
        sees_grants=visit.allows(SEE_GRANTS),
        **words(),
    )
