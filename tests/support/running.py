"""Keyrack as `keyrack serve`, with two tenants in its database: for clients that run in processes of their own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import pytest

from support.app import Caller, World, settings_for, world
from support.replicas import Server, environment
from support.task_users import Site


@dataclass(frozen=True)
class Running:
    """A serving process, and the world on the same database to set things up with.

    Attributes:
        world: sets up and looks into the database.
        server: the serving process; it has no background worker, so that only what a client does refreshes.
    """

    world: World
    server: Server

    @property
    def base(self) -> str:
        """Its address, without a slash at the end."""
        return self.server.base_url

    def variables(self, who: Caller, place: Site, step_id: str = "step_1") -> Mapping[str, str]:
        """Return the variables a component is started with (contract 18.1), with somebody's name and key."""
        return {
            "ELASTICIO_API_URI": self.base,
            "ELASTICIO_API_USERNAME": who.name,
            "ELASTICIO_API_KEY": who.api_key,
            "ELASTICIO_FLOW_ID": place.flow_id,
            "ELASTICIO_STEP_ID": step_id,
            "ELASTICIO_WORKSPACE_ID": place.workspace_id,
            "ELASTICIO_CONTRACT_ID": place.contract_id,
            "ELASTICIO_TENANT_ID": place.tenant_id,
            "ELASTICIO_USER_ID": place.user.id,
            "ELASTICIO_COMP_ID": place.component_id,
            "ELASTICIO_EXEC_ID": "execution",
            "ELASTICIO_CONTAINER_ID": "container",
        }


@pytest.fixture(scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    """One serving process for a whole test file."""
    home = tmp_path_factory.mktemp("running")
    settings = settings_for(home, allow_insecure_providers="true")
    async with world(settings) as made:
        server = Server(environment(settings), home / "server.log", "--no-worker")
        try:
            await asyncio.to_thread(server.wait_until_ready)
            yield Running(made, server)
        finally:
            server.kill()
