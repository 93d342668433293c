"""Two processes on one PostgreSQL learn of a cutover that is said once, and refresh each grant once (decision 52)."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2

from keyrack.simulator.testing import RunningSimulator
from support.app import settings_for, world
from support.bringing import Elsewhere, bring, file_of, secret_of
from support.grants import refreshed, stored, takes
from support.keyrack_processes import Server, command, environment
from support.postgres import PostgresServer

GRANTS = 40
GIVEN_UP_AFTER = 120.0


async def test_two_replicas_leave_brought_grants_alone_until_the_cutover_and_then_refresh_each_once(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path, simulator: RunningSimulator
) -> None:
    """With one-time refresh tokens a second refresh of a grant would end it."""
    del postgres_server
    first = settings_for(tmp_path / "home", postgres_url, allow_insecure_providers="true")
    simulator.state.set_defaults({"rotation": "strict", "latency_after": 50, "access_token_lifetime": 3600})
    async with world(first) as keyrack, httpx2.AsyncClient(timeout=60) as http:
        acme = keyrack.tenants["Acme"]
        names = [f"c-{n}" for n in range(GRANTS)]
        found = await bring(keyrack, Elsewhere(simulator, count=GRANTS), file_of(tmp_path, names))
        secrets = [await secret_of(keyrack, found, name) for name in names]
        envs = [
            environment(first, worker_interval=0.1, refresh_retry=0.5, home=home, key_file=first.effective_key_file)
            for home in (tmp_path / "machine-0", tmp_path / "machine-1")
        ]
        for n in range(2):
            (tmp_path / f"machine-{n}").mkdir(mode=0o700)
        servers = [Server(env, tmp_path / f"server-{n}.log") for n, env in enumerate(envs)]

        async def read(server: Server, secret_id: str) -> dict[str, Any]:
            path = f"{server.base}/v2/workspaces/{acme.workspace_id}/secrets/{secret_id}"
            answer = await http.get(path, auth=(acme.admin.name, acme.admin.api_key))
            attributes: dict[str, Any] = answer.raise_for_status().json()["data"]["attributes"]
            return attributes

        async def read_all() -> Counter[str]:
            """Read every grant from both at the same time; count what was said of each."""
            told = await asyncio.gather(*(read(server, each.id) for each in secrets for server in servers))
            return Counter(each.get("error_code") or each["state"] for each in told)

        try:
            for server in servers:
                await asyncio.to_thread(server.wait_until_ready)
            for _ in range(3):
                assert await read_all() == {"awaiting_cutover": 2 * GRANTS}
            assert refreshed(simulator) == 0, "neither a reader nor the background of either"
            reading = asyncio.create_task(read_until_ready(read_all))
            assert await asyncio.to_thread(command, envs[0], "cutover", "everything") == {"grants": GRANTS}
            last = await reading
            assert last == {"ready": 2 * GRANTS}, [server.log()[-2000:] for server in servers]
            assert await asyncio.to_thread(command, envs[1], "cutover", "everything") == {"grants": 0}
        finally:
            codes = [server.stop() for server in servers]
        assert codes == [0, 0], [server.log()[-2000:] for server in servers]
        calls = simulator.state.calls(endpoint="token", grant_type="refresh_token")
        assert (calls, refreshed(simulator)) == (GRANTS, GRANTS), "each once, and none was refused"
        after = [await stored(keyrack.store, each) for each in secrets]
        assert all(takes(simulator, each) for each in after)
        assert {each.cutover_batch_id for each in after} == {None}


async def read_until_ready(read_all: Callable[[], Awaitable[Counter[str]]]) -> Counter[str]:
    """Read until nothing awaits the cutover any more; return what was said then."""
    deadline = time.monotonic() + GIVEN_UP_AFTER
    while True:
        told = await read_all()
        if "awaiting_cutover" not in told or time.monotonic() > deadline:
            return told
