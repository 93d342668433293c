"""The hot read beside the framework: the same request answered by both, and who answered."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx2
import pytest

from keyrack.service.secrets import Secrets
from support.app import Caller, World


@dataclass
class Seen:
    """What a request got.

    Attributes:
        status, headers, body: the answer; headers as they came, without the request id.
        by_framework: whether the framework was asked for the secret.
    """

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    by_framework: bool


class Pair:
    """A Keyrack that answers the same request with and without the hot read."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked = 0

    async def seen(self, who: Caller, path: str, method: str = "GET", **more: object) -> Seen:
        """Ask once."""
        before = self.asked
        answer: httpx2.Response = await who.call(method, path, **more)
        headers = [(name, value) for name, value in answer.headers.raw if name != b"x-request-id"]
        return Seen(answer.status_code, headers, answer.content, self.asked > before)

    async def both(self, who: Caller, path: str, method: str = "GET", **more: object) -> tuple[Seen, Seen]:
        """Ask with the hot read, then without; what comes before the framework refuses in both."""
        with_it = await self.seen(who, path, method, **more)
        async with self.framework_only():
            without = await self.seen(who, path, method, **more)
        return with_it, without

    @asynccontextmanager
    async def framework_only(self) -> AsyncIterator[None]:
        await self.world.services.hot_reads.close()
        try:
            yield
        finally:
            self.world.services.hot_reads.open()


@contextmanager
def counting(pair: Pair) -> Iterator[None]:
    """Count how often the framework's handler asks for a secret."""
    real = Secrets.get

    async def get(self: Secrets, *given: object) -> object:
        pair.asked += 1
        return await real(self, *given)  # type: ignore[arg-type] # handed on as they came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Secrets, "get", get)
        yield


@asynccontextmanager
async def hot(world: World) -> AsyncIterator[Pair]:
    """Run what goes on beside requests as a server does, hot reads among it."""
    pair = Pair(world)
    services = world.services
    await services.refresh_room.listener.start()
    services.hot_reads.open()
    try:
        with counting(pair):
            yield pair
    finally:
        await services.hot_reads.close()
        await services.refresh_room.listener.close()
