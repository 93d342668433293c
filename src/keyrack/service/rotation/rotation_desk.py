"""Rotates secrets of clients for the operator, at the command line."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from keyrack.errors import NotFound
from keyrack.model.rotations import RotationState, SecretRotation
from keyrack.service.authz.access import ALLOWED
from keyrack.service.authz.operator import operator
from keyrack.service.rotation.rotated_clients import Client, entered, find_client, locked, read
from keyrack.service.rotation.steps import NewSecret, RotationSteps, no_rotation
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit

T = TypeVar("T")


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

        def move(unit: Unit, client: Client) -> Awaitable[SecretRotation]:
            return self._steps.move(unit, client, state, operator())

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
        async with entered(self._store, named) as unit:
            client = await read(unit, named)
        if client is None or client.rotation is None:
            raise no_rotation()
        return client.rotation

    async def _done(self, client_id: str, action: str, step: Callable[[Unit, Client], Awaitable[T]]) -> T:
        named = await find_client(self._store, client_id)
        async with entered(self._store, named, writes=True) as unit:
            client = await locked(unit, named)
            if client is None:
                raise NotFound("there is no such client")
            result = await step(unit, client)
            await AuditLog(unit).append(operator(), f"{named.kind}.{action}", (named.kind, named.id), ALLOWED)
        return result
