"""`/console/building-blocks`: the components that all pages are made of, each as it is, and when to use it."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS
from keyrack.console.core.visit import Visit


@get("/building-blocks", media_type=MediaType.HTML)
async def building_blocks(visit: NamedDependency[Visit]) -> Response[str]:
    """Show them."""
    return visit.page("building_blocks.html", pager=visit.pager(3 * ROWS, "example"), asked=visit.asked("q"))
