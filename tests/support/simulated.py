"""Components connected to the bundled simulator, and what of a consent is stored."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from keyrack.simulator.config import DEFAULT_CLIENT, Client, SimulatorConfig
from keyrack.simulator.testing import RunningSimulator, running_simulator
from support.app import World
from support.consent import add_oauth_client, oauth_component

CLIENT_ID = DEFAULT_CLIENT.client_id
SECRET = DEFAULT_CLIENT.client_secret.reveal()


@pytest.fixture
async def simulator() -> AsyncIterator[RunningSimulator]:
    """A simulator that approves every authorization at once."""
    client = Client(client_id=CLIENT_ID, client_secret=DEFAULT_CLIENT.client_secret, redirect_match="any")
    async with running_simulator(
        SimulatorConfig(clients=(client,), behaviour={"approval": "auto"}, access_log=False)
    ) as running:
        yield running


async def component_for(
    keyrack: World, simulator: RunningSimulator, sim: str = "", name: str = "connected", **oauth2: Any
) -> str:
    """Make a global component of Acme, with Globex's own client, for a simulator that behaves as `sim` says."""
    suffix = f"?sim={sim}" if sim else ""
    descriptor = oauth_component(simulator.authorization_endpoint, simulator.token_endpoint + suffix, **oauth2)
    component_id = await keyrack.add_component(keyrack.tenants["Acme"], name, descriptor, access="global")
    await add_oauth_client(keyrack, "Globex", component_id, CLIENT_ID, SECRET)
    return component_id


def exchanges(simulator: RunningSimulator) -> int:
    """Return how many times a code was sent to the token endpoint."""
    return simulator.state.calls(grant_type="authorization_code")
