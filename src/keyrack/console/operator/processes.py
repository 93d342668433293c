"""`/console/installation/processes`: the processes that run, the leases they hold, and their requests under way."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.visit import Visit
from keyrack.console.operator.installation import words
from keyrack.service.operator.operations import Operations


@get("/installation/processes", media_type=MediaType.HTML)
async def processes(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """Show them; leases and requests to who may see grants."""
    work = await operations.processes.at_work(visit.who)
    names = {each.id: f"{each.host} / {each.pid}" for each in work.processes}
    return visit.page("operator/processes.html", work=work, names=names, **words())
