"""The `oidc-provider` authorization server (Node.js), started by us with the clients and habits a test asks for."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import pytest

from support.clients import RegisteredClient
from support.node import executable
from support.parts import require_part, why_not_installed
from support.process import ServerProcess

SCRIPT = Path(__file__).parents[1] / "servers" / "oidc-provider" / "server.mjs"
MODULES = Path(sys.prefix) / "servers" / "oidc-provider"


@dataclass(frozen=True)
class OidcOptions:
    """How a server behaves.

    It gives a refresh token only for the scope `offline_access` requested with `prompt=consent`.

    Attributes:
        clients: the registered clients; a test's redirect address goes in here.
        approval: "forms" shows login and consent pages, "automatic" signs in and consents at once, "deny" refuses.
        rotate: every refresh gives a new refresh token and ends the old one.
        access_token_ttl: seconds.
        code_ttl: seconds in which an authorization code must be exchanged.
        pkce_required: refuse an authorization request without a code challenge.
    """

    clients: tuple[RegisteredClient, ...] = (RegisteredClient(),)
    approval: Literal["forms", "automatic", "deny"] = "automatic"
    rotate: bool = True
    access_token_ttl: int = 3600
    code_ttl: int = 60
    pkce_required: bool = True


@dataclass(frozen=True)
class OidcProvider:
    """A running server.

    Attributes:
        issuer: its address and `iss`, without a slash at the end.
        client: the first registered client.
        started_in: seconds from starting Node.js to its ready line.
    """

    process: ServerProcess
    issuer: str
    client: RegisteredClient
    started_in: float

    @property
    def authorization_endpoint(self) -> str:
        return f"{self.issuer}/auth"

    @property
    def token_endpoint(self) -> str:
        return f"{self.issuer}/token"

    @property
    def userinfo_endpoint(self) -> str:
        return f"{self.issuer}/me"


def start(options: OidcOptions) -> OidcProvider:
    """Start a server; the caller stops its process. Skips the test where Node.js or the package cannot be had."""
    node = executable()
    if not (MODULES / "node_modules" / "oidc-provider").is_dir():
        require_part("oidc-provider", why_not_installed("node"))
    wanted = asdict(options) | {"clients": [client.metadata() for client in options.clients]}
    process = ServerProcess([node, SCRIPT, MODULES, json.dumps(wanted)])
    issuer = f"http://127.0.0.1:{process.ready['port']}"
    return OidcProvider(process, issuer, options.clients[0], process.started_in)


@pytest.fixture
def start_oidc_provider() -> Iterator[Callable[[OidcOptions], OidcProvider]]:
    """Starts servers with a test's own options, and ends them after it."""
    with ExitStack() as running:

        def begin(options: OidcOptions) -> OidcProvider:
            provider = start(options)
            running.callback(provider.process.stop)
            return provider

        yield begin


@pytest.fixture(scope="session")
def oidc_provider() -> Iterator[OidcProvider]:
    """One server with the default options for all tests."""
    provider = start(OidcOptions())
    yield provider
    provider.process.stop()
