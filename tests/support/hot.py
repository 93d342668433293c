"""The hot read beside the framework: the same request answered by both, and who answered."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx2
import pytest

from keyrack.service.secrets import freeze_watch
from keyrack.service.secrets.secrets import Secrets
from keyrack.store.core import listening
from keyrack.store.core.listening import Listener
from support.app import Caller, World
from support.waits_and_faults import until


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
        await self.world.services.fast_reads.close()
        try:
            yield
        finally:
            self.world.services.fast_reads.open()
            await self.world.services.freeze_watch.ask()


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


@contextmanager
def unhurried() -> Iterator[None]:
    """Believe for longer than a server does in what was heard, as the machine may be slow.

    That it is short otherwise is held by tests/hot/test_access_changes.py and tests/rotation/test_containment.py.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listening, "_TRUST_SECONDS", 60.0)
        patch.setattr(listening, "_ANSWER_SECONDS", 60.0)
        patch.setattr(freeze_watch, "LONGEST", 60.0)
        yield


async def heard(listener: Listener, world: World) -> None:
    """Wait until the listener vouches, where the database can notify."""
    if world.settings.database_url is None:
        return
    await until(lambda: listener.missed_nothing_since(time.monotonic()))


@asynccontextmanager
async def hot(world: World) -> AsyncIterator[Pair]:
    """Run what goes on beside requests as a server does, hot reads among it."""
    pair = Pair(world)
    services = world.services
    try:
        with counting(pair), unhurried():
            await services.refreshing.listener.start()
            await heard(services.refreshing.listener, world)
            services.fast_reads.open()
            await services.freeze_watch.ask()
            yield pair
    finally:
        await services.fast_reads.close()
        await services.refreshing.listener.close()
