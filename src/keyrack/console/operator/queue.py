"""`/console/installation/queue`: what is due to be refreshed, for how long, and what comes next."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, Pager, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.operator.installation import words
from keyrack.service.operator.grant_overview import GrantView
from keyrack.service.operator.operations import Operations
from keyrack.service.operator.permissions import SEE_GRANTS
from keyrack.service.operator.process_overview import process_name
from keyrack.service.operator.refresh_queue import COUNTED_TO, Due


@get("/installation/queue", media_type=MediaType.HTML)
async def queue(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """Show the queue, and list what is due to who may see grants."""
    due: list[GrantView] = []
    pager: Pager | None = None
    asked = visit.asked("due")
    when = Due(asked) if asked in set(Due) else Due.now
    if visit.allows(SEE_GRANTS):
        offset = offset_of(visit.page_number())
        found, total = await operations.queue.page(visit.who, when, limit=ROWS, offset=offset)
        due, pager = list(found), visit.pager(total)
    return visit.page(
        "operator/queue.html",
        queue=await operations.queue.numbers(visit.who),
        due=due,
        when=when.value,
        pager=pager,
        names={each.id: process_name(each) for each in await operations.processes.list(visit.who)},
        counted_to=COUNTED_TO,
        **words(),
    )
