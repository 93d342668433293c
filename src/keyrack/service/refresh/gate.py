"""How hard a provider is asked: a budget of concurrent calls, and a circuit breaker (design, refresh in detail).

Both are kept per origin (scheme, host and port) in each process. Pauses that a provider asks for with `Retry-After`
stand with the grant they were answered to, so one tenant's limit does not hold up another's.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from keyrack.errors import ProviderUnavailable

Monotonic = Callable[[], float]


class Circuit(StrEnum):
    """Whether a provider is called."""

    closed = "closed"
    open = "open"
    half_open = "half_open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The operator's choices.

    Attributes:
        concurrency: calls to one origin at a time.
        wait: seconds a call waits for its turn at most.
        failures: failures in a row that open the circuit.
        pause: seconds the circuit stays open; doubled each time the probe fails, up to `longest_pause`.
        longest_pause: seconds, or `pause` if that is longer; readers must see soon that an outage is over.
    """

    concurrency: int = 20
    wait: float = 5.0
    failures: int = 10
    pause: float = 5.0
    longest_pause: float = 10.0


_MOST = 10_000
"""Origins that are remembered, as whoever may create auth clients can name any number of them."""


@dataclass(slots=True)
class _Provider:
    slots: asyncio.Semaphore
    failures: int = 0
    pause: float = 0.0
    open_until: float = 0.0
    probing: bool = False
    running: int = 0
    users: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """A call that was let through; say how it ended."""

    _gate: "Gate"
    _provider: _Provider

    def answered(self) -> None:
        """The provider gave a sensible answer, be it a refusal."""
        self._provider.failures = 0
        self._provider.pause = 0.0
        self._provider.open_until = 0.0

    def failed(self) -> None:
        """The provider did not answer, or said that it cannot."""
        self._gate._failed(self._provider)  # noqa: SLF001 - the gate's own helper


@dataclass(slots=True)
class Gate:
    """Lets calls to providers through, or not.

    Attributes:
        limits: budget and breaker.
        monotonic: seconds that never jump.
    """

    limits: Limits
    monotonic: Monotonic
    _providers: dict[str, _Provider] = field(default_factory=dict)

    @asynccontextmanager
    async def admit(self, origin: str) -> AsyncIterator[Admission]:
        """Wait for a turn at a provider.

        Raises:
            ProviderUnavailable: the circuit is open (`meta["reason"]` is `circuit_open`), or no turn came in time
                (`busy`); nothing was sent.
        """
        provider = self._provider(origin)
        self._refuse_if_open(provider)
        provider.users += 1
        try:
            async with self._turn(provider):
                yield Admission(self, provider)
        finally:
            provider.users -= 1

    @asynccontextmanager
    async def _turn(self, provider: _Provider) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.limits.wait):
                await provider.slots.acquire()
        except TimeoutError:
            raise _unavailable("Too many calls to this provider are running.", "busy") from None
        probe = False
        try:
            self._refuse_if_open(provider)  # it may have opened while we waited
            probe = provider.open_until > 0
            provider.probing = provider.probing or probe
            provider.running += 1
            try:
                yield
            finally:
                provider.running -= 1
        finally:
            if probe:
                provider.probing = False
            provider.slots.release()

    def _provider(self, origin: str) -> _Provider:
        """Return what is known of an origin; of too many, the one that was not used for longest is forgotten."""
        provider = self._providers.pop(origin, None) or _Provider(asyncio.Semaphore(self.limits.concurrency))
        if len(self._providers) >= _MOST:
            idle = next((name for name, each in self._providers.items() if not each.users), None)
            if idle is not None:
                del self._providers[idle]
        self._providers[origin] = provider
        return provider

    def is_refusing(self, origin: str) -> bool:
        """Tell whether a call to an origin would be refused now, because its circuit is open."""
        provider = self._providers.get(origin)
        return provider is not None and self._is_refused(provider)

    def circuits(self) -> Mapping[str, tuple[Circuit, int]]:
        """Return each origin's circuit and running calls, for those who watch."""
        return {origin: (self._circuit(provider), provider.running) for origin, provider in self._providers.items()}

    def _circuit(self, provider: _Provider) -> Circuit:
        if provider.open_until == 0:
            return Circuit.closed
        return Circuit.open if self.monotonic() < provider.open_until else Circuit.half_open

    def _refuse_if_open(self, provider: _Provider) -> None:
        if self._is_refused(provider):
            raise _unavailable("The provider failed several times in a row; calls are paused.", "circuit_open")

    def _is_refused(self, provider: _Provider) -> bool:
        circuit = self._circuit(provider)
        return circuit is Circuit.open or (circuit is Circuit.half_open and provider.probing)

    def _failed(self, provider: _Provider) -> None:
        provider.failures += 1
        if provider.failures >= self.limits.failures:
            longest = max(self.limits.longest_pause, self.limits.pause)
            provider.pause = min(provider.pause * 2 or self.limits.pause, longest)
            provider.open_until = self.monotonic() + provider.pause


def _unavailable(text: str, reason: str) -> ProviderUnavailable:
    return ProviderUnavailable(text, meta={"reason": reason, "sent": False})
