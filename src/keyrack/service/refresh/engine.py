"""The only way a token is refreshed: for readers, for callers of `POST …/refresh`, for the worker and for recovery.

One refresh at a time per grant: in this process by waiting for the same task, in the installation by a lease with a
fence. No transaction is open and no pooled connection is held while a provider is called. The steps of one refresh:

1. take the lease and look again: perhaps another process has done it;
2. settle what an interrupted refresh has left;
3. wait for a turn at the provider;
4. send, with the intent written before and the answer stored after (`journal`);
5. write the outcome where the fence still holds, and wake those who wait.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from keyrack import metrics
from keyrack.clock import Clock
from keyrack.crypto.secret import Secret
from keyrack.errors import (
    DatabaseUnavailable,
    NotFound,
    NotRefreshable,
    ProviderError,
    ProviderUnavailable,
    ValidationFailed,
)
from keyrack.ids import new_id
from keyrack.model import AuthClient, AuthSecret
from keyrack.oauth.refresh_token import build_refresh_request
from keyrack.oauth.token_response import process_token_response
from keyrack.oauth.wire import RawResponse
from keyrack.service.refresh.gate import Gate
from keyrack.service.refresh.journal import Journal
from keyrack.service.refresh.outcome import Result, error_of, is_ambiguous
from keyrack.service.refresh.patience import Patience
from keyrack.service.refresh.profile import client_profile, origin_of
from keyrack.service.refresh.settling import Settling
from keyrack.store.attempts import Attempt, Attempts, Fate, Kind
from keyrack.store.auth_clients import find_usable
from keyrack.store.auth_secrets import AuthSecrets
from keyrack.store.leases import Due, Lease, LeaseLost, Leases, claim_due, lease_holders
from keyrack.store.node import is_dead, node_id
from keyrack.store.store import Store
from keyrack.store.unit import Unit
from keyrack.store.wakeups import Wakeups

_SLACK = 10.0
_LONGEST_ROUND = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things may take, in seconds.

    Attributes:
        call: one call to a provider, in all.
        wait: how long a caller waits for a refresh, its own or another's.
    """

    call: float = 10.0
    wait: float = 20.0

    @property
    def lease_ms(self) -> int:
        """A lease is longer than everything that is done under it (contract 0.12)."""
        return int((self.call + _SLACK) * 1000)


@dataclass(frozen=True, slots=True)
class Seen:
    """How a secret was when somebody decided that it must be refreshed."""

    generation: int
    failed_at: datetime | None

    @classmethod
    def of(cls, secret: AuthSecret) -> "Seen":
        """Return what is to be remembered of a secret."""
        return cls(secret.generation, secret.failed_at)


@dataclass(frozen=True, slots=True)
class _Held:
    """A lease with what is needed to use it."""

    lease: Lease
    client: AuthClient
    left_open: Sequence[Attempt]


class Refresher:
    """Refreshes auth secrets."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        settling: Settling,
        gate: Gate,
        wakeups: Wakeups,
        patience: Patience,
        timing: Timing,
        clock: Clock,
    ) -> None:
        self._store = store
        self._journal = journal
        self._settling = settling
        self._gate = gate
        self._wakeups = wakeups
        self._patience = patience
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
        task = self._running.get(secret.id) or self._start(secret.id, self._run(secret.tenant_id, secret.id, secret))
        try:
            async with asyncio.timeout(self._timing.wait):
                return await asyncio.shield(task)
        except TimeoutError:
            raise _busy("The refresh is taking too long; it goes on.") from None

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
        with suppress(ProviderError, ProviderUnavailable):
            await task
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
            await self._release(due)
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
                    if Seen.of(now) == Seen.of(seen):
                        return await self._work(held)
                    await self._release(held.lease)
                else:
                    if time.monotonic() > until:
                        raise _busy("Another process is refreshing this secret.")
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
            held = None if lease is None else await _held(unit, lease)
        if held is None:
            raise _busy("Another process has taken over the refresh.")
        return await self._work(held)

    async def _recover(self, attempt: Attempt) -> AuthSecret:
        held = await self._take(attempt.tenant_id, attempt.subject_id)
        if held is not None:
            return await self._work(held, wanted=False)
        async with self._store.unit(attempt.tenant_id) as unit:
            gone = await AuthSecrets(unit).find(attempt.subject_id) is None
        if gone:
            await self._settling.drop(attempt, Fate.superseded)
        raise _busy("Another process holds the secret.")

    async def _take(self, tenant_id: str, secret_id: str) -> _Held | None:
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
            return await _held(unit, lease)

    async def _work(self, held: _Held, *, wanted: bool = True) -> AuthSecret:
        """Use a lease; whatever happens, it ends.

        Args:
            held: the lease.
            wanted: somebody wants other tokens than those stored; else they are only asked for where an interrupted
                refresh may have used the stored ones up.
        """
        try:
            return await self._use(held, wanted=wanted)
        except DatabaseUnavailable:
            self._patience.database_is_down()
            raise
        except LeaseLost:
            raise _busy("Another process has taken over the refresh.") from None

    async def _use(self, held: _Held, *, wanted: bool) -> AuthSecret:
        landed, given_up = await self._settle_left_open(held)
        if landed is not None:
            return landed
        if wanted or given_up:
            return await self._call(held)
        await self._release(held.lease)
        return held.lease.secret

    async def _settle_left_open(self, held: _Held) -> tuple[AuthSecret | None, bool]:
        """Settle what interrupted refreshes left: take answers that landed, give up those that nobody will bring.

        Returns:
            The secret, if an answer that had landed settles this refresh too, and whether an answer was given up.

        Raises:
            ProviderUnavailable: another process may still bring the answer; the lease is given back.
        """
        given_up = False
        if any(attempt.sealed_answer is None for attempt in held.left_open):
            await self._journal.bring_in()
        for left in held.left_open:
            async with self._store.unit(left.tenant_id) as unit:
                attempt = await Attempts(unit).find(left.id) or left
                answer = await self._journal.read(unit, attempt)
            if answer is None and not self._patience.is_over(attempt.owner):
                await self._release(held.lease)
                raise _busy("An interrupted refresh is being settled.")
            if attempt.generation != held.lease.secret.generation:
                await self._settling.drop(attempt, Fate.superseded)
            elif answer is None:
                await self._settling.give_up(held.lease, attempt)
                given_up = True
            else:
                at, result = attempt.answered_at or self._clock(), _interpret(answer, held)
                return await self._settling.settle(held.lease, held.client, attempt, result, at), given_up
        return None, given_up

    async def _call(self, held: _Held) -> AuthSecret:
        """Ask the provider; once more if the answer was lost at once, since only the stored token can tell."""
        await self._refuse_if_rejected(held)
        started = time.monotonic()
        try:
            return await self._ask_and_settle(held, started)
        finally:
            metrics.refresh_took(time.monotonic() - started)

    async def _ask_and_settle(self, held: _Held, started: float) -> AuthSecret:
        attempt, result = await self._ask(held)
        soon = time.monotonic() - started < min(_LONGEST_ROUND, self._timing.call / 2)
        if soon and held.lease.secret.ambiguous_since is None and _lost(result):
            await self._settling.give_up(held.lease, attempt)
            attempt, result = await self._ask(held)
        return await self._settling.settle(held.lease, held.client, attempt, result, self._clock())

    async def _refuse_if_rejected(self, held: _Held) -> None:
        """Leave a provider alone that rejects the client, but for one explicit try now and then (contract 0.13)."""
        client = held.client
        if client.rejected_at is None or (client.probe_at is not None and client.probe_at <= self._clock()):
            return
        await self._release(held.lease)
        raise ProviderError("The provider rejects the auth client; change it first.", meta=client.rejection)

    async def _ask(self, held: _Held) -> tuple[Attempt, Result]:
        lease, client = held.lease, held.client
        attempt = Attempt(
            id=new_id(),
            tenant_id=lease.tenant_id,
            kind=Kind.refresh,
            subject_id=lease.secret_id,
            fence=lease.fence,
            generation=lease.secret.generation,
            owner=node_id(),
            started_at=self._clock(),
        )
        profile = client_profile(client, lease.secret.auth_method)
        token = Secret(lease.secret.credentials["refresh_token"])
        request = build_refresh_request(profile, token)

        async def permit(unit: Unit) -> None:
            await Leases(unit).extend(lease, self._timing.lease_ms)

        try:
            async with self._gate.admit(origin_of(request.url)) as admission:
                try:
                    answer = await self._journal.exchange(attempt, request, permit)
                    result = _interpret(answer, held)
                except ProviderUnavailable:
                    admission.failed()
                    raise
                if isinstance(result, ProviderUnavailable):
                    admission.failed()
                else:
                    admission.answered()
        except ProviderUnavailable as error:
            return attempt, error
        except ValidationFailed as error:
            return attempt, ProviderError(f"The refresh request cannot be sent: {error}")
        return attempt, result

    async def _release(self, lease: Lease | Due) -> None:
        async with self._store.unit(lease.tenant_id, writes=True) as unit:
            await Leases(unit).release(lease)


async def _held(unit: Unit, lease: Lease) -> _Held:
    client = await find_usable(unit, lease.secret.auth_client_id)
    if client is None:
        raise NotFound
    return _Held(lease, client, await Attempts(unit).open_of(lease.secret_id))


def _lost(result: Result) -> bool:
    """Tell whether a request was sent and nothing came back."""
    if not isinstance(result, ProviderUnavailable):
        return False
    return (result.meta or {}).get("status") is None and is_ambiguous(result)


def _interpret(answer: RawResponse, held: _Held) -> Result:
    secret, client = held.lease.secret.credentials, held.client.credentials
    sent = (Secret(str(secret.get("refresh_token", ""))), Secret(str(client.get("client_secret", ""))))
    try:
        return process_token_response(answer, sent=sent)
    except (ProviderError, ProviderUnavailable) as error:
        return error


def _busy(text: str) -> ProviderUnavailable:
    return ProviderUnavailable(text, meta={"reason": "busy"})
