"""`/console/installation/keys`: under which key-encryption keys the tenants' data keys are kept."""

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.console.core.lists import ROWS, offset_of
from keyrack.console.core.visit import Visit
from keyrack.console.operator.installation import words
from keyrack.service.operator.operations import Operations
from keyrack.service.operator.permissions import SEE_TENANTS


@get("/installation/keys", media_type=MediaType.HTML)
async def keys(visit: NamedDependency[Visit], operations: NamedDependency[Operations]) -> Response[str]:
    """Show the versions, and the data keys of one to who may see tenants."""
    in_use, version = await operations.keys.in_use(visit.who), visit.asked("version")
    chosen = next((each for each in in_use.versions if each.id == version), None)
    sees_tenants, offset = visit.allows(SEE_TENANTS), offset_of(visit.page_number())
    sees_rows = chosen is not None and sees_tenants
    rows = await operations.keys.page(visit.who, version, limit=ROWS, offset=offset) if sees_rows else ()
    return visit.page(
        "operator/keys.html",
        in_use=in_use,
        chosen=chosen,
        rows=rows,
        pager=visit.pager(chosen.data_keys if chosen else 0),
        sees_tenants=sees_tenants,
        **words(),
    )
