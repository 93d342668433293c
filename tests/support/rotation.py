"""Clients whose secret is exchanged at the simulator, with connections."""

import asyncio
from typing import Any

import msgspec

from keyrack.crypto.secret import Secret
from keyrack.model.clients import AuthClient
from keyrack.model.secrets import AuthSecret
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.auth_clients import AuthClientRows
from keyrack.store.client_rotations import AuthClientRotations
from support.app import World
from support.auth_clients import PATH
from support.grants import is_renewed, stored

OLD, NEW = "simulator-secret", "the-new-secret"


def rotation_body(secret: str = NEW, **more: Any) -> dict[str, Any]:
    """A request to begin a rotation."""
    return {"data": {"type": "client-secret-rotation", "attributes": {"client_secret": secret, **more}}}


def moved_body(state: str) -> dict[str, Any]:
    """A request to move one on by hand."""
    return {"data": {"type": "client-secret-rotation", "attributes": {"state": state}}}


def accepts(simulator: RunningSimulator, *secrets: str, blames_grant: bool = False) -> None:
    """Let the provider take these secrets and no other."""
    state = simulator.state
    state.put_client(
        msgspec.structs.replace(
            state.client("simulator-client"),
            client_secret=Secret(secrets[0]),
            further_secrets=tuple(map(Secret, secrets[1:])),
            wrong_secret_error="invalid_grant" if blames_grant else "invalid_client",
        )
    )


class Rotating:
    """A client of Acme with some connections, whose tokens have expired."""

    def __init__(
        self, world: World, simulator: RunningSimulator, client: AuthClient, secrets: list[AuthSecret]
    ) -> None:
        self.world = world
        self.simulator = simulator
        self.client_id = client.id
        self.secrets = secrets
        self.path = f"{PATH}/{client.id}/secret-rotation"
        self.admin = world.tenants["Acme"].admin

    async def begin(self, secret: str = NEW, **more: Any) -> None:
        answer = await self.admin.post(self.path, rotation_body(secret, **more))
        assert answer.status_code == 201, answer.text
        assert secret not in answer.text

    async def work(self, steps: int = 20) -> None:
        """Let the worker take the steps that are due."""
        for _ in range(steps):
            if not await self.world.services.rotation_trials.tick():
                return

    async def due_now(self) -> None:
        """Let the next step be due, however long the worker would wait for it."""
        client = await self.client()
        assert client.rotation is not None
        async with self.world.store.unit(self.world.tenants["Acme"].id, writes=True) as unit:
            await AuthClientRotations(unit).note_trial(client.id, client.rotation, unit.clock())

    async def written(self, action: str) -> int:
        """Return how often the audit log of the client's owner has an action."""
        path = f"/v2/tenants/{self.world.tenants['Acme'].id}/audit-events?filter[action]=auth-client.{action}"
        answer = await self.admin.get(path)
        assert answer.status_code == 200, answer.text
        return len(answer.json()["data"])

    async def client(self) -> AuthClient:
        async with self.world.store.unit(self.world.tenants["Acme"].id) as unit:
            found = await AuthClientRows(unit).find(self.client_id)
        assert found is not None
        return found

    async def shown(self) -> dict[str, Any]:
        answer = await self.admin.get(self.path)
        assert answer.status_code == 200, answer.text
        assert OLD not in answer.text
        assert NEW not in answer.text
        attributes: dict[str, Any] = answer.json()["data"]["attributes"]
        return attributes

    async def refresh_all(self) -> None:
        """Refresh each connection; each must bring tokens."""
        refresher = self.world.services.refreshing.refresher
        before = [await stored(self.world.store, each) for each in self.secrets]
        after = await asyncio.gather(*[refresher.refresh_again(each, 10.0**12) for each in before])
        for old, fresh in zip(before, after, strict=True):
            assert is_renewed(self.simulator, old, fresh)
