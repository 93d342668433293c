"""Tokens of a code exchange that something overtook are stored nowhere, and are not left alive at the provider either.

On both databases. The consent is stopped where the provider's answer is in the journal and nobody has read it yet.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import select

from keyrack.errors import DatabaseUnavailable
from keyrack.model.secrets import AuthSecret
from keyrack.service.consents.completion import ConsentCompletion
from keyrack.simulator.testing import RunningSimulator
from keyrack.store.attempts import open_attempts
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.schema import auth_secrets, revocations
from support.app import World, relationship
from support.consent import approve
from support.grants import client_credentials, is_live
from support.waits_and_faults import Pause, fail_once


class Begun:
    """A consent with an auth client of Acme's workspace, approved at the simulator; its callback is still to come."""

    def __init__(self, world: World, simulator: RunningSimulator) -> None:
        self.world, self.simulator, self.acme = world, simulator, world.tenants["Acme"]

    async def add_client(self) -> None:
        fields = {"oauth": {"label": "Authentication", "viewClass": "OAuthFieldView"}}
        descriptor = {
            "title": "Second",
            "authClientTypes": ["oauth2"],
            "credentials": {"fields": fields},
            "actions": {},
        }
        component = await self.world.add_component(self.acme, "second", descriptor)
        uri = f"{self.simulator.base_url}/revoke"
        given = client_credentials(self.simulator.token_endpoint, revocation_uri=uri)
        data = {
            "type": "auth-client",
            "attributes": {"name": "Simulator", "type": "oauth2", "credentials": given},
            "relationships": {
                "components": {"data": [{"id": component, "type": "component"}]},
                "workspace": relationship("workspace", self.acme.workspace_id),
            },
        }
        made = await self.acme.admin.post("/v2/auth-clients", {"data": data})
        assert made.status_code == 201, made.text
        self.client = str(made.json()["data"]["id"])

    async def start(self, secret: str | None = None) -> None:
        related = {"auth_client": relationship("auth-client", self.client)}
        if secret is not None:
            related["auth_secret"] = relationship("auth-secret", secret)
        data = {"type": "oauth-consent", "relationships": related}
        path = f"/v2/workspaces/{self.acme.workspace_id}/oauth-consents"
        started = await self.acme.integrator.post(path, {"data": data})
        assert started.status_code == 201, started.text
        self.id = str(started.json()["data"]["id"])
        self.callback = await approve(started.json()["data"]["attributes"]["authorization_url"])

    async def finish(self) -> int:
        return (await self.world.http.get(self.callback)).status_code

    async def secrets(self) -> list[AuthSecret]:
        async with self.world.store.unit(self.acme.id) as unit:
            ids = (await unit.connection.execute(select(auth_secrets.c.id))).column()
            found = [await AuthSecrets(unit).find(secret_id) for secret_id in ids]
        return [secret for secret in found if secret is not None]

    async def ordered(self) -> list[str]:
        """Return whose tokens are to be revoked."""
        async with self.world.store.installation() as unit:
            return list((await unit.connection.execute(select(revocations.c.secret_id))).column())

    async def revoke(self) -> None:
        """Let the worker do what is ordered, once."""
        async with asyncio.timeout(60):
            while not await self.world.services.revoker.tick():
                pass

    async def still_open(self) -> int:
        async with self.world.store.installation() as unit:
            return len(await open_attempts(unit))

    def alive(self) -> int:
        """Return how many tokens are good at the provider."""
        book = self.simulator.state.book
        return [token.state(book.now()) for token in book.all(lambda _: True)].count("active")


@pytest.fixture
async def begun(keyrack_on_each: World, simulator: RunningSimulator) -> Begun:
    made = Begun(keyrack_on_each, simulator)
    await made.add_client()
    return made


async def suspend(begun: Begun) -> None:
    assert (await begun.acme.admin.post(f"/v2/contracts/{begun.acme.contract_id}/suspend")).status_code == 202


async def delete_workspace(begun: Begun) -> None:
    assert (await begun.acme.admin.delete(f"/v2/workspaces/{begun.acme.workspace_id}")).status_code == 204


async def delete_contract(begun: Begun) -> None:
    assert (await begun.acme.admin.delete(f"/v2/contracts/{begun.acme.contract_id}")).status_code == 204


async def delete_tenant(begun: Begun) -> None:
    await delete_contract(begun)
    support = await begun.world.add_service_account("tenants.tenant.delete")
    assert (await support.delete(f"/v2/tenants/{begun.acme.id}")).status_code == 204


async def delete_client(begun: Begun) -> None:
    assert (await begun.acme.admin.delete(f"/v2/auth-clients/{begun.client}")).status_code == 204


async def leave(begun: Begun) -> None:
    path = f"/v2/workspaces/{begun.acme.workspace_id}/members/{begun.acme.integrator.id}"
    assert (await begun.acme.admin.delete(path)).status_code == 204


async def told(begun: Begun) -> list[dict[str, Any]]:
    answer = await begun.acme.admin.get(f"/v2/tenants/{begun.acme.id}/events?filter[type]=secret.revoked")
    return [entry["attributes"]["data"] for entry in answer.json()["data"]]


@pytest.mark.parametrize("overtake", [suspend, delete_workspace, delete_contract, delete_tenant, delete_client, leave])
async def test_tokens_that_come_too_late_are_revoked(
    begun: Begun, monkeypatch: pytest.MonkeyPatch, overtake: Callable[[Begun], Awaitable[None]]
) -> None:
    await begun.start()
    pause = Pause(monkeypatch, ConsentCompletion, "complete")
    finishing = asyncio.create_task(begun.finish())
    async with asyncio.timeout(60):
        await pause.reached.wait()
    await overtake(begun)
    assert begun.alive() == 2, "access and refresh token"
    pause.release()
    assert await finishing == 400
    assert (await begun.secrets(), await begun.ordered(), await begun.still_open()) == ([], [begun.id], 0)
    await begun.revoke()
    assert begun.alive() == 0
    if overtake is delete_tenant:
        async with begun.world.store.installation() as unit:
            found, _ = await AuditLog(unit).page({"action": "secret.revoke"}, None, None, limit=None)
        assert [(event.target_id, event.outcome) for event in found] == [(begun.id, "allowed")]
    else:
        ids = {"workspace_id": begun.acme.workspace_id, "auth_client_id": begun.client}
        assert await told(begun) == [{"secret_id": begun.id, **ids, "outcome": "revoked"}]


async def test_a_consent_that_nothing_overtakes_keeps_its_tokens(begun: Begun) -> None:
    await begun.start()
    assert await begun.finish() == 200
    (secret,) = await begun.secrets()
    assert await begun.ordered() == []
    assert is_live(begun.simulator, secret)


async def test_what_an_interrupted_consent_brings_too_late_is_revoked(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun.start()
    fail_once(monkeypatch, ConsentCompletion, "complete", DatabaseUnavailable)
    assert await begun.finish() == 503
    assert (await begun.ordered(), await begun.still_open()) == ([], 1)
    await suspend(begun)
    assert await begun.world.services.refreshing.recovery.tick() == 1
    assert (await begun.secrets(), await begun.ordered(), await begun.still_open()) == ([], [begun.id], 0)
    await begun.revoke()
    assert begun.alive() == 0


async def test_a_secret_that_was_to_be_connected_again_keeps_what_it_has(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begun.start()
    assert await begun.finish() == 200
    (secret,) = await begun.secrets()
    await begun.start(secret.id)
    pause = Pause(monkeypatch, ConsentCompletion, "complete")
    finishing = asyncio.create_task(begun.finish())
    async with asyncio.timeout(60):
        await pause.reached.wait()
    await suspend(begun)
    pause.release()
    assert await finishing == 400
    assert (await begun.secrets(), await begun.ordered(), await begun.still_open()) == ([secret], [], 0)
    assert is_live(begun.simulator, secret)


async def test_two_that_finish_one_consent_neither_store_twice_nor_revoke_what_is_stored(
    begun: Begun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The callback's process stands still; another takes it for dead and completes the consent from the journal."""
    await begun.start()
    pause = Pause(monkeypatch, ConsentCompletion, "complete")
    finishing = asyncio.create_task(begun.finish())
    async with asyncio.timeout(60):
        await pause.reached.wait()
    monkeypatch.setattr(begun.world.services.callbacks.completion, "_finishing", set())
    assert await begun.world.services.refreshing.recovery.tick() == 1
    pause.release()
    assert await finishing == 400
    (secret,) = await begun.secrets()
    assert (await begun.ordered(), await begun.still_open()) == ([], 0)
    assert is_live(begun.simulator, secret)
