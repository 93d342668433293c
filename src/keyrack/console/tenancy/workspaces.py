"""`/console/workspaces`: the workspaces that somebody may see."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, SOME_MEMBERS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.service.tenancy.workspaces import Workspaces


@get("/workspaces", media_type=MediaType.HTML)
async def workspace_list(visit: NamedDependency[Visit], workspaces: NamedDependency[Workspaces]) -> Response[str]:
    """List them."""
    found, total = await workspaces.list(
        visit.who,
        None,
        limit=ROWS,
        offset=offset_of(visit.page_number()),
        most_members=SOME_MEMBERS,
        beginning=visit.asked("q"),
    )
    return visit.page("tenancy/workspaces.html", workspaces=found, pager=visit.pager(total), q=visit.asked("q"))
