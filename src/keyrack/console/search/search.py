"""`/console/search`: finds anything that the visitor may see by an id, or by the beginning of a name."""

from urllib.parse import parse_qsl

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS
from keyrack.console.core.visit import Visit
from keyrack.console.search.destinations import KINDS, hit
from keyrack.service.operator.permissions import SEE_TENANTS, WATCH
from keyrack.service.search.search import IN_PLACES, Search

_FEW = 5
"""Of each kind, where all kinds are shown."""


@get("/search", media_type=MediaType.HTML)
async def search(visit: NamedDependency[Visit], searching: NamedDependency[Search]) -> Response[str]:
    """Show what is found; an id that is of one thing leads to its page at once."""
    text, kind = visit.asked("q"), visit.asked("kind")
    kinds, limit = ((kind,), ROWS) if kind in IN_PLACES else (IN_PLACES, _FEW)
    results = await searching.find(visit.who, text, kinds=kinds, limit=limit)
    operator = visit.who.tenant_id is None and visit.allows(WATCH) and visit.allows(SEE_TENANTS)
    exact = [hit(each, operator=operator) for each in results.exact]
    written = "hx-request" in visit.request.headers
    if len(exact) == 1 and not results.by_name and not written:
        path, _, query = exact[0].href.partition("?")
        return visit.go(path, **dict(parse_qsl(query)))
    return visit.page(
        "search/search.html",
        asked=text,
        kind=kind if kind in IN_PLACES else "",
        kinds=[(each, KINDS[each][1]) for each in IN_PLACES if each != "tenant" or operator],
        exact=exact,
        groups=[
            (each, KINDS[each][1], [hit(one, operator=operator) for one in found], each in results.more)
            for each, found in results.by_name.items()
        ],
    )
