"""The only way a token is refreshed: for readers, for callers of `POST …/refresh`, for the worker and for recovery.

One refresh at a time per grant: in this process by waiting for the same task, in the installation by a lease with a
fence. No transaction is open and no pooled connection is held while a provider is called. The steps of one refresh:

1. take the lease and look again: perhaps another process has done it;
2. settle what an interrupted refresh has left;
3. wait for a turn at the provider;
4. send, with the intent written before and the answer stored after (`journal`);
5. write the outcome where the fence still holds, and wake those who wait.

Steps 2 to 5 are in `under_lease`.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from keyrack.clock import Clock
from keyrack.errors import (
    NotFound,
    NotRefreshable,
    ProviderError,
    ProviderUnavailable,
)
from keyrack.grants import AuthSecret
from keyrack.service.refresh.outcome import error_of
from keyrack.service.refresh.settling import Settling
from keyrack.service.refresh.under_lease import Held, Timing, UnderLease, busy, held_with
from keyrack.store.attempts import Attempt, Attempts, Fate
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.leases import Due, Leases, claim_due, lease_holders
from keyrack.store.node import is_dead
from keyrack.store.store import Store
from keyrack.store.wakeups import Wakeups

_SLACK = 10.0
_LONGEST_ROUND = 3.0


class Refresher:
    """Refreshes auth secrets."""

    def __init__(
        self,
        store: Store,
        under_lease: UnderLease,
        settling: Settling,
        wakeups: Wakeups,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._under_lease = under_lease
        self._settling = settling
        self._wakeups = wakeups
        self._timing = timing
        self._clock = clock
        self._running: dict[str, asyncio.Task[AuthSecret]] = {}

    @property
    def running(self) -> int:
        """How many secrets this process is refreshing."""
        return len(self._running)

    async def refresh(self, secret: AuthSecret) -> AuthSecret:
        """Refresh a secret, or wait for the refresh that is running, and return it as it is then.

        However many callers ask at once, in however many processes, the provider is asked once. A caller that goes
        away does not stop the refresh.

        Args:
            secret: as the caller saw it; if it has other tokens by now, those are returned without a call.

        Raises:
            NotRefreshable: it is not of an oauth2 type or has no refresh token.
            NotFound: it is gone.
            ProviderError: the provider refused.
            ProviderUnavailable: it gave no answer in time, or its circuit is open; or the refresh took too long.
            DatabaseUnavailable: the database is gone; the provider's answer, if there was one, is safe.
        """
        if not secret.refreshable:
            raise NotRefreshable
        fresh = secret
        for _ in range(2):  # what is running may only settle an interrupted refresh
            task = self._running.get(secret.id) or self._start(
                secret.id, self._run(secret.tenant_id, secret.id, secret)
            )
            try:
                async with asyncio.timeout(self._timing.wait):
                    fresh = await asyncio.shield(task)
            except TimeoutError:
                raise busy("The refresh is taking too long; it goes on.") from None
            if fresh.generation != secret.generation:
                break
        return fresh

    def refresh_behind(self, secret: AuthSecret) -> None:
        """Begin to refresh a secret that is due, unless that is going on; nobody waits for it."""
        if secret.refreshable and secret.id not in self._running:
            self._start(secret.id, self._run(secret.tenant_id, secret.id, secret))

    async def recover(self, attempt: Attempt) -> bool:
        """Settle an attempt to refresh that was interrupted, if its secret is free.

        Returns:
            Whether it is settled.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        if attempt.subject_id in self._running:
            return False
        task = self._start(attempt.subject_id, self._recover(attempt))
        with suppress(NotFound, ProviderError, ProviderUnavailable):
            await asyncio.shield(task)  # whoever stops recovering must not stop a request that was sent
        async with self._store.unit(attempt.tenant_id) as unit:
            return await Attempts(unit).find(attempt.id) is None

    async def drain(self, seconds: float) -> None:
        """Wait for the refreshes that are running; what is not done by then is left to whoever takes over."""
        if self._running:
            await asyncio.wait(list(self._running.values()), timeout=seconds)

    async def claim(self, limit: int) -> Sequence[Due]:
        """Take the leases of secrets that are due; pass them to `refresh_due` one by one.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        async with self._store.installation() as unit:
            dead = [holder for holder in await lease_holders(unit, self._clock()) if is_dead(holder)]
        async with self._store.installation(writes=True) as unit:
            return await claim_due(unit, self._clock(), limit, self._timing.lease_ms, dead)

    async def refresh_due(self, due: Due) -> AuthSecret | None:
        """Refresh a secret that was claimed; return it, or None if there was nothing to do.

        Raises:
            ProviderError, ProviderUnavailable, DatabaseUnavailable: as `refresh`.
        """
        if due.secret_id in self._running:
            await self._under_lease.release(due)
            return None
        return await self._start(due.secret_id, self._run_due(due))

    def _start(self, secret_id: str, work: Coroutine[Any, Any, AuthSecret]) -> "asyncio.Task[AuthSecret]":
        task = asyncio.create_task(work)
        self._running[secret_id] = task

        def ended(done: "asyncio.Task[AuthSecret]") -> None:
            if self._running.get(secret_id) is done:
                del self._running[secret_id]
            if not done.cancelled():
                done.exception()  # somebody may have waited, or nobody; it is no surprise either way

        task.add_done_callback(ended)
        return task

    async def _run(self, tenant_id: str, secret_id: str, seen: AuthSecret) -> AuthSecret:
        """Refresh once, or see another process do it."""
        until = time.monotonic() + self._timing.wait
        async with self._wakeups.waiting_for(secret_id) as waiter:
            while True:
                held = await self._take(tenant_id, secret_id)
                if held is not None:
                    now = held.lease.secret
                    # a failure that was forgiven meanwhile is no reason to wait
                    if now.generation == seen.generation and now.failed_at in (None, seen.failed_at):
                        return await self._under_lease.use(held)
                    await self._under_lease.release(held.lease)
                else:
                    if time.monotonic() > until:
                        raise busy("Another process is refreshing this secret.")
                    await waiter.wait()
                    async with self._store.unit(tenant_id) as unit:
                        found = await AuthSecrets(unit).find(secret_id)
                    if found is None:
                        raise NotFound
                    now = found
                if now.generation != seen.generation:
                    return now
                if now.failed_at != seen.failed_at and now.failure is not None:
                    raise error_of(now.failure)

    async def _run_due(self, due: Due) -> AuthSecret:
        async with self._store.unit(due.tenant_id) as unit:
            lease = await Leases(unit).read(due)
            held = None if lease is None else await held_with(unit, lease)
        if held is None:
            raise busy("Another process has taken over the refresh.")
        if not held.lease.secret.refreshable:  # it is due because its token has expired
            return await self._under_lease.expire(held.lease)
        return await self._under_lease.use(held)

    async def _recover(self, attempt: Attempt) -> AuthSecret:
        held = await self._take(attempt.tenant_id, attempt.subject_id)
        if held is not None:
            return await self._under_lease.use(held, wanted=False)
        async with self._store.unit(attempt.tenant_id) as unit:
            gone = await AuthSecrets(unit).find(attempt.subject_id) is None
        if gone:
            await self._settling.drop(attempt, Fate.superseded)
        raise busy("Another process holds the secret.")

    async def _take(self, tenant_id: str, secret_id: str) -> Held | None:
        async with self._store.unit(tenant_id, writes=True) as unit:
            leases = Leases(unit)
            lease = await leases.acquire(secret_id, self._timing.lease_ms)
            if lease is None:
                holder = await leases.holder(secret_id)
                if holder is None or not is_dead(holder):
                    return None
                lease = await leases.acquire(secret_id, self._timing.lease_ms, [holder])
                if lease is None:
                    return None
            return await held_with(unit, lease)
