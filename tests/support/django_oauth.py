"""The Django OAuth Toolkit authorization server, started by us with the clients and habits a test asks for."""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pytest

from support.clients import RegisteredClient
from support.process import ServerProcess

SCRIPT = Path(__file__).parents[1] / "servers" / "dot" / "server.py"


@dataclass(frozen=True)
class DjangoOAuthOptions:
    """How a server behaves. Its scopes are `read` and `write`; refresh tokens come without asking.

    Attributes:
        clients: the registered clients; both ways of sending a client secret are accepted.
        approval: "automatic" approves at once, "forms" shows a consent page; nobody needs to sign in.
        rotate: every refresh gives a new refresh token and ends the old one.
        access_token_ttl: seconds.
        pkce_required: refuse an authorization request without a code challenge.
    """

    clients: tuple[RegisteredClient, ...] = (RegisteredClient(),)
    approval: Literal["automatic", "forms"] = "automatic"
    rotate: bool = True
    access_token_ttl: int = 3600
    pkce_required: bool = True


@dataclass(frozen=True)
class DjangoOAuth:
    """A running server.

    Attributes:
        address: its address, without a slash at the end.
        client: the first registered client.
        started_in: seconds from starting Python to the ready line, migrations included.
    """

    process: ServerProcess
    address: str
    client: RegisteredClient
    started_in: float

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.address}/o/authorize/"

    @property
    def token_endpoint(self) -> str:
        return f"{self.address}/o/token/"

    @property
    def resource(self) -> str:
        """A protected resource that says whose access token it was sent, for the scope `read`."""
        return f"{self.address}/me"


def start(options: DjangoOAuthOptions, directory: Path) -> DjangoOAuth:
    """Start a server with its database in `directory`; the caller stops its process."""
    wanted = asdict(options) | {"clients": [client.metadata() for client in options.clients]}
    process = ServerProcess([sys.executable, SCRIPT, json.dumps(wanted), directory])
    return DjangoOAuth(process, f"http://127.0.0.1:{process.ready['port']}", options.clients[0], process.started_in)


@pytest.fixture
def start_django_oauth() -> Iterator[Callable[[DjangoOAuthOptions], DjangoOAuth]]:
    """Starts servers with a test's own options, and ends them after it."""
    with ExitStack() as running:

        def begin(options: DjangoOAuthOptions) -> DjangoOAuth:
            directory = running.enter_context(tempfile.TemporaryDirectory(prefix="keyrack-dot-"))
            server = start(options, Path(directory))
            running.callback(server.process.stop)
            return server

        yield begin


@pytest.fixture(scope="session")
def django_oauth() -> Iterator[DjangoOAuth]:
    """One server with the default options for all tests."""
    with tempfile.TemporaryDirectory(prefix="keyrack-dot-") as directory:
        server = start(DjangoOAuthOptions(), Path(directory))
        yield server
        server.process.stop()
