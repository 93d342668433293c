"""Writes what became of refreshes: those of a tenant that end while others are being written go together.

An outcome that comes alone is not made to wait. While a transaction of its tenant is under way, outcomes gather, and go
into the next one; so the batches grow with what is due. Where a transaction fails, each of its outcomes is written
alone, so that one cannot keep the others from being stored.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from keyrack.clock import iso
from keyrack.errors import DatabaseUnavailable
from keyrack.model import Json
from keyrack.model.clients import AuthClient
from keyrack.model.events import EventType
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.model.secrets import AuthSecret
from keyrack.service.authz.access import FAILED
from keyrack.service.secrets.refresh.outcome import RefreshOutcome, Result, Sent, judge
from keyrack.service.secrets.refresh.schedule import Schedule
from keyrack.service.secrets.scope_events import missing_scopes_event
from keyrack.store.attempts import Attempt, AttemptKind, Attempts
from keyrack.store.audit_log import AuditLog
from keyrack.store.auth_client_health import RejectionResult
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.lease_clock import LeaseTime
from keyrack.store.leases import Lease, Leases
from keyrack.store.outbox import Outbox

WORKER = Principal(PrincipalKind.system, "", "refresh")
_TOGETHER = 32
"""Outcomes that one transaction writes at most: it keeps their secrets locked."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A request for tokens that came to its end.

    Attributes:
        lease: under which it was sent, or which took over from there.
        client: the client it was sent with.
        attempt: the journal's entry.
        result: tokens, or why there are none.
        at: when the result was there.
        came: the same as a reading of `time.monotonic`; None if it satisfies nobody.
        scheduled: the request was the background's own try.
        rejection: what became of the client, if the provider rejects it.
    """

    lease: Lease
    client: AuthClient
    attempt: Attempt
    result: Result
    at: datetime
    came: float | None
    scheduled: bool
    rejection: RejectionResult | None


@dataclass(frozen=True, slots=True)
class Written:
    """What was written of a refresh: how the secret was before, and the outcome."""

    before: AuthSecret
    outcome: RefreshOutcome


_Waiting = tuple[Ended, "asyncio.Future[Written]"]


class Settlements:
    """Writes outcomes: secret, attempt and events in one transaction, where the fence of the lease still holds."""

    def __init__(self, store: Store, schedule: Schedule, lease_time: LeaseTime) -> None:
        self._store = store
        self._schedule = schedule
        self._lease_time = lease_time
        self._waiting: dict[str, deque[_Waiting]] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def write(self, ended: Ended) -> Written:
        """Write an outcome and end its lease. Whoever is cancelled meanwhile does not stop that.

        Raises:
            LeaseLost: another process has taken over, or the secret is gone; nothing was written.
            DatabaseUnavailable: nothing was written, as far as is known; the attempt is left to recovery.
            DecryptionFailed, WrongKey, ValueError: the stored credentials are damaged; nothing was written.
        """
        tenant_id = ended.lease.tenant_id
        written: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(tenant_id)
        if waiting is None:
            waiting = self._waiting[tenant_id] = deque()
            task = asyncio.create_task(self._write_all(tenant_id, waiting))
            self._writing.add(task)
            task.add_done_callback(self._writing.discard)
        waiting.append((ended, written))
        return await written

    async def _write_all(self, tenant_id: str, waiting: deque[_Waiting]) -> None:
        """Write what waits until nothing does."""
        batch: list[_Waiting] = []
        try:
            while waiting:
                batch = [waiting.popleft() for _ in range(min(len(waiting), _TOGETHER))]
                await self._write_batch(tenant_id, batch)
        finally:
            del self._waiting[tenant_id]
            for _, written in (*batch, *waiting):  # only if we were stopped
                if not written.done():
                    written.cancel()

    async def _write_batch(self, tenant_id: str, batch: Sequence[_Waiting]) -> None:
        try:
            async with self._store.unit(tenant_id, writes=True) as unit:
                came_of_each = await self._written(unit, [ended for ended, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever waits is told
            if len(batch) > 1 and not isinstance(error, DatabaseUnavailable):
                for each in batch:
                    await self._write_batch(tenant_id, [each])
                return
            came_of_each = [error] * len(batch)
        for (_, written), came in zip(batch, came_of_each, strict=True):
            if written.done():  # nobody waits any more
                continue
            if isinstance(came, Exception):
                written.set_exception(came)
            else:
                written.set_result(came)

    async def _written(self, unit: Unit, batch: Sequence[Ended]) -> list[Written | Exception]:
        """Write several outcomes; return what was written of each, or why nothing was."""
        current = await Leases(unit).current_of([ended.lease for ended in batch], self._lease_time)
        came_of_each: list[Written | Exception] = []
        for ended, before in zip(batch, current, strict=True):
            if isinstance(before, AuthSecret):
                came_of_each.append(await self._judged(unit, ended, before))
            else:
                came_of_each.append(before)
        pairs = [(ended, came) for ended, came in zip(batch, came_of_each, strict=True) if isinstance(came, Written)]
        if pairs:
            await Leases(unit).finish([(ended.lease, written.outcome.secret) for ended, written in pairs])
            await self._close_attempts(unit, pairs)
            for _, written in pairs:
                if written.outcome.event is EventType.secret_reauthorization_required:
                    await audit_end(unit, written.outcome.secret.id)
            await Outbox(unit).add_all([event for ended, written in pairs for event in _events(ended, written)])
        return came_of_each

    async def _judged(self, unit: Unit, ended: Ended, before: AuthSecret) -> Written:
        outcome = judge(
            before,
            ended.client,
            ended.result,
            self._schedule,
            Sent(ended.attempt.started_at, ended.scheduled, ended.attempt.kind is AttemptKind.grant),
            ended.at,
            doubted=ended.rejection is RejectionResult.doubted,
        )
        secret = outcome.secret
        if ended.came is not None:
            secret = replace(secret, answered_ms=await self._lease_time.earliest(unit, ended.came))
        if ended.rejection is RejectionResult.changed:  # the client as it is now may do
            secret = replace(secret, due_at=self._schedule.retry(1, ended.at))
        return Written(before, replace(outcome, secret=secret))

    async def _close_attempts(self, unit: Unit, pairs: Sequence[tuple[Ended, Written]]) -> None:
        attempts = Attempts(unit)
        landed = [ended.attempt.id for ended, written in pairs if written.outcome.fate is None]
        if landed:
            await attempts.all_landed(landed)
        for ended, written in pairs:
            if written.outcome.fate is not None:
                await attempts.settle(ended.attempt.id, written.outcome.fate)


def _events(ended: Ended, written: Written) -> list[tuple[EventType, Json]]:
    """Return what is to be told of an outcome."""
    outcome = written.outcome
    told = [] if outcome.event is None else [(outcome.event, facts_of(outcome.secret, ended.at))]
    missing = missing_scopes_event(written.before.missing_scopes, outcome.secret, ended.at)
    return told if missing is None else [*told, missing]


async def audit_end(unit: Unit, secret_id: str) -> None:
    """Write down in the audit log that a grant has ended, which nobody asked for."""
    await AuditLog(unit).append(WORKER, "secret.end", ("auth-secret", secret_id), FAILED)


def facts_of(secret: AuthSecret, at: datetime) -> Json:
    """Return what an event says of a secret; nothing of it is secret."""
    told: Json = {
        "secret_id": secret.id,
        "workspace_id": secret.workspace_id,
        "auth_client_id": secret.auth_client_id,
        "at": iso(at),
    }
    if secret.expires_at is not None:
        told["expires_at"] = iso(secret.expires_at)
    if secret.error_code is not None:
        told["error_code"] = secret.error_code.value
    if secret.failure is not None:
        told["failure"] = {"class": secret.failure.kind, "error": secret.failure.error, "text": secret.failure.text}
    return told
