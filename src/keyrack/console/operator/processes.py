"""`/console/installation/processes`: the processes that run, the leases they hold, and their requests under way."""

from collections.abc import Sequence
from typing import TypeVar

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, Pager, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.operator.installation import words
from keyrack.service.operator.operations import Operations

T = TypeVar("T")


@get("/installation/processes", media_type=MediaType.HTML)
async def processes(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """Show them, or those that are looked for; leases and requests to who may see grants."""
    search = visit.asked("q")
    work = await operations.processes.at_work(visit.who, search)
    running, pager = _page(visit, work.processes, "page")
    leases, lease_pager = _page(visit, work.leases or (), "leases")
    requests, request_pager = _page(visit, work.requests or (), "requests")
    return visit.page(
        "operator/processes.html",
        search=search,
        processes=running,
        pager=pager,
        sees_grants=work.leases is not None,
        leases=leases,
        lease_pager=lease_pager,
        requests=requests,
        request_pager=request_pager,
        names=work.names,
        **words(),
    )


def _page(visit: Visit, found: Sequence[T], name: str) -> tuple[Sequence[T], Pager]:
    """Return the page of a list that is asked for, of one that has an end in sight."""
    begin = offset_of(visit.page_number(name))
    return found[begin : begin + ROWS], visit.pager(len(found), name)
