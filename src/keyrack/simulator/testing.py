"""A running simulator for tests."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from keyrack.simulator.config import SimulatorConfig
from keyrack.simulator.server import listening
from keyrack.simulator.state import State


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """A simulator that takes requests.

    Attributes:
        base_url: its address, without a slash at the end; also its issuer unless configured otherwise.
        state: its memory, to look into and to change; it runs in the same event loop.
    """

    base_url: str
    state: State

    @property
    def authorization_endpoint(self) -> str:
        """Where a browser is sent."""
        return f"{self.base_url}/authorize"

    @property
    def token_endpoint(self) -> str:
        """Where codes and refresh tokens are exchanged."""
        return f"{self.base_url}/token"


@asynccontextmanager
async def running_simulator(
    config: SimulatorConfig | None = None, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[RunningSimulator]:
    """Run a simulator in this event loop, on a free port unless told otherwise.

    Raises:
        ConfigurationError: the host is not loopback, or the port cannot be had.
    """
    async with listening(host, port, config or SimulatorConfig()) as (base_url, state):
        yield RunningSimulator(base_url, state)
