"""Calls that hang take neither all connections of a process nor those to one server from others (invariant 7)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keyrack.provider.client import ProviderClient
from support.raw_provider import LoopbackServers, http_answer, token_request
from support.waits_and_faults import until


@pytest.fixture
async def servers() -> AsyncIterator[LoopbackServers]:
    running = LoopbackServers()
    yield running
    await running.stop()


async def hangs_on_odd_paths(servers: LoopbackServers) -> str:
    """Start a server that answers `/token` and nothing else; return its address."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await servers.read(reader)
        if not request.startswith(b"POST /token "):
            await asyncio.sleep(3600)
        writer.write(http_answer(b'{"access_token": "at"}'))
        await writer.drain()

    return f"http://127.0.0.1:{await servers.start(handle)}"


@pytest.mark.parametrize("spread", [1, 25], ids=["at the victim's provider", "at many"])
async def test_a_tenants_hanging_calls_leave_places_for_others(servers: LoopbackServers, spread: int) -> None:
    urls = [await hangs_on_odd_paths(servers) for _ in range(spread)]
    async with ProviderClient(allow_insecure=True, timeout=60, connections_per_host=30) as client:
        attack = [
            asyncio.create_task(client.send(token_request(f"{url}/hang"), tenant_id="attacker"))
            for url in urls
            for _ in range(600 // spread)
        ]
        share = 23 if spread == 1 else 384
        await until(lambda: len(servers.requests) >= share)
        victims = [client.send(token_request(f"{urls[0]}/token"), tenant_id="victim") for _ in range(20)]
        got = await asyncio.gather(*victims)
        assert [answer.status for answer in got] == [200] * 20
        assert len(servers.requests) == share + 20, "the attacker holds its share all the time"
        for call in attack:
            call.cancel()
        await asyncio.gather(*attack, return_exceptions=True)
    assert client._places._servers == {}, "nothing is remembered of servers that are not called"
