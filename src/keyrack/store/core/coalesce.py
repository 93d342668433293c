"""Turns reads by key that are asked for at the same time into one query.

A reader that comes alone is not made to wait for others. While queries are under way, readers gather, and go together
with the next one; so the batches grow with the load and the database sees ever fewer queries for each reader.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice
from typing import Generic, TypeVar

import structlog

from keyrack.logs import log_fault

log = structlog.get_logger()

K = TypeVar("K")
V = TypeVar("V")

Heard = Callable[[V | None, bool], None]
"""Takes what was read, or None, and whether the reading failed; must not block."""


class ReadFailed(Exception):
    """The query that a reader went with failed, or took too long; the reader may ask in another way."""


class Coalescer(Generic[K, V]):
    """Gathers readers.

    Args:
        fetch: reads many keys; what is not there is not in the answer.
        flights: how many queries may be under way.
        batch: how many keys a query may ask for.
        seconds: how long a query may take.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        *,
        flights: int = 2,
        batch: int = 200,
        seconds: float = 2.0,
    ) -> None:
        self._fetch = fetch
        self._flights = flights
        self._batch = batch
        self._seconds = seconds
        self._waiting: dict[K, list[Heard[V]]] = {}
        self._flying: set[asyncio.Task[None]] = set()
        self._called = False

    async def get(self, key: K) -> V | None:
        """Return the value of a key as it is stored now or later, or None if there is none.

        Raises:
            ReadFailed: it could not be read.
        """
        future: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()

        def heard(value: V | None, failed: bool) -> None:  # noqa: FBT001 - as every reader is told
            if future.done():
                return
            if failed:
                future.set_exception(ReadFailed())
            else:
                future.set_result(value)

        self.ask(key, heard)
        try:
            return await future
        except asyncio.CancelledError:
            self._leave(key, heard)
            raise

    def ask(self, key: K, heard: Heard[V]) -> None:
        """Have somebody told the value of a key, as `get` returns it, later."""
        self._waiting.setdefault(key, []).append(heard)
        if not self._called and len(self._flying) < self._flights:
            # not at once: who was received in the same turn of the loop comes along, and nobody waits for it
            self._called = True
            asyncio.get_running_loop().call_soon(self._depart)

    async def close(self) -> None:
        """Fail whoever is still waiting."""
        waiting, self._waiting = self._waiting, {}
        _fail(waiting)
        for task in list(self._flying):
            task.cancel()
        await asyncio.gather(*self._flying, return_exceptions=True)

    def _depart(self) -> None:
        self._called = False
        while self._waiting and len(self._flying) < self._flights:
            flight = {key: self._waiting.pop(key) for key in list(islice(self._waiting, self._batch))}
            task = asyncio.create_task(self._fly(flight))
            self._flying.add(task)
            task.add_done_callback(self._land)

    def _leave(self, key: K, heard: Heard[V]) -> None:
        """Ask for nobody who gave up before the query departed."""
        readers = self._waiting.get(key, [])
        if heard in readers:
            readers.remove(heard)
            if not readers:
                del self._waiting[key]

    def _land(self, task: "asyncio.Task[None]") -> None:
        self._flying.discard(task)
        self._depart()

    async def _fly(self, flight: dict[K, list[Heard[V]]]) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                found = await self._fetch(list(flight))
        except Exception as error:  # noqa: BLE001 - whatever it is, each reader is told, and the next flight departs
            log.debug("a coalesced read failed", error=type(error).__qualname__)
            _fail(flight)
        except asyncio.CancelledError:
            _fail(flight)
            raise
        else:
            for key, readers in flight.items():
                _tell(readers, found.get(key), failed=False)


def _fail(flight: Mapping[K, list[Heard[V]]]) -> None:
    for readers in flight.values():
        _tell(readers, None, failed=True)


def _tell(readers: list[Heard[V]], value: V | None, *, failed: bool) -> None:
    for heard in readers:
        try:
            heard(value, failed)
        except Exception as fault:  # noqa: BLE001 - one reader's must not keep the others from being told
            log_fault(fault)
