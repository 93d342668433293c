"""Keyrack on a real port: in this process, as one `keyrack serve` beside a world, as several; and its Python client."""

import asyncio
import base64
import itertools
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx2
import pytest
import uvicorn

from keyrack.client import AsyncKeyrack, Keyrack
from keyrack.model.secrets import AuthSecret
from keyrack.wiring.http import serve_with
from keyrack.wiring.services import build_services
from keyrack.wiring.storage import open_store
from support.app import BASE, Caller, World, settings_for, world
from support.flows import Site
from support.keyrack_processes import Server, environment
from support.loopback_peers import Proxy, proxying


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[World]:
    """An installation with two tenants that listens at its `settings.public_url`."""
    async with listening_as("127.0.0.1", tmp_path) as made:
        yield made


@asynccontextmanager
async def listening_as(host: str, home: Path) -> AsyncIterator[World]:
    """The same, where browsers know it by a name: at `localhost`, servers at 127.0.0.1 are another site's."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"http://{host}:{bound.getsockname()[1]}"
        async with world(settings_for(home, allow_insecure_providers="true", public_url=address)) as made:
            config = uvicorn.Config(made.app, lifespan="off", log_config=None, access_log=False, ws="none")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server._serve([bound]))  # `serve` would take the tests' signals
            try:
                yield made
            finally:
                server.should_exit = True
                await serving


@asynccontextmanager
async def replica(first: World) -> AsyncIterator[httpx2.AsyncClient]:
    """Run another Keyrack on the database of one under test, with connections of its own."""
    store = open_store(first.settings)
    services = build_services(store, first.settings)
    app = serve_with(store, services, first.settings)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    try:
        async with httpx2.AsyncClient(transport=transport, base_url=BASE) as http:
            yield http
    finally:
        await services.close()
        await store.close()


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
        return self.server.base

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


SERVERS = 3


@asynccontextmanager
async def several_serving(
    tmp_path: Path, url: str | None, **more: str
) -> AsyncIterator[tuple[World, Sequence[Server]]]:
    """Set a database up and serve it from several processes without a background worker."""
    settings = settings_for(tmp_path / "home", url, allow_insecure_providers="true", **more)
    async with world(settings) as keyrack:
        env = environment(settings, **more)
        servers = [Server(env, tmp_path / f"server-{n}.log", "--no-worker") for n in range(SERVERS)]
        try:
            for server in servers:
                await asyncio.to_thread(server.wait_until_ready)
            yield keyrack, servers
        finally:
            for server in servers:
                server.kill()


async def read_all(
    keyrack: World, servers: Sequence[Server], secrets: Sequence[AuthSecret], times: int
) -> dict[str, Counter[str]]:
    """Read each secret `times` times at once, from all servers in turn; return the tokens that came, by secret."""
    acme = keyrack.tenants["Acme"]
    token = base64.b64encode(f"{acme.admin.name}:{acme.admin.api_key}".encode()).decode()
    turns = itertools.cycle(servers)
    found: dict[str, Counter[str]] = {secret.id: Counter() for secret in secrets}
    limits = httpx2.Limits(max_connections=None)
    async with httpx2.AsyncClient(limits=limits, timeout=60, headers={"authorization": f"Basic {token}"}) as http:

        async def read(secret: AuthSecret) -> None:
            url = f"{next(turns).base}/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
            answer = await http.get(url)
            assert answer.status_code == 200, answer.text
            attributes = answer.json()["data"]["attributes"]
            assert attributes["state"] == "ready", attributes
            found[secret.id][attributes["credentials"]["access_token"]] += 1

        await asyncio.gather(*(read(secret) for _ in range(times) for secret in secrets))
    return found


T = TypeVar("T")


@pytest.fixture(scope="module")
async def proxy(running: Running) -> AsyncIterator[Proxy]:
    """Stands between clients and the served Keyrack."""
    async with proxying(running.base) as started:
        yield started


def threaded(base: str, who: Caller) -> Keyrack:
    return Keyrack(base + "/", who.name, who.api_key, timeout=60)


def in_loop(base: str, who: Caller) -> AsyncKeyrack:
    return AsyncKeyrack(base, who.name, who.api_key, timeout=60)


async def at_once(count: int, work: Callable[[], T]) -> list[T]:
    """Do work in that many threads at the same time, while this event loop goes on serving."""
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(count) as pool:
        return await asyncio.gather(*(loop.run_in_executor(pool, work) for _ in range(count)))
