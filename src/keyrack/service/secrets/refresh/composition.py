"""Puts the refresh engine together."""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from keyrack.clock import Clock
from keyrack.errors import DatabaseUnavailable
from keyrack.provider.client import ProviderClient
from keyrack.service.clients.secret_swap import SecretSwaps
from keyrack.service.secrets.refresh.abandonment import Abandonment
from keyrack.service.secrets.refresh.finalizer import Finalizer, Orphaned
from keyrack.service.secrets.refresh.journal import Journal
from keyrack.service.secrets.refresh.leased_refresh import LeasedRefresh, Timing
from keyrack.service.secrets.refresh.provider_limiter import ProviderLimiter, ProviderLimits
from keyrack.service.secrets.refresh.recovery import Recovery
from keyrack.service.secrets.refresh.refresh_by_hand import FreshTokens
from keyrack.service.secrets.refresh.refresh_counter import RefreshCounter
from keyrack.service.secrets.refresh.refresher import Refresher
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.refresh.secret_choice import SecretChoice
from keyrack.service.secrets.refresh.settlements import Settlements
from keyrack.store.attempts import AttemptKind
from keyrack.store.core.listening import Listener
from keyrack.store.core.store import Store
from keyrack.store.lease_clock import LeaseTime
from keyrack.store.spool import Spool
from keyrack.store.wakeups import Wakeups


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSettings:
    """What an operator can choose about refreshing."""

    schedule: Schedule = field(default_factory=Schedule)
    limits: ProviderLimits = field(default_factory=ProviderLimits)
    timing: Timing = field(default_factory=Timing)
    grace: float = 30.0
    """Seconds in which another process may still bring in an answer (`Abandonment`)."""
    old_secret_kept: timedelta = timedelta(days=1)
    """How long the old secret of a client is kept beside the new one."""


@dataclass(frozen=True, slots=True)
class RefreshParts:
    """The parts that others use."""

    settings: RefreshSettings
    limiter: ProviderLimiter
    journal: Journal
    refresher: Refresher
    fresh: FreshTokens
    recovery: Recovery
    counter: RefreshCounter
    listener: Listener
    swaps: SecretSwaps

    async def start(self) -> None:
        """Begin to listen, to count and to recover."""
        await self.listener.start()
        await self.counter.start()
        await self.recovery.start()

    async def close(self) -> None:
        """Begin nothing more, finish the refreshes that are running, and store what could not be stored before."""
        await self.recovery.close()
        await self.refresher.drain(self.settings.timing.lease_ms / 1000)
        with suppress(DatabaseUnavailable):
            await self.journal.bring_in()
        await self.counter.close()
        await self.listener.close()


def build_refreshing(
    store: Store,
    provider: ProviderClient,
    spool: Spool,
    listener: Listener,
    settings: RefreshSettings,
    orphaned: Orphaned,
    clock: Clock,
) -> RefreshParts:
    """Put the refresh engine together."""
    wakeups = Wakeups(listener)
    abandonment = Abandonment(settings.grace, time.monotonic)
    limiter = ProviderLimiter(settings.limits, time.monotonic)
    journal = Journal(store, provider, spool, clock)
    lease_time = LeaseTime()
    settlements = Settlements(store, settings.schedule, lease_time)
    counter = RefreshCounter(store, clock)
    finalizer = Finalizer(store, settlements, settings.schedule, orphaned, counter, clock)
    swaps = SecretSwaps(store, settings.schedule.lead, settings.old_secret_kept)
    choice = SecretChoice(store, swaps)
    leased_refresh = LeasedRefresh(store, journal, finalizer, limiter, abandonment, choice, settings.timing, clock)
    refresher = Refresher(store, leased_refresh, finalizer, wakeups, settings.timing, clock, lease_time)
    settlers = {AttemptKind.refresh: refresher.recover, AttemptKind.grant: refresher.recover}
    return RefreshParts(
        settings=settings,
        limiter=limiter,
        journal=journal,
        refresher=refresher,
        fresh=FreshTokens(store, refresher, limiter, settings.schedule, clock),
        recovery=Recovery(store, journal, abandonment, settlers),
        counter=counter,
        listener=listener,
        swaps=swaps,
    )
