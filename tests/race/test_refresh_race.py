"""Three server processes and many readers: each expired secret is refreshed once (design, invariant 3; issue 3.8)."""

from pathlib import Path

import pytest

from keyrack.simulator.testing import RunningSimulator
from support.grants import add_auth_client, add_secret, mint
from support.running import SERVERS, read_all, several_serving

READERS = 200
MANY = 50


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
async def test_readers_of_all_servers_share_one_call(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path, simulator: RunningSimulator
) -> None:
    url = request.getfixturevalue("postgres_url") if engine == "postgresql" else None
    simulator.state.set_defaults({"rotation": "strict", "latency": 300})
    async with several_serving(tmp_path, url) as (keyrack, servers):
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
