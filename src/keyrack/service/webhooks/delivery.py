"""Delivers events to webhooks: at least once, with back-off, by any number of workers (Standard Webhooks).

A delivery is claimed in one transaction and settled in another; none is open while the receiver is being called. A
worker that dies in between leaves a delivery that is due again when its lease ends, and that goes out with the same
`webhook-id`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import structlog

from keyrack import metrics
from keyrack.errors import ProviderUnavailable, ValidationFailed
from keyrack.fair_share import Places
from keyrack.model.events import Webhook
from keyrack.model.identity import Principal, PrincipalKind
from keyrack.oauth.retry_after import retry_after
from keyrack.provider.client import ProviderClient
from keyrack.provider.outgoing import JsonPost
from keyrack.service.authz.access import ALLOWED
from keyrack.service.jobs.backoff import BackOff
from keyrack.service.jobs.claimed_jobs import ClaimedJobs, JobKind
from keyrack.service.webhooks.signing import message, signed_headers
from keyrack.store.audit_log import AuditLog
from keyrack.store.core.store import Store
from keyrack.store.core.unit import Unit
from keyrack.store.deliveries import DISABLED, Deliveries
from keyrack.store.due_deliveries import ClaimedDelivery, DueDeliveries
from keyrack.store.webhooks import WebhookRows

log = structlog.get_logger()

GONE = "gone"
WORKER = Principal(PrincipalKind.system, "", "webhook delivery")

BACK_OFF = BackOff(first=timedelta(seconds=5), factor=4, longest=timedelta(hours=6), tries=11)
"""5 s, 20 s, 80 s … 6 h: given up after about a day."""

_AT_ONCE = 64
_TO_ONE_WEBHOOK = 8
_SETTLING = timedelta(seconds=60)
_SLOW_SECONDS = 300.0
_MOST_SLOW = 1_000


@dataclass(frozen=True, slots=True)
class _Attempt:
    """What came of one attempt."""

    status: int | None = None
    error: str | None = None
    retry_after: int | None = None

    @property
    def delivered(self) -> bool:
        return self.error is None


class Deliverer:
    """Delivers what is due.

    Args:
        store: where deliveries are.
        client: what calls the receivers.
        timeout: seconds a call of the client takes at most; a claim is held longer than that.
        patience: seconds a `tick` waits for slow receivers before it leaves them to the next one.
        back_off: how failed deliveries are tried again.
    """

    def __init__(
        self,
        store: Store,
        client: ProviderClient,
        *,
        timeout: float,
        patience: float = 1.0,
        back_off: BackOff = BACK_OFF,
    ) -> None:
        self._store = store
        self._client = client
        self._lease = timedelta(seconds=timeout) + _SETTLING
        self._back_off = back_off
        kind = JobKind(any_due=_any_due, claim=self._claim, work=self._deliver, most=_AT_ONCE, timeout=timeout)
        self._jobs = ClaimedJobs(store, kind, patience)
        self._failed_at: dict[str, float] = {}

    async def tick(self) -> int:
        """Start delivering what is due; return how many attempts have ended since the last call.

        Receivers that are slow are left alone after a moment and counted by a later call, so none holds others up; no
        tenant gets more than its share of the deliveries under way, nor does what failed or hung lately.

        Raises:
            DatabaseUnavailable: the database cannot be reached; nothing is lost.
        """
        return await self._jobs.tick()

    async def close(self) -> None:
        """Let calls that are under way end; what does not end in time is due again later."""
        await self._jobs.close()

    async def _claim(self, unit: Unit, places: Places) -> Sequence[ClaimedDelivery]:
        under_way, slow = self._jobs.under_way, self._slow_webhooks()
        return await DueDeliveries(unit).claim(places, _TO_ONE_WEBHOOK, under_way, self._lease, slow)

    async def _deliver(self, delivery: ClaimedDelivery) -> None:
        if delivery.webhook is None:
            await self._settle(delivery, _Attempt(error="unreadable"), due_at=None)
        elif not delivery.webhook.enabled:
            await self._settle(delivery, _Attempt(error=DISABLED), due_at=None)
        else:
            attempt = await self._attempt(delivery, delivery.webhook)
            metrics.webhook_attempted(delivered=attempt.delivered)
            self._remember(delivery.webhook_id, attempt)
            await self._conclude(delivery, attempt)

    def _remember(self, webhook_id: str, attempt: _Attempt) -> None:
        """Note that a webhook failed just now, or that it works."""
        self._failed_at.pop(webhook_id, None)
        if not attempt.delivered:
            self._failed_at[webhook_id] = time.monotonic()
            if len(self._failed_at) > _MOST_SLOW:
                del self._failed_at[next(iter(self._failed_at))]

    def _slow_webhooks(self) -> frozenset[str]:
        since = time.monotonic() - _SLOW_SECONDS
        self._failed_at = {webhook_id: at for webhook_id, at in self._failed_at.items() if at > since}
        return frozenset(self._failed_at)

    async def _attempt(self, delivery: ClaimedDelivery, webhook: Webhook) -> _Attempt:
        body = message(delivery.event)
        headers = signed_headers(delivery.event.id, body, webhook.keys, self._store.clock())
        try:
            answer = await self._client.send(JsonPost(webhook.url, body, headers), tenant_id=delivery.tenant_id)
        except ProviderUnavailable as error:
            return _Attempt(error=str(error.failure.reason))
        except ValidationFailed:
            return _Attempt(error="forbidden_url")
        if answer.fault is not None:
            return _Attempt(error=answer.fault.value)
        if 200 <= answer.status < 300:  # noqa: PLR2004 - HTTP's success
            return _Attempt(answer.status)
        return _Attempt(answer.status, "status", retry_after(answer.headers))

    async def _conclude(self, delivery: ClaimedDelivery, attempt: _Attempt) -> None:
        if attempt.delivered:
            await self._settle(delivery, attempt, due_at=None)
        elif attempt.status == HTTPStatus.GONE:
            await self._give_up_webhook(delivery, attempt)
        else:
            due_at = self._back_off.next_try(delivery.attempts, self._store.clock(), attempt.retry_after)
            await self._settle(delivery, attempt, due_at=due_at)

    async def _settle(self, delivery: ClaimedDelivery, attempt: _Attempt, *, due_at: datetime | None) -> None:
        async with self._store.unit(delivery.tenant_id, writes=True) as unit:
            await _store(Deliveries(unit), delivery, attempt, due_at)
        log.info(
            "webhook",
            webhook=delivery.webhook_id,
            event_id=delivery.event.id,  # `event` is the name of the line itself
            attempt=delivery.attempts,
            status=attempt.status,
            error=attempt.error,
        )

    async def _give_up_webhook(self, delivery: ClaimedDelivery, attempt: _Attempt) -> None:
        """Disable a webhook whose receiver says that it is gone, with everything that is on its way there."""
        async with self._store.unit(delivery.tenant_id, writes=True) as unit:
            rows = Deliveries(unit)
            await _store(rows, delivery, attempt, None)
            if await WebhookRows(unit).disable(delivery.webhook_id, GONE):
                await rows.end_pending(delivery.webhook_id)
                await AuditLog(unit).append(WORKER, "webhook.disable", ("webhook", delivery.webhook_id), ALLOWED)


async def _any_due(unit: Unit) -> bool:
    return await DueDeliveries(unit).any()


async def _store(rows: Deliveries, delivery: ClaimedDelivery, attempt: _Attempt, due_at: datetime | None) -> None:
    await rows.settle(
        delivery.webhook_id,
        delivery.event.id,
        delivery.claim,
        delivered=attempt.delivered,
        due_at=due_at,
        status=attempt.status,
        error=attempt.error,
    )
