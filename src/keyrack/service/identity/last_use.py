"""Records when secrets and API keys were last used, many in one write: `last_used_at`, an extension.

Each process remembers the last use of each and writes all of them down every few seconds and when it stops. A
process that is killed loses what it noted since it last wrote.
"""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime
from itertools import islice
from typing import Generic, TypeVar

from keyrack.background import NowAndThen
from keyrack.clock import Clock
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.last_use import BATCH, Owned, move_forward, move_keys_forward

INTERVAL = 10.0
_MOST = 100_000
"""Secrets, or keys, that are remembered at most; more are only there when the database has been gone for long."""


K = TypeVar("K", bound=Hashable)
Move = Callable[[Unit, Mapping[K, datetime]], Awaitable[frozenset[K]]]


class Uses(Generic[K]):
    """Notes uses.

    Args:
        store: where they are written.
        clock: the time.
        move: writes them; returns those that others are changing.
        interval: seconds between two writings.
    """

    def __init__(self, store: Store, clock: Clock, move: "Move[K]", interval: float = INTERVAL) -> None:
        self._store = store
        self._clock = clock
        self._move = move
        self._noted: dict[K, datetime] = {}
        self._writing = NowAndThen(
            "last use", self.flush, interval, "the last use of secrets or keys could not be written"
        )

    def used(self, what: K) -> None:
        """Note a use just now. Cheap, never waits, never fails."""
        if len(self._noted) < _MOST or what in self._noted:
            self._noted[what] = self._clock()

    async def flush(self) -> int:
        """Write down what was noted; return how many that were.

        What is being changed by others at this moment is noted again, for the next time.

        Raises:
            DatabaseUnavailable: the database is gone; what is not written stays noted.
        """
        noted, self._noted = self._noted, {}
        done = 0
        try:
            while noted:
                batch = dict(islice(noted.items(), BATCH))
                async with self._store.installation(writes=True) as unit:
                    left = await self._move(unit, batch)
                done += len(batch) - len(left)
                for what in batch:
                    moment = noted.pop(what)
                    if what in left:
                        self._noted.setdefault(what, moment)
        finally:
            self._noted = {**noted, **self._noted}
        return done

    async def start(self) -> None:
        """Begin to write now and then."""
        self._writing.start()

    async def close(self) -> None:
        """Write a last time and stop."""
        await self._writing.close()


class LastUse(Uses[Owned]):
    """Notes uses of secrets."""

    def __init__(self, store: Store, clock: Clock, interval: float = INTERVAL) -> None:
        super().__init__(store, clock, move_forward, interval)

    def note(self, tenant_id: str, secret_id: str) -> None:
        """Note that somebody was given a secret's credentials just now."""
        self.used(Owned(tenant_id, secret_id))


class KeyUse(Uses[str]):
    """Notes uses of API keys, by hash (`keyrack.service.identity.authentication.key_hash`)."""

    def __init__(self, store: Store, clock: Clock, interval: float = INTERVAL) -> None:
        super().__init__(store, clock, move_keys_forward, interval)
