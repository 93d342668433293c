"""`/console/building-blocks`: the components that all pages are made of, each as it is, and when to use it."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.rendering import ROWS, Pager
from keyrack.console.requests import AnyRequest, Console, page_number


@get("/building-blocks", media_type=MediaType.HTML)
async def building_blocks(request: AnyRequest, console: NamedDependency[Console]) -> Response[str]:
    """Show them."""
    signed_in = await console.signed_in(request)
    return console.page(
        request, signed_in, "building_blocks.html", pager=Pager("example", page_number(request, "example"), 3 * ROWS)
    )
