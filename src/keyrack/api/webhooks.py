"""`/v2/tenants/{T}/webhooks` and `/v2/tenants/{T}/events` (extension, contract 0.6)."""

from enum import StrEnum
from functools import partial
from typing import Annotated, TypeVar

from litestar import Controller, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from keyrack.api.core.body import require_id
from keyrack.api.core.dependencies import Body, WantedPage, Who
from keyrack.api.core.jsonapi import Many, Single
from keyrack.api.core.lists import read_list
from keyrack.api.core.openapi import PATH_ID, Refusals
from keyrack.api.webhook_documents import (
    AcceptedResource,
    ChangeWebhookBody,
    CreateWebhookBody,
    DeliveryResource,
    EventResource,
    ReplayBody,
    WebhookResource,
    accepted,
    delivery_resource,
    event_resource,
    new_webhook,
    period,
    webhook_change,
    webhook_document,
    webhook_resource,
)
from keyrack.errors import Problem, ValidationFailed
from keyrack.model.events import DeliveryState, EventType
from keyrack.service.webhooks.event_history import EventHistory
from keyrack.service.webhooks.registry import WebhookChange, Webhooks

_PER_PAGE = 50

K = TypeVar("K", bound=StrEnum)


class WebhookController(Controller):
    """Webhooks of a tenant."""

    path = "/v2/tenants/{tenant_id:str}/webhooks"
    tags = ("Webhooks",)

    @post(status_code=201, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def create(
        self, tenant_id: PATH_ID, data: Body[CreateWebhookBody], who: Who, webhooks: NamedDependency[Webhooks]
    ) -> Single[WebhookResource]:
        """Create a webhook; its secret is shown only once (extension)."""
        return webhook_document(await webhooks.create(who, tenant_id, data.then(new_webhook)), with_secret=True)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self, tenant_id: PATH_ID, who: Who, webhooks: NamedDependency[Webhooks], page: WantedPage
    ) -> Many[WebhookResource]:
        """List the tenant's webhooks (extension)."""
        return await read_list(page, partial(webhooks.list, who, tenant_id), webhook_resource)

    @get("/{webhook_id:str}", responses=Refusals.of(403, 404))
    async def retrieve(
        self, tenant_id: PATH_ID, webhook_id: PATH_ID, who: Who, webhooks: NamedDependency[Webhooks]
    ) -> Single[WebhookResource]:
        """Return one webhook (extension)."""
        return webhook_document(await webhooks.get(who, tenant_id, webhook_id))

    @patch("/{webhook_id:str}", responses=Refusals.of(400, 403, 404, 409, body=True))
    async def change(
        self,
        tenant_id: PATH_ID,
        webhook_id: PATH_ID,
        data: Body[ChangeWebhookBody],
        who: Who,
        webhooks: NamedDependency[Webhooks],
    ) -> Single[WebhookResource]:
        """Change a webhook; disabling it drops pending deliveries (extension)."""

        def changed(body: ChangeWebhookBody) -> WebhookChange:
            require_id(body.data.id, webhook_id)
            return webhook_change(body.data.attributes)

        return webhook_document(await webhooks.change(who, tenant_id, webhook_id, data.then(changed)))

    @delete("/{webhook_id:str}", responses=Refusals.of(403, 404))
    async def remove(
        self, tenant_id: PATH_ID, webhook_id: PATH_ID, who: Who, webhooks: NamedDependency[Webhooks]
    ) -> None:
        """Delete a webhook with its deliveries (extension)."""
        await webhooks.delete(who, tenant_id, webhook_id)

    @post("/{webhook_id:str}/rotate-secret", status_code=200, responses=Refusals.of(403, 404))
    async def rotate_secret(
        self, tenant_id: PATH_ID, webhook_id: PATH_ID, who: Who, webhooks: NamedDependency[Webhooks]
    ) -> Single[WebhookResource]:
        """Give a webhook a new secret, shown only once; the old one also signs for 24 hours (extension)."""
        return webhook_document(await webhooks.rotate_secret(who, tenant_id, webhook_id), with_secret=True)

    @get("/{webhook_id:str}/deliveries", responses=Refusals.of(400, 403, 404))
    async def deliveries(
        self,
        tenant_id: PATH_ID,
        webhook_id: PATH_ID,
        who: Who,
        event_history: NamedDependency[EventHistory],
        page: WantedPage,
        wanted: Annotated[
            str | None, QueryParameter(name="filter[state]", description="`pending`, `delivered` or `failed`.")
        ] = None,
    ) -> Many[DeliveryResource]:
        """List a webhook's deliveries in the order of the events (extension)."""
        paged = page.or_default(_PER_PAGE)
        state = None if wanted is None else _one_of(DeliveryState, wanted, "filter[state]")
        found, total = await event_history.deliveries(
            who, tenant_id, webhook_id, state, limit=paged.limit, offset=paged.offset
        )
        return Many([delivery_resource(delivery) for delivery in found], paged.meta(total))

    @post("/{webhook_id:str}/replay", status_code=202, responses=Refusals.of(400, 403, 404, 409, body=True))
    async def replay(
        self,
        tenant_id: PATH_ID,
        webhook_id: PATH_ID,
        data: Body[ReplayBody],
        who: Who,
        event_history: NamedDependency[EventHistory],
    ) -> Single[AcceptedResource]:
        """Deliver again what happened in a period (extension)."""
        return accepted(webhook_id, await event_history.replay(who, tenant_id, webhook_id, data.then(period)))

    @post("/{webhook_id:str}/test", status_code=202, responses=Refusals.of(403, 404, 409))
    async def send_test(
        self, tenant_id: PATH_ID, webhook_id: PATH_ID, who: Who, webhooks: NamedDependency[Webhooks]
    ) -> Single[AcceptedResource]:
        """Send a webhook an event of the type `webhook.test` (extension)."""
        return accepted(await webhooks.send_test(who, tenant_id, webhook_id), 1)


class EventController(Controller):
    """What happened in a tenant."""

    path = "/v2/tenants/{tenant_id:str}/events"
    tags = ("Webhooks",)

    @get(responses=Refusals.of(400, 403, 404))
    async def list_all(
        self,
        tenant_id: PATH_ID,
        who: Who,
        event_history: NamedDependency[EventHistory],
        page: WantedPage,
        kind: Annotated[
            str | None, QueryParameter(name="filter[type]", description="Events of a type, such as `secret.created`.")
        ] = None,
    ) -> Many[EventResource]:
        """List a tenant's events, oldest first (extension)."""
        paged = page.or_default(_PER_PAGE)
        wanted = None if kind is None else _one_of(EventType, kind, "filter[type]")
        found, total = await event_history.events(who, tenant_id, wanted, limit=paged.limit, offset=paged.offset)
        return Many([event_resource(event) for event in found], paged.meta(total))

    @post("/{event_id:str}/replay", status_code=202, responses=Refusals.of(403, 404))
    async def replay(
        self, tenant_id: PATH_ID, event_id: PATH_ID, who: Who, event_history: NamedDependency[EventHistory]
    ) -> Single[AcceptedResource]:
        """Deliver one event again to every webhook that wants its type (extension)."""
        return accepted(event_id, await event_history.replay_event(who, tenant_id, event_id))


def _one_of(kinds: type[K], text: str, parameter: str) -> K:
    try:
        return kinds(text)
    except ValueError:
        known = ", ".join(kind.value for kind in kinds)
    raise ValidationFailed(Problem(f"must be one of {known}", parameter=parameter))
