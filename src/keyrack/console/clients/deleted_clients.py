"""`/console/deleted-clients`: clients that were deleted, and can be restored for a time."""

from contextlib import suppress

from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.enums import MediaType

from keyrack.api.core.openapi import PATH_ID
from keyrack.console.core.visit import Visit
from keyrack.errors import AlreadyExists, Forbidden, KeyrackError
from keyrack.service.authz.access import home
from keyrack.service.components.client_needs import ClientNeeds
from keyrack.service.deleted_clients.restoring import ClientRestoring

PATH = "/console/deleted-clients"
_DONE = {
    "restored": "The client is restored, with its secrets as they were.",
    "purged": "The client is deleted for good.",
}


@get("/deleted-clients", media_type=MediaType.HTML)
async def deleted_client_list(
    visit: NamedDependency[Visit],
    deleted_clients: NamedDependency[ClientRestoring],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """List what the visitor may restore."""
    return await _page(visit, deleted_clients, client_needs)


@post("/deleted-clients/{deleted_client_id:str}/restore", media_type=MediaType.HTML)
async def deleted_client_restored(
    deleted_client_id: PATH_ID,
    visit: NamedDependency[Visit],
    deleted_clients: NamedDependency[ClientRestoring],
    client_needs: NamedDependency[ClientNeeds],
) -> Response[str]:
    """Restore a client."""
    await visit.form()
    try:
        await deleted_clients.restore(visit.who, home(visit.who), deleted_client_id)
    except AlreadyExists as error:
        return await _page(visit, deleted_clients, client_needs, error)
    return visit.go(PATH, done="restored")


@post("/deleted-clients/{deleted_client_id:str}/purge", media_type=MediaType.HTML)
async def deleted_client_purged(
    deleted_client_id: PATH_ID, visit: NamedDependency[Visit], deleted_clients: NamedDependency[ClientRestoring]
) -> Response[str]:
    """Delete a client for good."""
    await visit.form()
    await deleted_clients.purge(visit.who, home(visit.who), deleted_client_id)
    return visit.go(PATH, done="purged")


async def undo_of(visit: Visit, deleted_clients: ClientRestoring) -> str:
    """Return the id of the client that the visitor has just deleted, for a list that offers to undo it; or nothing."""
    client_id = visit.asked("undo")
    if visit.asked("done") != "deleted" or not client_id or visit.who.tenant_id is None:
        return ""
    with suppress(Forbidden):
        if any(each.id == client_id for each in await deleted_clients.list(visit.who, visit.who.tenant_id)):
            return client_id
    return ""


async def _page(
    visit: Visit, deleted_clients: ClientRestoring, client_needs: ClientNeeds, error: KeyrackError | None = None
) -> Response[str]:
    tenant_id = home(visit.who)
    found = await deleted_clients.list(visit.who, tenant_id)
    components = [each.component_id for each in found if each.component_id is not None]
    return visit.page(
        "clients/deleted_clients.html",
        status=200 if error is None else 409,
        found=found,
        names=await client_needs.named(visit.who, tenant_id, components),
        others=[] if error is None else [problem.detail for problem in error.problems],
        done=visit.done(_DONE),
    )
