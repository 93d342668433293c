"""An installation and a simulator with one clock, and an auth client whose accounts are connected with device codes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyrack import clock
from keyrack.ids import new_id
from keyrack.simulator.device_book import DeviceCode
from keyrack.simulator.testing import RunningSimulator
from support.app import BASE, World, relationship, settings_for, world
from support.grants import CLIENT_ID, SECRET


class GivenClock:
    """The time, which goes on when it is told to."""

    def __init__(self) -> None:
        self.at = clock.now()

    def __call__(self) -> datetime:
        return self.at

    def go_on(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class DeviceDesk:
    """Who connects accounts with device codes, and what can be seen of it."""

    world: World
    simulator: RunningSimulator
    clock: GivenClock
    client_id: str = ""
    consents: list[str] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/v2/workspaces/{self.world.tenants['Acme'].workspace_id}/oauth-consents"

    def profile(self, **members: Any) -> dict[str, Any]:
        endpoints = {
            "device_authorization": f"{self.simulator.base_url}/device_authorization",
            "token": self.simulator.token_endpoint,
        }
        return {"name": "tv", "grant": "device_code", "endpoints": endpoints, **members}

    async def make_client(self, profile: Any = None, **credentials: Any) -> Any:
        """Create the auth client over the API; return the answer."""
        acme = self.world.tenants["Acme"]
        component = await self.world.add_component(acme, new_id(), {"title": "TV", "authClientTypes": ["oauth2"]})
        given = {"client_id": CLIENT_ID, "client_secret": SECRET, "provider_profile": profile or self.profile()}
        data = {
            "type": "auth-client",
            "attributes": {"name": "TV", "type": "oauth2", "credentials": {**given, **credentials}},
            "relationships": {
                "tenant": relationship("tenant", acme.id),
                "components": {"data": [{"type": "component", "id": component}]},
            },
        }
        answer = await acme.admin.post("/v2/auth-clients", {"data": data})
        if answer.status_code == 201:
            self.client_id = answer.json()["data"]["id"]
        return answer

    async def begin(self, **attributes: Any) -> Any:
        """Start a consent; return the answer."""
        named = {"auth_client": relationship("auth-client", self.client_id)}
        body = {"data": {"type": "oauth-consent", "attributes": attributes, "relationships": named}}
        return await self.world.tenants["Acme"].integrator.post(self.path, body)

    async def started(self, **attributes: Any) -> dict[str, Any]:
        """Start a consent that begins; return its attributes and id."""
        answer = await self.begin(**attributes)
        assert answer.status_code == 201, answer.text
        data = answer.json()["data"]
        return {"id": data["id"], **data["attributes"]}

    async def seen(self, consent_id: str) -> dict[str, Any]:
        answer = await self.world.tenants["Acme"].integrator.get(f"{self.path}/{consent_id}")
        assert answer.status_code == 200, answer.text
        data = answer.json()["data"]
        return {**data["attributes"], "made": data.get("relationships", {}).get("auth_secret", {}).get("data")}

    async def after(self, seconds: float, world: World | None = None) -> int:
        """Let time go by and the worker look; return how many polls it made."""
        self.clock.go_on(seconds)
        return await (world or self.world).services.device_polling.tick()

    def at_simulator(self, user_code: str) -> DeviceCode:
        """Return what the simulator knows of a code."""
        return next(code for code in self.simulator.state.devices._codes.values() if code.user_code == user_code)


@pytest.fixture
async def device_desk(tmp_path: Path, simulator: RunningSimulator) -> AsyncIterator[DeviceDesk]:
    """A desk with a client, on SQLite; nobody decides by itself."""
    async with _desk(tmp_path, simulator, None) as desk:
        yield desk


@pytest.fixture
async def device_desk_on_each(
    tmp_path: Path, simulator: RunningSimulator, url_with_tenants: str | None
) -> AsyncIterator[DeviceDesk]:
    """The same on both databases: what is claimed, and under which lease, is for each to get right."""
    async with _desk(tmp_path, simulator, url_with_tenants) as desk:
        yield desk


@asynccontextmanager
async def _desk(home: Path, simulator: RunningSimulator, url: str | None) -> AsyncIterator[DeviceDesk]:
    given = GivenClock()
    simulator.state.clock = given
    simulator.state.reset()
    simulator.state.set_defaults({})
    settings = settings_for(home, url, allow_insecure_providers="true", public_url=BASE)
    async with world(settings, given) as made:
        desk = DeviceDesk(made, simulator, given)
        assert (await desk.make_client()).status_code == 201
        yield desk
