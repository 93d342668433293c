"""Three server processes and many readers: each expired secret is refreshed once (design, invariant 3; issue 3.8)."""

import asyncio
import base64
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest

from keyrack.model import AuthSecret
from keyrack.simulator.testing import RunningSimulator
from support.app import World, settings_for, world
from support.grants import add_auth_client, add_secret, mint
from support.replicas import Server, environment

SERVERS = 3
READERS = 200
MANY = 50


@asynccontextmanager
async def served(tmp_path: Path, url: str | None) -> AsyncIterator[tuple[World, Sequence[Server]]]:
    """Set a database up and serve it from several processes without a background worker."""
    settings = settings_for(tmp_path / "home", url, allow_insecure_providers="true")
    async with world(settings) as keyrack:
        env = environment(settings)
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
            url = f"{next(turns).base_url}/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
            answer = await http.get(url)
            assert answer.status_code == 200, answer.text
            attributes = answer.json()["data"]["attributes"]
            assert attributes["state"] == "ready", attributes
            found[secret.id][attributes["credentials"]["access_token"]] += 1

        await asyncio.gather(*(read(secret) for _ in range(times) for secret in secrets))
    return found


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
async def test_readers_of_all_servers_share_one_call(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, simulator: RunningSimulator
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else None
    simulator.state.set_defaults({"rotation": "strict", "latency": 300})
    async with served(tmp_path, url) as (keyrack, servers):
        acme = keyrack.tenants["Acme"]
        client = await add_auth_client(keyrack.store, acme.id, simulator.token_endpoint)
        expired = await add_secret(keyrack.store, acme, client, mint(simulator), age=4000)
        found = await read_all(keyrack, servers, [expired], READERS)
        assert simulator.state.calls(endpoint="token", grant_type="refresh_token") == 1
        (tokens,) = found.values()
        assert list(tokens.values()) == [READERS]
        assert expired.credentials["access_token"] not in tokens

        secrets = [await add_secret(keyrack.store, acme, client, mint(simulator), age=4000) for _ in range(MANY)]
        found = await read_all(keyrack, servers, secrets, SERVERS)
        assert simulator.state.calls(endpoint="token", grant_type="refresh_token") == 1 + MANY
        assert all(list(tokens.values()) == [SERVERS] for tokens in found.values())
    assert all(grant.parallel_peak <= 1 for grant in simulator.state.book.grants.values())
