"""An installation whose auth clients are registered at the simulator, with a clock to move and its background."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2

from keyrack import clock
from keyrack.ids import new_id
from keyrack.provider.client import ProviderClient
from keyrack.service.discovery.registration_journal import RegistrationJournal
from keyrack.service.discovery.registration_renewal import RegistrationRenewals
from keyrack.service.secrets.revocation import Revoker
from support.app import BASE, World, relationship, settings_for, world
from support.auth_clients import auth_client
from support.consent import approve, come_back


class Time:
    """The real time, moved ahead by a test."""

    ahead = timedelta()

    def __call__(self) -> datetime:
        return clock.now() + self.ahead


class Desk:
    """An installation with a clock to move, and what works in its background."""

    def __init__(self, keyrack: World, time: Time, provider: ProviderClient) -> None:
        self.keyrack, self.time, self.acme = keyrack, time, keyrack.tenants["Acme"]
        self.revoker = Revoker(keyrack.store, provider, timeout=20.0, patience=60.0)
        journal = keyrack.services.refreshing.journal
        self.registrations = RegistrationJournal(keyrack.store, provider, journal, time, allow_insecure=True)
        self.renewals = RegistrationRenewals(keyrack.store, self.registrations, timedelta(seconds=30))

    async def create(self, **credentials: Any) -> httpx2.Response:
        component = await self.keyrack.add_component(self.acme, new_id(), {"title": "C", "authClientTypes": ["oauth2"]})
        body = auth_client([component], ("tenant", self.acme.id), credentials, name="Tools")
        return await self.acme.admin.post("/v2/auth-clients", body)

    async def made(self, **credentials: Any) -> dict[str, Any]:
        answer = await self.create(**credentials)
        assert answer.status_code == 201, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def read(self, auth_client_id: str) -> dict[str, Any]:
        answer = await self.acme.admin.get(f"/v2/auth-clients/{auth_client_id}")
        attributes: dict[str, Any] = answer.json()["data"]["attributes"]
        return attributes

    async def connect(self, auth_client_id: str, **attributes: Any) -> dict[str, Any]:
        """Connect an account with a client; return the secret's attributes."""
        path = f"/v2/workspaces/{self.acme.workspace_id}"
        about = {"auth_client": relationship("auth-client", auth_client_id)}
        body = {"data": {"type": "oauth-consent", "attributes": attributes, "relationships": about}}
        started = await self.acme.integrator.post(f"{path}/oauth-consents", body)
        assert started.status_code == 201, started.text
        page = await come_back(self.keyrack, await approve(started.json()["data"]["attributes"]["authorization_url"]))
        assert page.status_code == 200, page.text
        ended = await self.acme.integrator.get(f"{path}/oauth-consents/{started.json()['data']['id']}")
        secret_id = ended.json()["data"]["relationships"]["auth_secret"]["data"]["id"]
        found = await self.acme.integrator.get(f"{path}/secrets/{secret_id}")
        secret: dict[str, Any] = found.json()["data"]
        return secret

    async def audited(self, action: str) -> list[tuple[str, str]]:
        answer = await self.acme.admin.get(f"/v2/tenants/{self.acme.id}/audit-events?filter[action]={action}")
        found = [entry["attributes"] for entry in answer.json()["data"]]
        return [(entry["target"]["id"], entry["outcome"]) for entry in found]

    async def work(self) -> None:
        """Let the background do what is due now, and what is due after the tokens of a client."""
        await self.revoker.tick()
        self.time.ahead += timedelta(seconds=31)
        await self.revoker.tick()


@asynccontextmanager
async def registration_desk(home: Path) -> AsyncIterator[Desk]:
    """Set one up."""
    time = Time()
    async with (
        world(settings_for(home, allow_insecure_providers="true", public_url=BASE), time) as keyrack,
        ProviderClient(allow_insecure=True) as provider,
    ):
        yield Desk(keyrack, time, provider)
