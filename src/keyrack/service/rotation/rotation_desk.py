"""Rotates secrets of clients for the operator, at the command line."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from keyrack.errors import NotFound
from keyrack.model.clients import AuthClient, OAuthClient
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.rotations import RotationState, SecretRotation
from keyrack.service.authz.access import ALLOWED
from keyrack.service.rotation.steps import (
    NewSecret,
    RotationSteps,
    locked_auth_client,
    locked_oauth_client,
    no_rotation,
)
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.keyring import INSTALLATION
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.directory import Directory
from keyrack.store.tenants import TenantRows

T = TypeVar("T")
OPERATOR = Principal(PrincipalKind.system, "", "operator")


@dataclass(frozen=True, slots=True)
class NamedClient:
    """A client that an operator has named: its type as a resource, whose it is, and its id."""

    kind: str
    tenant_id: str
    id: str


class RotationDesk:
    """What an operator can do to the rotation of any client's secret; each is in the audit log of its owner."""

    def __init__(self, store: Store, steps: RotationSteps) -> None:
        self._store = store
        self._steps = steps

    async def begin(self, client_id: str, new: NewSecret) -> SecretRotation:
        """Add a new secret to a client; raises as `RotationSteps.begin`, and `NotFound` where there is no client."""
        return await self._done(client_id, "rotate-secret", lambda unit, client: self._steps.begin(unit, client, new))

    async def move(self, client_id: str, state: RotationState) -> SecretRotation:
        """Use the new secret or the old one, or try the new one again; raises as `RotationSteps.move`."""

        def move(unit: Unit, client: AuthClient | OAuthClient) -> Awaitable[SecretRotation]:
            return self._steps.move(unit, client, state, OPERATOR)

        return await self._done(client_id, "move-secret-rotation", move)

    async def end(self, client_id: str) -> None:
        """Forget the secret that is not used; raises as `RotationSteps.end`."""
        await self._done(client_id, "end-secret-rotation", self._steps.end)

    async def show(self, client_id: str) -> SecretRotation:
        """Return how a rotation stands.

        Raises:
            NotFound: there is no such client, or its secret is not being rotated.
        """
        named = await find_client(self._store, client_id)
        async with writing(self._store, named.tenant_id) as unit:
            client = await _locked(unit, named)
        if client.rotation is None:
            raise no_rotation()
        return client.rotation

    async def _done(
        self, client_id: str, action: str, step: Callable[[Unit, AuthClient | OAuthClient], Awaitable[T]]
    ) -> T:
        named = await find_client(self._store, client_id)
        async with writing(self._store, named.tenant_id) as unit:
            result = await step(unit, await _locked(unit, named))
            await AuditLog(unit).append(OPERATOR, f"{named.kind}.{action}", (named.kind, named.id), ALLOWED)
        return result


async def find_client(store: Store, client_id: str) -> NamedClient:
    """Find a client of either generation by its id.

    Raises:
        NotFound: there is none.
    """
    async with store.installation() as unit:
        for kind in ("auth-client", "oauth-client"):
            place = await Directory(unit).place(kind.replace("-", "_"), client_id)
            if place is not None:
                return NamedClient(kind, place.tenant_id, client_id)
    raise NotFound("there is no such client")


@asynccontextmanager
async def writing(store: Store, tenant_id: str) -> AsyncIterator[Unit]:
    """Open a transaction of a tenant, which is held, or of the installation.

    Raises:
        NotFound: the tenant is gone.
    """
    if tenant_id == INSTALLATION:
        async with store.installation(writes=True) as unit:
            yield unit
        return
    async with store.unit(tenant_id, writes=True) as unit:
        if not await TenantRows(unit).hold():
            raise NotFound("there is no such tenant")
        yield unit


async def _locked(unit: Unit, named: NamedClient) -> AuthClient | OAuthClient:
    locked = locked_auth_client if named.kind == "auth-client" else locked_oauth_client
    client = await locked(unit, named.id)
    if client is None:
        raise NotFound("there is no such client")
    return client
