"""Refreshes tokens for readers, `POST …/refresh`, the worker and recovery. Nothing else does.

One refresh at a time per grant: in this process by waiting for the same task, in the installation by a lease with a
fence. No transaction is open and no pooled connection is held while a provider is called. The steps of one refresh:

1. take the lease and look again: perhaps another process has done it;
2. settle what an interrupted refresh has left;
3. wait for a turn at the provider;
4. send, with the intent written before and the answer stored after (`journal`);
5. write the outcome where the fence still holds, and wake those who wait.

Steps 2 to 5 are in `leased_refresh`.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from keyrack import metrics, tracing
from keyrack.clock import Clock, epoch_ms
from keyrack.crypto.envelope import DecryptionFailed
from keyrack.errors import (
    KeyServiceUnavailable,
    NotFound,
    NotRefreshable,
    ProviderError,
    ProviderUnavailable,
    WrongKey,
)
from keyrack.fair_share import Places
from keyrack.model.secrets import AuthSecret
from keyrack.service.secrets.refresh.awaiting_cutover import require_cut_over
from keyrack.service.secrets.refresh.finalizer import Finalizer
from keyrack.service.secrets.refresh.lease_wait import lease_wait
from keyrack.service.secrets.refresh.leased_refresh import (
    BUSY,
    LeasedRefresh,
    LeasedSecret,
    Timing,
    busy,
    claimed_with,
    leased_with,
)
from keyrack.service.secrets.refresh.outcome import error_of
from keyrack.service.secrets.refresh.running_refresh import RunningRefresh
from keyrack.service.secrets.refresh.secret_choice import SecretTrial
from keyrack.store.attempts import Attempt, AttemptResult, Attempts
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.core.process_id import is_dead
from keyrack.store.core.store import Store
from keyrack.store.lease_clock import LeaseTime
from keyrack.store.leases import Due, Leases, claim_due, lease_holders
from keyrack.store.wakeups import Wakeups


@dataclass(frozen=True, slots=True)
class Claimed:
    """A secret that is due and was leased.

    Attributes:
        due: the secret.
        held: what is needed to refresh it; None if that could not be loaded together with the tenant's others.
    """

    due: Due
    held: LeasedSecret | None


class Refresher:
    """Refreshes auth secrets."""

    def __init__(
        self,
        store: Store,
        leased_refresh: LeasedRefresh,
        finalizer: Finalizer,
        wakeups: Wakeups,
        timing: Timing,
        clock: Clock,
        lease_time: LeaseTime,
    ) -> None:
        self._store = store
        self._leased_refresh = leased_refresh
        self._finalizer = finalizer
        self._wakeups = wakeups
        self._timing = timing
        self._clock = clock
        self._lease_time = lease_time
        self._running: dict[str, RunningRefresh] = {}

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
            StateConflict: it awaits its cutover.
            NotFound: it is gone.
            ProviderError: the provider refused.
            ProviderUnavailable: it gave no answer in time, or its circuit is open; or the refresh took too long.
            DatabaseUnavailable: the database is gone; the provider's answer, if there was one, is safe.
        """
        if not secret.refreshable:
            raise NotRefreshable
        require_cut_over(secret)
        fresh = secret
        for _ in range(2):  # what is running may only settle an interrupted refresh
            joined = self._running.get(secret.id)
            running = joined or self._start_run(secret, "reader")
            fresh = await running.result(self._timing.wait, joined=joined is not None)
            if _is_better(fresh, secret):
                break
        return fresh

    async def refresh_again(self, secret: AuthSecret, arrived: float) -> AuthSecret:
        """Refresh a secret whatever its expiry says, unless a provider has answered since that was asked for.

        Whoever caused a refresh, here or in another process: what came of it after `arrived` is the result for all who
        had asked by then, a refusal as well as tokens (contract 0.20).

        Args:
            secret: as the caller saw it.
            arrived: when the refresh was asked for, a reading of this process's `time.monotonic`.

        Returns:
            The secret as it is now.

        Raises:
            As `refresh`.
        """
        seen, until = secret, time.monotonic() + self._timing.wait
        while True:
            if not seen.refreshable:
                raise NotRefreshable
            require_cut_over(seen)
            joined = self._running.get(secret.id)
            running = joined or self._start(secret.tenant_id, secret.id, "request", self._run_again(seen, arrived))
            failed: ProviderError | ProviderUnavailable | None = None
            try:
                await running.result(until - time.monotonic(), joined=joined is not None)
            except (ProviderError, ProviderUnavailable) as error:
                if running.began >= arrived and not _is_busy(error):
                    raise
                failed = error
            now, answered = await self._since(secret.tenant_id, secret.id, arrived)
            if answered:
                return _outcome(now)
            same_grant = now.grant_generation == seen.grant_generation  # else it was cut off by another refresh token
            if failed is not None and ((running.began >= arrived and same_grant) or time.monotonic() >= until):
                raise failed
            if failed is None and joined is None:
                return now
            seen = now

    def refresh_behind(self, secret: AuthSecret) -> None:
        """Begin to refresh a secret that is due, unless that is going on; nobody waits for it."""
        if secret.may_be_renewed and secret.id not in self._running:
            self._start_run(secret, "behind a read")

    async def try_secret(self, tenant_id: str, secret_id: str, trial: SecretTrial) -> None:
        """Refresh a connection with its client's new secret; `trial` is told what came of that.

        What the provider answers is kept as of every refresh, and where it refuses the new secret, the grant is
        refreshed with the one in use. Nothing is tried while somebody else refreshes the connection.

        Raises:
            DatabaseUnavailable: the database is gone; the provider's answer, if there was one, is safe.
        """
        if secret_id in self._running:
            return
        running = self._start(tenant_id, secret_id, "rotation", self._run_trial(tenant_id, secret_id, trial))
        with suppress(NotFound, ProviderError, ProviderUnavailable):
            await asyncio.shield(running.task)

    async def recover(self, attempt: Attempt) -> bool:
        """Settle an attempt to refresh that was interrupted, if its secret is free.

        Returns:
            Whether it is settled.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        if attempt.subject_id in self._running:
            return False
        recovering = self._start(attempt.tenant_id, attempt.subject_id, "recovery", self._recover(attempt))
        with suppress(NotFound, ProviderError, ProviderUnavailable):
            await asyncio.shield(recovering.task)  # whoever stops recovering must not stop a request that was sent
        async with self._store.unit(attempt.tenant_id) as unit:
            return await Attempts(unit).find(attempt.id) is None

    async def drain(self, seconds: float) -> None:
        """Wait for the refreshes that are running; what is not done by then is left to whoever takes over."""
        if self._running:
            await asyncio.wait([running.task for running in self._running.values()], timeout=seconds)

    async def claim(self, places: Places) -> Sequence[Claimed]:
        """Take the leases of secrets that are due, of each tenant no more than its share, and than it may call.

        Args:
            places: how many can be refreshed, and who holds how many; what is claimed takes its places there.

        Returns:
            What was claimed; pass each to `refresh_due`.

        Raises:
            DatabaseUnavailable: the database is gone.
        """
        self._leased_refresh.limit_calls(places)
        async with self._store.installation() as unit:
            dead = [holder for holder in await lease_holders(unit, self._clock()) if is_dead(holder)]
        async with self._store.installation(writes=True) as unit:
            dues = await claim_due(unit, self._clock(), places, self._timing.lease_ms, dead)
        of_tenants: dict[str, list[Due]] = {}
        for due in dues:
            of_tenants.setdefault(due.tenant_id, []).append(due)
        held: dict[str, LeasedSecret] = {}
        async with self._store.installation() as unit:
            for tenant_id, theirs in of_tenants.items():
                # the damaged one, and one without its key service, fails when it is loaded alone
                with suppress(DecryptionFailed, KeyServiceUnavailable, WrongKey, ValueError):
                    held |= await claimed_with(unit.of_tenant(tenant_id), theirs)
        return [Claimed(due, held.get(due.secret_id)) for due in dues]

    async def refresh_due(self, claimed: Claimed) -> AuthSecret | None:
        """Refresh a secret that was claimed; return it, or None if there was nothing to do.

        Raises:
            ProviderError, ProviderUnavailable, DatabaseUnavailable: as `refresh`.
        """
        secret_id = claimed.due.secret_id
        if secret_id in self._running:
            await self._leased_refresh.release(claimed.due)
            return None
        return await self._start(claimed.due.tenant_id, secret_id, "worker", self._run_claimed(claimed)).task

    def _start_run(self, secret: AuthSecret, trigger: str) -> RunningRefresh:
        return self._start(secret.tenant_id, secret.id, trigger, self._run(secret.tenant_id, secret.id, secret))

    def _start(
        self, tenant_id: str, secret_id: str, trigger: str, work: Coroutine[Any, Any, AuthSecret]
    ) -> RunningRefresh:
        """Begin a refresh in a task of its own, in the trace of whoever causes it."""
        told = {tracing.TENANT: tenant_id, tracing.SECRET: secret_id, "keyrack.refresh.trigger": trigger}
        span = tracing.span("refresh", told)
        running = RunningRefresh(asyncio.create_task(span.during(work)), time.monotonic(), span)
        self._running[secret_id] = running

        def ended(done: "asyncio.Task[AuthSecret]") -> None:
            if self._running.get(secret_id) is running:
                del self._running[secret_id]
            if not done.cancelled():
                done.exception()  # somebody may have waited, or nobody; it is no surprise either way

        running.task.add_done_callback(ended)
        return running

    async def _run(self, tenant_id: str, secret_id: str, seen: AuthSecret) -> AuthSecret:
        """Refresh once, or see another process do it."""
        until = time.monotonic() + self._timing.wait
        async with lease_wait(self._wakeups, secret_id) as waiting:
            while True:
                held = await self._take(tenant_id, secret_id)
                if held is not None:
                    waiting.over()
                    now = held.lease.secret
                    # a failure that was forgiven meanwhile is no reason to wait
                    if not _is_better(now, seen) and now.failed_at in (None, seen.failed_at):
                        return await self._leased_refresh.use(held)
                    await self._leased_refresh.release(held.lease)
                else:
                    if time.monotonic() > until:
                        raise busy("Another process is refreshing this secret.")
                    await waiting.wait()
                    async with self._store.unit(tenant_id) as unit:
                        found = await AuthSecrets(unit).find(secret_id)
                    if found is None:
                        raise NotFound
                    now = found
                if _is_better(now, seen):
                    return now
                if now.failed_at != seen.failed_at and now.failure is not None:
                    raise error_of(now.failure)

    async def _run_trial(self, tenant_id: str, secret_id: str, trial: SecretTrial) -> AuthSecret:
        held = await self._take(tenant_id, secret_id)
        if held is None:
            raise busy("Another process is refreshing this secret.")
        return await self._leased_refresh.use(held, wanted=held.lease.secret.refreshable, trial=trial)

    async def _run_again(self, seen: AuthSecret, arrived: float) -> AuthSecret:
        """Refresh once, or see another process do it; what came before somebody asked does not count."""
        until = time.monotonic() + self._timing.wait
        async with lease_wait(self._wakeups, seen.id) as waiting:
            while True:
                held = await self._take(seen.tenant_id, seen.id)
                now, answered = await self._since(seen.tenant_id, seen.id, arrived)
                if answered:
                    if held is not None:
                        await self._leased_refresh.release(held.lease)
                    return _outcome(now)
                if held is not None:
                    waiting.over()
                    fresh = await self._leased_refresh.use(held)
                    if fresh.answered_ms != held.lease.secret.answered_ms:
                        return fresh
                    continue  # that only settled what an interrupted refresh had left
                if time.monotonic() > until:
                    raise busy("Another process is refreshing this secret.")
                await waiting.wait()

    async def _since(self, tenant_id: str, secret_id: str, arrived: float) -> tuple[AuthSecret, bool]:
        """Return a secret as it is now, and whether a request for its tokens has come to its end since a moment."""
        async with self._store.unit(tenant_id) as unit:
            found = await AuthSecrets(unit).find(secret_id)
            if found is None:
                raise NotFound
            return found, await self._lease_time.is_before(unit, arrived, found.answered_ms)

    async def _run_claimed(self, claimed: Claimed) -> AuthSecret:
        held, due = claimed.held, claimed.due
        if held is None:
            async with self._store.unit(due.tenant_id) as unit:
                held = (await claimed_with(unit, [due])).get(due.secret_id)
        if held is None:
            raise busy("Another process has taken over the refresh, or the secret is gone.")
        if (due_at := held.lease.secret.due_at) is not None:
            metrics.refresh_began((epoch_ms(self._clock()) - epoch_ms(due_at)) / 1000)
        if not held.lease.secret.refreshable:  # it is due because its token has expired
            return await self._leased_refresh.expire(held.lease)
        return await self._leased_refresh.use(held, scheduled=True)

    async def _recover(self, attempt: Attempt) -> AuthSecret:
        held = await self._take(attempt.tenant_id, attempt.subject_id)
        if held is not None:
            return await self._leased_refresh.use(held, wanted=False)
        async with self._store.unit(attempt.tenant_id) as unit:
            gone = await AuthSecrets(unit).find(attempt.subject_id) is None
        if gone:
            await self._finalizer.drop(attempt, AttemptResult.superseded)
        raise busy("Another process holds the secret.")

    async def _take(self, tenant_id: str, secret_id: str) -> LeasedSecret | None:
        with tracing.span("take the lease"):
            return await self._leased(tenant_id, secret_id)

    async def _leased(self, tenant_id: str, secret_id: str) -> LeasedSecret | None:
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
            return await leased_with(unit, lease)


def _is_busy(error: ProviderError | ProviderUnavailable) -> bool:
    return error.failure.reason == BUSY


def _outcome(secret: AuthSecret) -> AuthSecret:
    """Return a secret after a request for its tokens, or raise why that brought none."""
    if secret.failure is not None:
        raise error_of(secret.failure)
    return secret


def _is_better(now: AuthSecret, seen: AuthSecret) -> bool:
    """Tell whether a secret has what a reader of an expired token waits for.

    That is another access token, an answer of the provider, or a longer life that somebody set; any other change leaves
    him waiting.
    """
    if now.grant_generation != seen.grant_generation:
        return True
    if now.credentials.get("access_token") != seen.credentials.get("access_token"):
        return True
    return now.expires_at is not None and seen.expires_at is not None and now.expires_at > seen.expires_at
