"""Divides a bounded number of places among tenants, so that none can take them all (invariant 7).

The rule: whoever holds places may take one more only while more than a third as many stay free. Alone, a tenant gets
three quarters of all; the rest is there for whoever comes next, of which the same is true. What failed or hung lately
goes into a slow lane, which holds a quarter of the places whoever it belongs to, and is divided in the same way.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

_RESERVE = 3
_SLOW_LANE = 4

asking_for: ContextVar[str] = ContextVar("asking_for", default="")
"""Whose request this task serves: a tenant's, a service account's, or, before that is known, that of whoever has the
credentials it came with. Empty: nobody's, as in a worker."""


@contextmanager
def asked_by(holder: str) -> Iterator[None]:
    """Note whose request is served in a block; `asking_for.set` may say it better inside of it."""
    token = asking_for.set(holder)
    try:
        yield
    finally:
        asking_for.reset(token)


class Places:
    """Counts places and who holds them.

    Args:
        most: how many there are.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._slow_most = max(1, most // _SLOW_LANE)
        self._held: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        self._more: dict[str, int] = {}
        self._usual: int | None = None

    @property
    def free(self) -> int:
        """How many nobody holds."""
        return self.most - self._held.total()

    @property
    def slow_lane_full(self) -> bool:
        """Whether nothing more that failed or hung lately may have a place."""
        return self._slow.total() >= self._slow_most

    @property
    def full(self) -> frozenset[str]:
        """The tenants that hold so many that they may take no more now."""
        return frozenset(tenant_id for tenant_id in {*self._held, *self._more} if not self.may_take(tenant_id))

    @property
    def slow_full(self) -> frozenset[str]:
        """The tenants that hold so much of the slow lane that they may take no more of it now."""
        return frozenset(tenant_id for tenant_id in self._slow if not self._may_be_slow(tenant_id))

    def held(self, tenant_id: str) -> int:
        """Return how many a tenant holds."""
        return self._held[tenant_id]

    def may_take(self, tenant_id: str, *, slow: bool = False) -> bool:
        """Tell whether a tenant may take one more.

        Args:
            tenant_id: whose it would be; empty for the installation.
            slow: it is for something that failed or hung lately.
        """
        if not self._has_more(tenant_id) or (slow and not self._may_be_slow(tenant_id)):
            return False
        return self.free * _RESERVE > self._held[tenant_id]

    def _has_more(self, tenant_id: str) -> bool:
        return self._usual is None or self._more.get(tenant_id, self._usual) > 0

    def _may_be_slow(self, tenant_id: str) -> bool:
        return (self._slow_most - self._slow.total()) * _RESERVE > self._slow[tenant_id]

    def take(self, tenant_id: str, *, slow: bool = False) -> bool:
        """Take one if that is allowed, see `may_take`; return whether it was."""
        if not self.may_take(tenant_id, slow=slow):
            return False
        self.hold(tenant_id, slow=slow)
        return True

    def hold(self, tenant_id: str, *, slow: bool = False) -> None:
        """Take one that was planned with a copy, and so is there."""
        self._held[tenant_id] += 1
        if self._usual is not None:
            self._more[tenant_id] = self._more.get(tenant_id, self._usual) - 1
        if slow:
            self._slow[tenant_id] += 1

    def limit(self, more: Mapping[str, int], usual: int) -> None:
        """Let tenants take no more than so many from now on, whatever is free; what they give back does not count.

        Args:
            more: for some.
            usual: for the others.
        """
        self._more, self._usual = dict(more), usual

    def give_back(self, tenant_id: str, *, slow: bool = False) -> None:
        """Give one back that `take` gave, with the same arguments."""
        self._held[tenant_id] -= 1
        if not self._held[tenant_id]:
            del self._held[tenant_id]
        if slow:
            self._slow[tenant_id] -= 1
            if not self._slow[tenant_id]:
                del self._slow[tenant_id]

    def copy(self) -> "Places":
        """Return the same, to plan with."""
        other = Places(self.most)
        other._held, other._slow = self._held.copy(), self._slow.copy()
        other._more, other._usual = self._more.copy(), self._usual
        return other


class FairSlots:
    """Places that are waited for: a free one goes to the waiting tenant that holds fewest.

    Args:
        most: how many there are.
    """

    def __init__(self, most: int) -> None:
        self._places = Places(most)
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def idle(self) -> bool:
        """Whether nobody holds or awaits a place."""
        return not self._waiting and self._places.free == self._places.most

    @property
    def held(self) -> int:
        """How many places somebody holds."""
        return self._places.most - self._places.free

    @property
    def awaited(self) -> bool:
        """Whether somebody waits for a place."""
        return bool(self._waiting)

    @asynccontextmanager
    async def place(self, tenant_id: str) -> AsyncIterator[None]:
        """Hold a place for the length of a block; wait for it as long as it takes.

        Args:
            tenant_id: whose it is; empty for the installation.
        """
        await self.take(tenant_id)
        try:
            yield
        finally:
            self.give_back(tenant_id)

    async def take_within(self, tenant_id: str, seconds: float) -> None:
        """Take a place, as `take`, but wait for it no longer than this.

        Raises:
            TimeoutError: there was none in time.
        """
        if tenant_id not in self._waiting and self._places.take(tenant_id):
            return
        async with asyncio.timeout(seconds):
            await self.take(tenant_id)

    async def take(self, tenant_id: str) -> None:
        """Take a place, which `give_back` gives back; wait for it as long as it takes.

        Args:
            tenant_id: whose it is; empty for the installation.
        """
        if tenant_id not in self._waiting and self._places.take(tenant_id):
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # the place came in the moment in which nobody wanted it any more
                self.give_back(tenant_id)
            else:
                self._leave(tenant_id, turn)
            raise

    def give_back(self, tenant_id: str) -> None:
        """Give a place back, with the argument of `take`."""
        self._places.give_back(tenant_id)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting and self._places.free:
            # Of those that hold equally many, the one whose last turn is longest ago.
            tenant_id = min(self._waiting, key=self._places.held)
            if not self._places.may_take(tenant_id):
                return  # who holds fewest may not: nobody may
            turn = self._waiting[tenant_id].popleft()
            self._waiting.move_to_end(tenant_id)
            if not self._waiting[tenant_id]:
                del self._waiting[tenant_id]
            if not turn.cancelled():
                self._places.hold(tenant_id)
                turn.set_result(None)

    def _leave(self, tenant_id: str, turn: "asyncio.Future[None]") -> None:
        queue = self._waiting.get(tenant_id, deque())
        if turn in queue:  # else it was passed over when its turn came
            queue.remove(turn)
            if not queue:
                del self._waiting[tenant_id]
        self._hand_out()
