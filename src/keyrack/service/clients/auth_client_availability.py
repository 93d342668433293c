"""Finds the auth clients that can be used at a place (contract 14.1): its own, and those around it."""

from collections.abc import Sequence

from keyrack.errors import RelatedNotFound
from keyrack.model.clients import ANY_CLIENT, AuthClient, ClientFilter
from keyrack.service.authz.access import Scope
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.paging import After
from keyrack.store.directory import Location

AUTH_CLIENT_POINTER = "/data/relationships/auth_client/data/id"


async def available_client(
    scope: Scope, auth_client_id: str, *, held: bool = False, pointer: str = AUTH_CLIENT_POINTER
) -> AuthClient:
    """Return an auth client that can be used at the scope's place, whoever may see its keys.

    Args:
        scope: usually of a workspace: its own clients, those of its contract and tenant, and global ones.
        auth_client_id: as named in the request.
        held: keep the client from being deleted until the transaction ends: for attaching a secret to it.
        pointer: of the member that names it, for the error.

    Raises:
        RelatedNotFound: there is none, or it belongs elsewhere.
    """
    client = await find_available(scope, auth_client_id, held=held)
    if client is None:
        raise RelatedNotFound("there is no such auth client here", pointer=pointer)
    return client


async def find_available(scope: Scope, auth_client_id: str, *, held: bool = False) -> AuthClient | None:
    """As `available_client`, but None if there is none."""
    for rows in _owners(scope):
        if held and not await rows.lock_shared(auth_client_id):
            continue
        client = await rows.find(auth_client_id)
        if client is not None:
            return client if _is_usable_at(scope.place, client) else None
    return None


async def available_clients(
    scope: Scope, wanted: ClientFilter = ANY_CLIENT, *, limit: int | None = None, offset: int | After = 0
) -> tuple[Sequence[AuthClient], int]:
    """List by id those of the auth clients that can be used at the scope's place which are wanted.

    Returns:
        A page and the total.
    """
    return await AuthClientRows(scope.unit).available(scope.place, wanted, limit=limit, offset=offset)


def place_of(client: AuthClient, around: Location) -> Location:
    """Return the scope of a client that is available at a place."""
    if not client.tenant_id:
        return Location(INSTALLATION)
    if client.workspace_id is not None:
        return around
    return Location(client.tenant_id, client.contract_id)


def _owners(scope: Scope) -> Sequence[AuthClientRows]:
    """The place's tenant, and the installation, whose global clients are meant for all tenants."""
    shared = AuthClientRows(scope.unit.of_installation())
    return [shared] if scope.unit.tenant_id == INSTALLATION else [AuthClientRows(scope.unit), shared]


def _is_usable_at(place: Location, client: AuthClient) -> bool:
    return client.contract_id in (None, place.contract_id) and client.workspace_id in (None, place.workspace_id)
