"""One database served by several processes, and readers that ask all of them at once."""

import asyncio
import base64
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from keyrack.model.secrets import AuthSecret
from support.app import World, settings_for, world
from support.replicas import Server, environment

SERVERS = 3


@asynccontextmanager
async def served(tmp_path: Path, url: str | None, **more: str) -> AsyncIterator[tuple[World, Sequence[Server]]]:
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
            url = f"{next(turns).base_url}/v2/workspaces/{acme.workspace_id}/secrets/{secret.id}"
            answer = await http.get(url)
            assert answer.status_code == 200, answer.text
            attributes = answer.json()["data"]["attributes"]
            assert attributes["state"] == "ready", attributes
            found[secret.id][attributes["credentials"]["access_token"]] += 1

        await asyncio.gather(*(read(secret) for _ in range(times) for secret in secrets))
    return found
