"""The last moment before a request is written: where intents are recorded (design, rotation journal)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from keyrack.errors import DatabaseUnavailable, ProviderUnavailable
from keyrack.provider.client import ProviderClient
from keyrack.provider.faults import may_have_been_sent
from support.raw_provider import LoopbackServers, http_answer, token_request


@pytest.fixture
async def client() -> AsyncIterator[ProviderClient]:
    async with ProviderClient(allow_insecure=True, timeout=30) as made:
        yield made


async def test_it_is_called_after_connecting_and_before_a_byte_is_written(
    servers: LoopbackServers, client: ProviderClient
) -> None:
    port = await servers.answer(http_answer())
    seen: list[tuple[bool, int]] = []

    async def before() -> None:
        await asyncio.wait_for(servers.connected.wait(), 30)
        await asyncio.sleep(0.05)
        seen.append((servers.connected.is_set(), len(servers.requests)))

    await client.send(token_request(f"http://127.0.0.1:{port}/"), before)
    assert seen == [(True, 0)]
    assert len(servers.requests) == 1


async def test_it_is_called_on_a_reused_connection_too(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer(), http_answer())
    calls: list[int] = []

    async def before() -> None:
        calls.append(len(servers.requests))

    for _ in range(2):
        await client.send(token_request(f"http://127.0.0.1:{port}/"), before)
    assert (calls, servers.connections) == ([0, 1], 1)


async def test_what_it_raises_calls_the_request_off(servers: LoopbackServers, client: ProviderClient) -> None:
    port = await servers.answer(http_answer())

    async def before() -> None:
        raise DatabaseUnavailable

    with pytest.raises(DatabaseUnavailable):
        await client.send(token_request(f"http://127.0.0.1:{port}/"), before)
    await asyncio.sleep(0.05)
    assert servers.requests == []
    await client.send(token_request(f"http://127.0.0.1:{await servers.answer(http_answer())}/"))
    assert len(servers.requests) == 1, "another call is not affected"


async def test_no_connection_means_it_is_not_called_and_nothing_was_sent(client: ProviderClient) -> None:
    called: list[bool] = []

    async def before() -> None:
        called.append(True)

    with pytest.raises(ProviderUnavailable) as caught:
        await client.send(token_request("http://127.0.0.1:2/"), before)
    assert (called, may_have_been_sent(caught.value)) == ([], False)


async def test_running_out_of_time_in_it_means_nothing_was_sent(
    servers: LoopbackServers,
) -> None:
    port = await servers.answer(http_answer())

    async def before() -> None:
        await asyncio.sleep(60)

    async with ProviderClient(allow_insecure=True, timeout=0.5) as client:
        with pytest.raises(ProviderUnavailable) as caught:
            await client.send(token_request(f"http://127.0.0.1:{port}/"), before)
    assert not may_have_been_sent(caught.value)
    assert servers.requests == []
