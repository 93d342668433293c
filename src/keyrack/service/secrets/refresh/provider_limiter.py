"""Limits calls to a provider: a circuit breaker and a budget of concurrent calls (design, refresh).

Both are kept per origin (scheme, host and port) in each process, and both know whose call it is (invariant 7):

* The budget is divided among tenants (`keyrack.fair_share`).
* A tenant has a number of calls a minute, to all providers together.
* The circuit is each tenant's own: anybody can name a path of a provider that fails. Only when the calls of several
  tenants fail one after the other, with no good answer between them, is the provider itself in doubt. Then every tenant
  makes one call at a time, its others wait for that, and one failure opens its circuit; the first good answer to
  anybody ends the doubt.

Pauses that a provider asks for with `Retry-After` stand with the grant they were answered to.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice

from keyrack import metrics, tracing
from keyrack.errors import ProviderFailure, ProviderUnavailable
from keyrack.fair_share import FairSlots, Places
from keyrack.token_buckets import TokenBuckets

Monotonic = Callable[[], float]

_SEVERAL = 3
"""Tenants whose calls must fail before the provider is in doubt for all."""

_MOST_FAILING = 200
"""Failing origins remembered for one tenant, since whoever may create auth clients can name any number of them."""


class Circuit(StrEnum):
    """Whether a provider is called."""

    closed = "closed"
    """For every tenant."""
    half_open = "half_open"
    """Not for some tenants; or for those only that try whether it works again."""
    open = "open"
    """The calls of several tenants fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderLimits:
    """The operator's choices.

    Attributes:
        concurrency: calls to one origin at a time.
        wait: seconds a call waits for its turn at most.
        failures: a tenant's failures in a row that open its circuit.
        pause: seconds the circuit stays open; doubled each time the probe fails, up to `longest_pause`.
        longest_pause: seconds, or `pause` if that is longer; readers must see soon that an outage is over.
        tenant_calls: calls a minute for one tenant, to all providers together; 0: no limit.
    """

    concurrency: int = 20
    wait: float = 5.0
    failures: int = 10
    pause: float = 5.0
    longest_pause: float = 10.0
    tenant_calls: int = 0


@dataclass(slots=True)
class _Standing:
    """How a tenant stands with an origin."""

    failures: int = 0
    pause: float = 0.0
    open_until: float = 0.0
    running: int = 0
    """Calls that were let through, or are about to be."""
    users: int = 0


@dataclass(slots=True)
class _Origin:
    slots: FairSlots
    standings: dict[str, _Standing] = field(default_factory=dict)
    failing: OrderedDict[str, float] = field(default_factory=OrderedDict)
    """Tenants whose circuit is not closed, with the time of their last failure, the latest last."""
    answered_at: float = float("-inf")
    running: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, when a call ends: whoever waits for that looks again."""

    def call_ended(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that was let through; say how it ended."""

    _limiter: "ProviderLimiter"
    _tenant_id: str
    _origin: str
    _free: ExitStack

    def call_over(self) -> None:
        """The call is over: another may begin in its place while what came of it is still being stored and judged."""
        self._free.close()

    def answered(self) -> None:
        """The provider gave a sensible answer, be it a refusal."""
        self._limiter._answered(self._tenant_id, self._origin)  # noqa: SLF001 - the limiter's own helper

    def failed(self) -> None:
        """The provider did not answer, or said that it cannot."""
        self._limiter._failed(self._tenant_id, self._origin)  # noqa: SLF001 - the limiter's own helper


@dataclass(slots=True)
class ProviderLimiter:
    """Lets calls to providers through, or not.

    Attributes:
        limits: budget and breaker.
        monotonic: seconds that never jump.
    """

    limits: ProviderLimits
    monotonic: Monotonic
    _origins: dict[str, _Origin] = field(default_factory=dict)
    _failing_origins: dict[str, OrderedDict[str, None]] = field(default_factory=dict)
    _calls: TokenBuckets = field(init=False)

    def __post_init__(self) -> None:
        """Begin to count the calls of tenants."""
        self._calls = TokenBuckets(self.limits.tenant_calls, self.monotonic)

    def limit_calls(self, places: Places) -> None:
        """Let tenants take no more places than they may make calls now."""
        if self.limits.tenant_calls:
            left = {str(tenant_id): left for tenant_id, left in self._calls.scarce(places.most).items()}
            places.limit(left, min(self.limits.tenant_calls, places.most))

    @asynccontextmanager
    async def admit(self, tenant_id: str, origin: str) -> AsyncIterator[Admission]:
        """Wait for a turn at a provider.

        Args:
            tenant_id: for whom it is called.
            origin: scheme, host and port.

        Raises:
            ProviderUnavailable: the tenant's circuit is open (`failure.reason` is `circuit_open`), no turn came in
                time (`busy`), or the tenant has made as many calls as it may (`quota`); nothing was sent.
        """
        await self._call_of(tenant_id)
        provider = self._origins.setdefault(origin, _Origin(FairSlots(self.limits.concurrency)))
        standing = provider.standings.setdefault(tenant_id, _Standing())
        standing.users += 1
        try:
            async with self._turn(tenant_id, provider, standing) as free:
                yield Admission(self, tenant_id, origin, free)
        finally:
            standing.users -= 1
            self._forget_if_idle(tenant_id, origin)

    async def _call_of(self, tenant_id: str) -> None:
        """Take one of a tenant's calls, waiting for it a little."""
        waited = 0.0
        while wait := self._calls.take(tenant_id):
            if waited + wait > self.limits.wait:
                metrics.quota_exceeded("refreshes")
                raise _unavailable(
                    "The tenant has made as many calls to providers in a minute as it may (KEYRACK_QUOTA_REFRESHES).",
                    "quota",
                )
            waited += wait
            await asyncio.sleep(wait)

    def is_refusing(self, tenant_id: str, origin: str) -> bool:
        """Tell whether a tenant's call to an origin would be refused now, because its circuit is open."""
        provider = self._origins.get(origin)
        standing = None if provider is None else provider.standings.get(tenant_id)
        return standing is not None and self._is_refused(standing, standing.running)

    def circuits(self) -> Mapping[str, tuple[Circuit, int]]:
        """Return the circuit and the running calls of each origin that is called or fails, for those who watch."""
        return {origin: (self._circuit(provider), provider.running) for origin, provider in self._origins.items()}

    @asynccontextmanager
    async def _turn(self, tenant_id: str, provider: _Origin, standing: _Standing) -> AsyncIterator[ExitStack]:
        """Wait for a turn; hand over what gives its place back, which happens at the end of the block at the latest."""
        with ExitStack() as turn, ExitStack() as place:
            try:
                with tracing.span("wait for a turn at the provider"):
                    async with asyncio.timeout(self.limits.wait):
                        await self._let_through(provider, standing)
                        turn.callback(self._call_ended, provider, standing)
                        await provider.slots.take(tenant_id)
                        provider.running += 1
                        place.callback(self._give_back, provider, tenant_id)
            except TimeoutError:
                raise _unavailable("Too many calls to this provider are running.", "busy") from None
            self._refuse_if_open(standing, calls=standing.running - 1)  # it may have opened while we waited
            yield place

    @staticmethod
    def _give_back(provider: _Origin, tenant_id: str) -> None:
        provider.running -= 1
        provider.slots.give_back(tenant_id)

    async def _let_through(self, provider: _Origin, standing: _Standing) -> None:
        """Count a call among those that run; in doubt, wait for the one that does."""
        self._refuse_if_open(standing, calls=standing.running)
        while standing.running and self._in_doubt(provider):
            await provider.changed.wait()
            self._refuse_if_open(standing, calls=standing.running)
        standing.running += 1

    @staticmethod
    def _call_ended(provider: _Origin, standing: _Standing) -> None:
        standing.running -= 1
        provider.call_ended()

    def _circuit(self, provider: _Origin) -> Circuit:
        if self._in_doubt(provider):
            return Circuit.open
        return Circuit.half_open if provider.failing else Circuit.closed

    @staticmethod
    def _in_doubt(provider: _Origin) -> bool:
        """Tell whether the calls of several tenants have failed since the last good answer."""
        latest = list(islice(reversed(provider.failing.values()), _SEVERAL))
        return len(latest) == _SEVERAL and latest[-1] > provider.answered_at

    def _refuse_if_open(self, standing: _Standing, *, calls: int) -> None:
        """Refuse while the tenant's circuit is open; after that, let one call through at a time.

        Args:
            standing: the tenant's.
            calls: how many others of its calls run.
        """
        if self._is_refused(standing, calls):
            raise _unavailable("The provider failed several times in a row; calls are paused.", "circuit_open")

    def _is_refused(self, standing: _Standing, calls: int) -> bool:
        return self.monotonic() < standing.open_until or (standing.open_until > 0 and calls > 0)

    def _answered(self, tenant_id: str, origin: str) -> None:
        provider = self._origins[origin]
        provider.answered_at = self.monotonic()
        standing = provider.standings[tenant_id]
        standing.failures, standing.pause, standing.open_until = 0, 0.0, 0.0
        provider.failing.pop(tenant_id, None)
        provider.call_ended()  # whoever waits because of a doubt need not any more
        if origins := self._failing_origins.get(tenant_id):
            origins.pop(origin, None)

    def _failed(self, tenant_id: str, origin: str) -> None:
        provider = self._origins[origin]
        standing = provider.standings[tenant_id]
        standing.failures += 1
        self._remember_failing(tenant_id, origin)
        if standing.failures < (1 if self._in_doubt(provider) else self.limits.failures):
            return
        now = self.monotonic()
        longest = max(self.limits.longest_pause, self.limits.pause)
        standing.pause = min(standing.pause * 2 or self.limits.pause, longest)
        standing.open_until = now + standing.pause
        provider.failing[tenant_id] = now
        provider.failing.move_to_end(tenant_id)

    def _remember_failing(self, tenant_id: str, origin: str) -> None:
        """Note that a tenant's calls to an origin fail; of too many, the one that failed first is forgotten."""
        origins = self._failing_origins.setdefault(tenant_id, OrderedDict())
        origins[origin] = None
        origins.move_to_end(origin)
        if len(origins) > _MOST_FAILING:
            oldest, _ = origins.popitem(last=False)
            provider = self._origins[oldest]
            provider.failing.pop(tenant_id, None)
            standing = provider.standings[tenant_id]
            standing.failures, standing.pause, standing.open_until = 0, 0.0, 0.0
            self._forget_if_idle(tenant_id, oldest)

    def _forget_if_idle(self, tenant_id: str, origin: str) -> None:
        provider = self._origins[origin]
        standing = provider.standings[tenant_id]
        if standing.users or standing.failures:
            return
        del provider.standings[tenant_id]
        if not self._failing_origins.get(tenant_id, True):
            del self._failing_origins[tenant_id]
        if not provider.standings:
            del self._origins[origin]


def _unavailable(text: str, reason: str) -> ProviderUnavailable:
    return ProviderUnavailable(text, ProviderFailure(reason=reason, sent=False))
