"""A real server of the Model Context Protocol, made of `@modelcontextprotocol/sdk`, and a client that calls it."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from support.node import executable
from support.parts import require_part, why_not_installed
from support.process import ServerProcess

SCRIPT = Path(__file__).parents[1] / "servers" / "mcp-server" / "server.mjs"
MODULES = Path(sys.prefix) / "servers" / "mcp-server"


@dataclass(frozen=True)
class McpOptions:
    """How a server behaves. It issues and takes only tokens that were asked for with its address as `resource`.

    Attributes:
        path: of the server.
        scope: that every request needs.
        tool_scope: that calling a tool needs beside it.
        registers: whether clients may register themselves.
        clients: that are known already, by the members of RFC 7591 section 2.
        access_token_ttl: seconds.
        introspection: `issuer`, `endpoint`, `client_id` and `client_secret` at another authorization server; None: the
            server is its own.
    """

    path: str = "/mcp"
    scope: str = "mcp:use"
    tool_scope: str = "mcp:tools"
    registers: bool = True
    clients: tuple[Mapping[str, Any], ...] = ()
    access_token_ttl: int = 3600
    introspection: Mapping[str, str] | None = None


@dataclass(frozen=True)
class RunningMcpServer:
    """A running server; `url` is its address, `origin` that of its host."""

    process: ServerProcess
    origin: str
    url: str

    async def call(self, method: str, token: str, **params: Any) -> httpx2.Response:
        """Send a message of the protocol with a token."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {"authorization": f"Bearer {token}", "accept": "application/json, text/event-stream"}
        async with httpx2.AsyncClient() as client:
            return await client.post(self.url, json=body, headers=headers)


def start(options: McpOptions) -> RunningMcpServer:
    """Start a server; the caller stops its process. Skips the test where Node.js or the package cannot be had."""
    node = executable()
    if not (MODULES / "node_modules" / "@modelcontextprotocol" / "sdk").is_dir():
        require_part("@modelcontextprotocol/sdk", why_not_installed("node"))
    process = ServerProcess([node, SCRIPT, MODULES, json.dumps(asdict(options))])
    origin = f"http://127.0.0.1:{process.ready['port']}"
    return RunningMcpServer(process, origin, f"{origin}{options.path}")


@pytest.fixture
def start_mcp_server() -> Iterator[Callable[[McpOptions], RunningMcpServer]]:
    """Starts servers with a test's own options, and ends them after it."""
    with ExitStack() as running:

        def begin(options: McpOptions) -> RunningMcpServer:
            server = start(options)
            running.callback(server.process.stop)
            return server

        yield begin
