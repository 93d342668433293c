"""The Python client against a served Keyrack: who asks, and what there is to read."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from keyrack.client import AsyncKeyrack, Keyrack
from support.app import Caller
from support.proxy import Proxy, proxying
from support.running import Running

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
