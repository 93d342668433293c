"""Shows what happened in a tenant and what was delivered of it, and delivers it again (extension, contract 0.6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from keyrack.errors import NotFound
from keyrack.model.events import Delivery, DeliveryState, Event, EventType, wanted_types
from keyrack.model.identity import Principal
from keyrack.model.windows import Beside, Window, window
from keyrack.service.authz.access import Access
from keyrack.service.webhooks.registry import (
    EDIT_WEBHOOKS,
    GET_WEBHOOKS,
    enabled_webhook,
    found_webhook,
    require_enabled,
)
from keyrack.store.deliveries import Deliveries
from keyrack.store.outbox import Outbox
from keyrack.store.webhooks import WebhookRows
from keyrack.validation.unvalidated import Unvalidated


@dataclass(frozen=True, slots=True)
class Period:
    """A time from `since` on and before `until`."""

    since: datetime
    until: datetime | None = None


class EventHistory:
    """Use cases of events and their deliveries. Each checks exactly one permission."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def replay(self, who: Principal, tenant_id: str, webhook_id: str, period: Unvalidated[Period]) -> int:
        """Deliver again to a webhook what happened in a period, whether it was delivered before or not.

        Returns:
            How many deliveries that makes; those on their way already do not count.

        Raises:
            NotFound: the tenant has no such webhook.
            ValidationFailed: the body is wrong.
            StateConflict: the webhook is disabled.
        """
        async with self._access.tenant(who, tenant_id, "webhook.replay") as scope:
            scope.require(EDIT_WEBHOOKS)
            webhook = await found_webhook(scope, webhook_id, locked=True)
            wanted = period.validated()
            require_enabled(webhook)
            scope.audit_target("webhook", webhook.id)
            kinds = wanted_types(webhook.event_types)
            return await Deliveries(scope.unit).replay_since(webhook.id, kinds, wanted.since, wanted.until)

    async def deliveries(
        self,
        who: Principal,
        tenant_id: str,
        webhook_id: str,
        state: DeliveryState | None,
        *,
        limit: int | None,
        offset: int = 0,
    ) -> tuple[Sequence[Delivery], int]:
        """List a webhook's deliveries in the order of the events; return a page and the total.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            await found_webhook(scope, webhook_id)
            return await Deliveries(scope.unit).page(webhook_id, state, limit=limit, offset=offset)

    async def events(
        self, who: Principal, tenant_id: str, kind: EventType | None, *, limit: int | None, offset: int = 0
    ) -> tuple[Sequence[Event], int]:
        """List what happened in a tenant, oldest first; return a page and the total."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            return await Outbox(scope.unit).page(kind, limit=limit, offset=offset)

    async def recent_deliveries(
        self,
        who: Principal,
        tenant_id: str,
        webhook_id: str,
        state: DeliveryState | None,
        beside: Beside[str],
        *,
        limit: int,
    ) -> Window[Delivery]:
        """List a webhook's deliveries, those of the newest events first, without counting them.

        Args:
            who: the caller.
            tenant_id: the webhook's tenant.
            webhook_id: the webhook.
            state: only those in this state, if given.
            beside: which part of the list; its key is the event's id.
            limit: how many at most.

        Raises:
            NotFound: the tenant has no such webhook.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            await found_webhook(scope, webhook_id)
            found = await Deliveries(scope.unit).stretch(
                webhook_id, state, beside.key, newest_first=not beside.backwards, limit=limit + 1
            )
            return window(found, beside, limit)

    async def delivery(self, who: Principal, tenant_id: str, webhook_id: str, event_id: str) -> tuple[Delivery, Event]:
        """Return one delivery, and what is delivered.

        Raises:
            NotFound: the tenant has no such webhook, or the event never was on its way there.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            await found_webhook(scope, webhook_id)
            delivery = await Deliveries(scope.unit).find(webhook_id, event_id)
            event = await Outbox(scope.unit).find(event_id)
            if delivery is None or event is None:
                raise _no_delivery()
            return delivery, event

    async def delivery_counts(
        self, who: Principal, tenant_id: str, webhook_ids: Sequence[str], *, most: int
    ) -> Mapping[str, Mapping[DeliveryState, int]]:
        """Return how many deliveries of each webhook are pending and failed, counted no further than `most`."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            rows, states = Deliveries(scope.unit), (DeliveryState.pending, DeliveryState.failed)
            return {each: {state: await rows.count(each, state, most) for state in states} for each in webhook_ids}

    async def replay_delivery(self, who: Principal, tenant_id: str, webhook_id: str, event_id: str) -> int:
        """Deliver an event again to one webhook to which it was on its way before.

        Returns:
            How many deliveries that makes: 1, or 0 if it is on its way already.

        Raises:
            NotFound: the tenant has no such webhook, or the event never was on its way there.
            StateConflict: the webhook is disabled.
        """
        async with self._access.tenant(who, tenant_id, "webhook.replay") as scope:
            scope.require(EDIT_WEBHOOKS)
            webhook = await enabled_webhook(scope, webhook_id)
            if await Deliveries(scope.unit).find(webhook_id, event_id) is None:
                raise _no_delivery()
            scope.audit_target("webhook", webhook.id)
            return await Deliveries(scope.unit).replay_one(webhook_id, event_id)

    async def recent_events(
        self, who: Principal, tenant_id: str, kind: EventType | None, beside: Beside[str], *, limit: int
    ) -> Window[Event]:
        """List what happened in a tenant, newest first, without counting it; the key of `beside` is an event's id."""
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            found = await Outbox(scope.unit).stretch(
                kind, beside.key, newest_first=not beside.backwards, limit=limit + 1
            )
            return window(found, beside, limit)

    async def event(self, who: Principal, tenant_id: str, event_id: str) -> Event:
        """Return something that happened in a tenant.

        Raises:
            NotFound: the tenant has no such event.
        """
        async with self._access.tenant(who, tenant_id) as scope:
            scope.require(GET_WEBHOOKS)
            event = await Outbox(scope.unit).find(event_id)
            if event is None:
                raise _no_event()
            return event

    async def replay_event(self, who: Principal, tenant_id: str, event_id: str) -> int:
        """Deliver one event again to every enabled webhook that wants its type; return how many deliveries that makes.

        Raises:
            NotFound: the tenant has no such event.
        """
        async with self._access.tenant(who, tenant_id, "event.replay") as scope:
            scope.require(EDIT_WEBHOOKS)
            event = await Outbox(scope.unit).find(event_id)
            if event is None:
                raise _no_event()
            scope.audit_target("event", event.id)
            hooks, _ = await WebhookRows(scope.unit).page()
            wanting = [hook for hook in hooks if hook.enabled and hook.wants(event.type)]
            return sum([await Deliveries(scope.unit).replay_one(hook.id, event.id) for hook in wanting])


def _no_event() -> NotFound:
    return NotFound("there is no such event in this tenant")


def _no_delivery() -> NotFound:
    return NotFound("no such event was on its way to this webhook")
