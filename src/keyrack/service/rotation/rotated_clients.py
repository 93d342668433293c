"""Finds, reads and locks clients of either generation, and enters the transactions of whoever owns them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyrack.errors import NotFound
from keyrack.model.clients import AuthClient, OAuthClient
from keyrack.model.rotations import RotatedClient
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.client_rotations import AuthClientRotations, OAuthClientRotations
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.oauth_clients import OAuthClientRows
from keyrack.store.tenants import TenantRows

Client = AuthClient | OAuthClient
_AUTH, _OAUTH = "auth-client", "oauth-client"


async def find_client(store: Store, client_id: str) -> RotatedClient:
    """Find whose a client is by its id.

    Raises:
        NotFound: there is none.
    """
    async with store.installation() as unit:
        for kind in (_AUTH, _OAUTH):
            place = await Directory(unit).place(kind.replace("-", "_"), client_id)
            if place is not None:
                return RotatedClient(kind, place.tenant_id, client_id)
    raise NotFound("there is no such client")


@asynccontextmanager
async def entered(store: Store, named: RotatedClient, *, writes: bool = False) -> AsyncIterator[Unit]:
    """Open a unit of a client's owner; one that writes holds the tenant.

    Raises:
        NotFound: the tenant is gone.
    """
    if named.tenant_id == INSTALLATION:
        async with store.installation(writes=writes) as unit:
            yield unit
        return
    async with store.unit(named.tenant_id, writes=writes) as unit:
        if writes and not await TenantRows(unit).hold():
            raise NotFound("there is no such tenant")
        yield unit


async def read(unit: Unit, named: RotatedClient) -> Client | None:
    """Return a client of the unit's owner; None: there is none any more."""
    if named.kind == _AUTH:
        return await AuthClientRows(unit).find(named.id)
    return await OAuthClientRows(unit).find(named.id)


async def locked(unit: Unit, named: RotatedClient) -> Client | None:
    """As `read`; nobody else changes it until the transaction ends."""
    await (AuthClientRows(unit) if named.kind == _AUTH else OAuthClientRows(unit)).lock_to_change(named.id)
    return await read(unit, named)


def rotations_of(unit: Unit, client: Client) -> AuthClientRotations | OAuthClientRotations:
    """Return where the rotation of a client of the unit's owner is stored."""
    return AuthClientRotations(unit) if isinstance(client, AuthClient) else OAuthClientRotations(unit)
