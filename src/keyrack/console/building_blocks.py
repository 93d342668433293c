"""`/console/building-blocks`: the components that all pages are made of, each as it is, and when to use it."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.charts import Column, chart
from keyrack.console.core.lists import ROWS, Turner
from keyrack.console.core.visit import Visit


@get("/building-blocks", media_type=MediaType.HTML)
async def building_blocks(visit: NamedDependency[Visit]) -> Response[str]:
    """Show them."""
    now = visit.console.sign_in.now()
    columns = [
        Column(now, f"Column {place}", {"good": 3 * place, "bad": place % 3, "warn": place % 2}) for place in range(12)
    ]
    return visit.page(
        "building_blocks.html",
        pager=visit.pager(3 * ROWS, "example"),
        turner=Turner("before=b", "after=a", ""),
        asked=visit.asked("q"),
        chart=chart(
            "example-chart", "An example", "Twelve made-up columns", columns, ["good", "bad", "warn"], {2: "two"}
        ),
    )
